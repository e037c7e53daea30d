"""`manage.py mutate [module ...]`: changes of the core that no test notices.

Poodle says what could be changed in a module. A sample of that is made, one change at a time in a
copy of the project, and the tests of the module run there. A change that survives them is shown:
it is worth a test, or does not matter. This takes minutes, so nothing waits for it.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from poodle.mutate import builtin_mutators
from tqdm import tqdm

from console.bootstrap import PROJECT

# The core, and the tests that are to notice.
CORE = {
    "recycle.lifecycle": ("lifecycle", "policy", "actions"),
    "recycle.policy": ("policy", "retention", "limits", "actions"),
    "recycle.actions.move": ("actions", "schedule", "undo", "protection"),
    "recycle.actions.bindings": ("actions", "undo", "again", "origin"),
    "recycle.actions.limits": ("limits", "quota"),
    "recycle.actions.again": ("again", "again_page"),
}
# Changes that nothing could notice: of words for people, and of what makes a function quicker.
LEFT_OUT = {"String", "Decorator"}
NOT_COPIED = (".git", ".venv*", "var", "__pycache__", ".*_cache", ".hypothesis")
OF_A_CONSOLE = ("CONSOLE_", "DATABASE_", "REDIS_", "CACHE_")
# Seconds after which the tests of a change count as hanging, and so as failed.
PATIENCE = 600


@dataclass(frozen=True)
class Mutant:
    line: int
    # The whole text of the module, changed.
    text: str

    def shown(self, before: str) -> str:
        """The line as it was and as it became."""
        was, became = before.splitlines(), self.text.splitlines()
        index = self.line - 1
        return f"{self.line}: {was[index].strip()}\n    -> {became[index].strip()}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="manage.py mutate")
    parser.add_argument("modules", nargs="*", metavar="module", default=[])
    parser.add_argument("--sample", type=int, default=20, help="changes of each module")
    parser.add_argument("--seed", type=int, default=0, help="another one is another sample")
    options = parser.parse_args(arguments)
    if unknown := set(options.modules) - set(CORE):
        parser.error(f"{', '.join(unknown)}: choose from {', '.join(CORE)}")
    lines = []
    with tempfile.TemporaryDirectory(prefix="console-mutate-") as place:
        copy = Path(place) / "console"
        shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
        for module in options.modules or CORE:
            path = copy / f"{module.replace('.', '/')}.py"
            tests = [f"tests/test_{name}.py" for name in CORE[module]]
            before = path.read_text("utf-8")
            if not passes(copy, tests):
                print(f"{module}: its tests fail without any change.")
                return 1
            every = list(mutants(before))
            dice = random.Random(options.seed)  # noqa: S311 - a sample, no secret
            chosen = dice.sample(every, min(options.sample, len(every)))
            survived = 0
            for mutant in tqdm(chosen, module, unit=" changes", disable=None):
                path.write_text(mutant.text, "utf-8")
                if passes(copy, tests):
                    survived += 1
                    tqdm.write(f"{module}:{mutant.shown(before)}")
            path.write_text(before, "utf-8")
            numbers = (len(every), len(chosen), len(chosen) - survived, survived)
            lines.append(f"{module:<26}" + "".join(f"{number:>10}" for number in numbers))
    print(f"{'module':<26}       all     tried    killed  survived", *lines, sep="\n")
    return 0


def mutants(text: str) -> Iterator[Mutant]:
    """Every change of a module's text that Poodle knows, where it makes another program."""
    tree, lines = ast.parse(text), text.splitlines(keepends=True)
    for name, kind in builtin_mutators.items():
        if name in LEFT_OUT:
            continue
        for change in _changes(kind, deepcopy(tree)):
            first, last = change.lineno - 1, change.end_lineno - 1
            # Columns count bytes.
            head = lines[first].encode()[: change.col_offset].decode()
            tail = lines[last].encode()[change.end_col_offset :].decode()
            changed = "".join([*lines[:first], head, change.text, tail, *lines[last + 1 :]])
            if _differs(tree, changed):
                yield Mutant(change.lineno, changed)


def _changes(kind: Any, tree: ast.Module) -> list[Any]:
    mutator = kind(config=SimpleNamespace(mutator_opts={}), echo=print)
    mutator.create_mutations(tree, file_lines=[])
    mutator.add_parent_attr(tree)
    mutator.mutants = []
    # By itself a mutator looks at no part of what it has changed: `a and b < c` would keep its `<`.
    for node in list(ast.walk(tree)):
        if visit := getattr(mutator, f"visit_{type(node).__name__}", None):
            visit(node)
    changes: list[Any] = mutator.mutants
    return changes


def _differs(tree: ast.Module, changed: str) -> bool:
    try:
        return ast.dump(ast.parse(changed)) != ast.dump(tree)
    except SyntaxError:
        return False


def passes(copy: Path, tests: list[str]) -> bool:
    """Whether the tests pass in a copy of the project."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-migrations", "-p", "no:randomly"]
    command += ["-p", "no:cacheprovider", "-m", "not postgres and not browser and not slow", *tests]
    env = {key: value for key, value in os.environ.items() if not key.startswith(OF_A_CONSOLE)}
    try:
        done = subprocess.run(command, cwd=copy, env=env, capture_output=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
