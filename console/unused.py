"""`manage.py lint` runs this: it names code, template tags, icons and CSS classes nobody uses."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from vulture import Vulture

from console.bootstrap import PROJECT

# Called or read by those we plug into, under names that they chose.
PLUGGED = (
    # Django: settings, forms, the admin, commands, middleware, fields and lookups
    *(
        "handler4*",
        "handler500",
        "OneOf",
        "features_class",
        "chunked_cursor",
        "supports_json_field",
        "RecycleConfig",
    ),
    *("clean_*", "compress", "decompress", "default_validators", "form_class", "template_name"),
    *("has_*_permission", "*Admin", "add_arguments", "help", "requires_system_checks"),
    *(
        "handle_no_permission",
        "process_exception",
        "get_session_store_class",
        "_get_session_from_db",
        "create_sql",
        "remove_sql",
        "validate",
    ),
    *(
        "as_sqlite",
        "lookup_name",
        "prepare_rhs",
        "arity",
        "output_field",
        "empty_result_set_value",
        "Among",
    ),
    *("abstract", "constraints", "indexes", "*_folded", "get_help_text"),
    # allauth, Waitress and Celery
    *("get_client_ip", "is_safe_url", "is_ajax", "add_message"),
    *("channel_class", "parser_class", "task_class", "error_task_class", "begin_at_once"),
    *("keep_our_logging", "send_along", "begin_task", "end_task"),
    # Prometheus's client
    "collect",
    # Words of the vendor, which only data says.
    *("LEAST_CONNECTIONS", "MASTER_SLAVE", "IP_HASH"),
    # Prints the picture of the README, which a test compares with it.
    "diagram",
)
# Files, and folders of files, full of names that Django looks for.
ALL_PLUGGED = {"settings.py", "admin"}
# Levels of messages, by Django's names, and what htmx sets itself.
CLASSES_OF_OTHERS = {"success", "warning", "error", "htmx-request"}

TAG = re.compile(r"\{[{%](.*?)[%}]\}", re.DOTALL)
WORD = re.compile(r"[\w-]+")
# An attribute or a property of JavaScript, with the template tags that may stand in it.
CLASS_VALUE = re.compile(r'\bclass(?:Name)?\s*=\s*("(?:\{[{%].*?[%}]\}|[^"])*"|`[^`]*`)', re.DOTALL)
CLASS_LIST = re.compile(r'classList\.\w+\("([\w-]+)"')


def main() -> int:
    found = list(unused(PROJECT))
    print("\n".join(found))
    return 1 if found else 0


def unused(project: Path) -> Iterator[str]:
    """Name everything in a checkout that nothing uses, one sentence each."""
    source = _read(
        path
        for folder in ("manage.py", "console/**/*.py", "recycle/**/*.py")
        for path in project.glob(folder)
        if "migrations" not in path.parts
    )
    pages = "\n".join(_read(project.glob("templates/**/*.*")).values())
    script = "\n".join(_read(project.glob("static/js/*.js")).values())
    python = "\n".join(source.values())

    for path, line, what in _python(source, pages):
        yield f"{path.relative_to(project)}:{line}: nothing uses the {what}."
    for name in sorted(_registered(source)):
        if not re.search(rf"\{{% {name}\b|\|{name}\b", pages):
            yield f"No template uses the tag or filter {name}."
    for name in re.findall(r'<symbol id="([\w-]+)"', (project / "static/icons.svg").read_text()):
        if not re.search(_uses_of_icon(name), pages + script + python):
            yield f"Nothing shows the icon {name}."
    classes = CLASSES_OF_OTHERS | _classes_used(pages + script + python)
    for name in sorted(_classes((project / "static/css/console.css").read_text()) - classes):
        yield f"Nothing has the class {name}."


def _python(source: dict[Path, str], pages: str) -> Iterator[tuple[Path, int, str]]:
    # Tests do not count: what they alone call is not needed.
    vulture = Vulture(ignore_names=list(PLUGGED))
    for path, text in source.items():
        vulture.scan(text, filename=path)
    # Fields and properties are named in templates, and elsewhere by strings.
    for text in [*TAG.findall(pages), *_strings(source.values())]:
        vulture.used_names |= set(re.findall(r"\w+", text))
    for item in vulture.get_unused_code():
        # A certain variable is an argument, and those are named by whoever calls.
        argument = item.typ == "variable" and item.confidence == 100
        plugged = ALL_PLUGGED & {item.filename.name, item.filename.parent.name}
        if not argument and item.typ != "attribute" and not plugged:
            yield item.filename, item.first_lineno, f"{item.typ} {item.name}"


def _strings(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for node in ast.walk(ast.parse(text)):
            # A text with a space in it is prose.
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and " " not in node.value
            ):
                yield node.value


def _registered(source: dict[Path, str]) -> set[str]:
    return {
        name
        for path, text in source.items()
        if "templatetags" in path.parts
        for name in re.findall(r"^@register\..*\ndef (\w+)", text, re.MULTILINE)
    }


def _uses_of_icon(name: str) -> str:
    in_templates = rf'\{{% icon "{name}"|#{name}"|%\}}{name}\{{%|picture="{name}"'
    in_python = rf'picture"?\s*[=:] ?"{name}"|"{name}", "recycle:'
    in_script = rf'#{name}`|icon\("{name}"\)'
    return f"{in_templates}|{in_python}|{in_script}"


def _classes(css: str) -> set[str]:
    selectors = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    return set(re.findall(r"\.([a-zA-Z][\w-]*)(?=[^{};]*\{)", selectors))


def _classes_used(text: str) -> set[str]:
    values = CLASS_LIST.findall(text) + CLASS_VALUE.findall(text)
    return {word for value in values for word in WORD.findall(value)}


def _read(paths: Iterable[Path]) -> dict[Path, str]:
    return {path: path.read_text("utf-8") for path in sorted(paths)}


if __name__ == "__main__":
    sys.exit(main())
