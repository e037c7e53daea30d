"""`manage.py lint --figures [-v] [place]`: how large the pieces of this project, or of another
checkout of it, are. The figures are shown, not judged; `lint` itself judges two of them: the length
of lines, and classes that share a name.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median

from console.bootstrap import PROJECT

PYTHON_COLUMNS, TEMPLATE_COLUMNS = 100, 140
# Django has written them, with sentences of its own that are longer.
GENERATED = {"0001_initial.py", "0001_squashed_0024_job_agreement.py"}
# What Django or Python looks for under this name in every module that has it.
EXPECTED = {"Command", "urlpatterns", "register", "logger", "main", "DatabaseWrapper"}


def main(arguments: list[str]) -> int:
    places = [Path(argument) for argument in arguments if argument != "-v"]
    for line in figures(places[0] if places else PROJECT, verbose="-v" in arguments):
        print(line)
    return 0


def figures(project: Path, *, verbose: bool = False) -> Iterator[str]:
    """Measure the Python and the templates of a checkout, one line for each figure."""
    source = _read(
        [project / "manage.py", *_python(project, "console"), *_python(project, "recycle")]
    )
    tests = _read(_python(project, "tests"))
    pages = _read((project / "templates").rglob("*.*"))
    trees = {path: ast.parse(text) for path, text in source.items()}
    functions = {path: list(_functions(tree)) for path, tree in trees.items()}
    views = project / "recycle" / "views"
    lambdas = sum(
        isinstance(node, ast.Lambda) for tree in trees.values() for node in ast.walk(tree)
    )
    lines, test_lines = (sum(map(_lines, texts.values())) for texts in (source, tests))
    shared = names_in_two_modules(trees)

    yield _sizes("file", [(_lines(text), path.name) for path, text in source.items()])
    yield _sizes("function", [size for found in functions.values() for size in found])
    yield _sizes(
        "view function",
        [size for path, found in functions.items() if views in path.parents for size in found],
    )
    yield f"lambdas per 1,000 lines: {1000 * lambdas / lines:.1f} ({lambdas})"
    yield f"names that stand in two or more modules: {len(shared)}"
    for name, paths in sorted(shared.items()) if verbose else ():
        yield f"  {name}: {', '.join(str(path.relative_to(project)) for path in paths)}"
    yield f"Python lines over 100 columns: {_long({**source, **tests}, PYTHON_COLUMNS)}"
    yield f"template lines over 140 columns: {_long(pages, TEMPLATE_COLUMNS)}"
    count = sum(
        isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        for text in tests.values()
        for node in ast.walk(ast.parse(text))
    )
    yield (
        f"tests : source = {test_lines:,} : {lines:,} lines = {test_lines / lines:.2f}; "
        f"{count:,} test functions"
    )


def complaints(project: Path) -> Iterator[str]:
    """Say what `lint` refuses of the shape of a checkout."""
    # Ruff does not count a comment that is for a tool; whoever reads the line has to.
    ours = [project / "manage.py"]
    for folder in ("console", "recycle", "tests"):
        ours += [path for path in (project / folder).rglob("*.py") if path.name not in GENERATED]
    yield from _long_lines(project, _read(ours), PYTHON_COLUMNS)
    yield from _long_lines(project, _read(project.glob("templates/**/*.*")), TEMPLATE_COLUMNS)
    folders = (*_python(project, "console"), *_python(project, "recycle"))
    trees = {path: ast.parse(text) for path, text in _read(folders).items()}
    # Verbs stand in every layer under the same name, and constants are their module's own business.
    shared = {
        name for name in names_in_two_modules(trees) if name[0].isupper() and name[1:2].islower()
    }
    for name in sorted(shared):
        yield f"{name} stands in two modules: one of them needs another name."


def _long_lines(project: Path, texts: dict[Path, str], most: int) -> Iterator[str]:
    for path, text in texts.items():
        for number, line in enumerate(text.splitlines(), start=1):
            if len(line) > most:
                yield f"{path.relative_to(project)}:{number}: over {most} columns."


def names_in_two_modules(trees: dict[Path, ast.Module]) -> dict[str, list[Path]]:
    """Return the names that more than one module defines at its top level, with these modules."""
    found = defaultdict(list)
    for path, tree in trees.items():
        for name in sorted(_defined(tree) - EXPECTED):
            found[name].append(path)
    return {name: paths for name, paths in found.items() if len(paths) > 1}


def _defined(tree: ast.Module) -> set[str]:
    names = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    # What begins with an underscore is its module's own business.
    return {name for name in names if not name.startswith("_")}


def _functions(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno
            yield node.end_lineno - node.lineno + 1, node.name


def _python(project: Path, folder: str) -> list[Path]:
    return [path for path in (project / folder).rglob("*.py") if "migrations" not in path.parts]


def _read(paths: Iterable[Path]) -> dict[Path, str]:
    return {path: path.read_text("utf-8") for path in sorted(paths)}


def _lines(text: str) -> int:
    return text.count("\n")


def _long(texts: dict[Path, str], most: int) -> int:
    return sum(len(line) > most for text in texts.values() for line in text.splitlines())


def _sizes(what: str, sizes: list[tuple[int, str]]) -> str:
    largest, name = max(sizes)
    middle = median(size for size, _name in sizes if size)
    return f"{what}: median {middle:.0f} lines, largest {largest} ({name}), {len(sizes):,} in all"


if __name__ == "__main__":
    found = list(complaints(PROJECT))
    print("\n".join(found))
    sys.exit(1 if found else 0)
