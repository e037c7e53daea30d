"""Brings the message catalogue in line with the code and compiles it, with Babel alone: no gettext
programs.
"""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.translation.template import templatize

BASE: Path = settings.BASE_DIR
SOURCE = BASE / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
COMPILED = SOURCE.with_suffix(".mo")
# What is looked through, in the order in which it stands in the catalogue.
PLACES = [
    ("recycle", "*.py"),
    ("console", "*.py"),
    ("templates", "*.html"),
    ("templates", "*.jinja"),
]

SINGLE, PLURAL, CONTEXT, CONTEXT_PLURAL = (1,), (1, 2), ((1, "c"), 2), ((1, "c"), 2, 3)
KEYWORDS: dict[str, Any] = {
    "_": SINGLE,
    "gettext": SINGLE,
    "gettext_lazy": SINGLE,
    "gettext_noop": SINGLE,
    "ngettext": PLURAL,
    "ngettext_lazy": PLURAL,
    "pgettext": CONTEXT,
    "pgettext_lazy": CONTEXT,
    "npgettext": CONTEXT_PLURAL,
    "npgettext_lazy": CONTEXT_PLURAL,
}


class Command(BaseCommand):
    help = (
        "Brings the Chinese catalogue in line with the code, keeping what is translated, and "
        "compiles it."
    )
    # It has to run in a tree that does not pass its checks yet.
    requires_system_checks: list[str] = []

    def handle(self, **options: Any) -> None:
        catalogue = merged()
        with SOURCE.open("wb") as source:
            # Without line numbers, or every edit anywhere would change the catalogue.
            write_po(source, catalogue, width=100, include_lineno=False, ignore_obsolete=True)
        COMPILED.write_bytes(compiled(catalogue))
        missing = [message for message in catalogue if message.id and not is_translated(message)]
        for message in missing:
            self.stdout.write(f"Not translated: {message.id!r} ({message.locations[0][0]})")
        self.stdout.write(f"{len(catalogue)} messages, {len(missing)} not translated.")


def merged() -> Catalog:
    """The messages of the code with the translations there are; what is no longer in the code is
    gone.
    """
    catalogue = translated()
    found = Catalog(charset="utf-8")
    for message in extracted():
        found.add(message.id, locations=message.locations, context=message.context)
    # A guess from a similar message would pass for a translation.
    catalogue.update(found, no_fuzzy_matching=True, update_creation_date=False)
    return catalogue


def translated() -> Catalog:
    with SOURCE.open("rb") as source:
        return read_po(source, locale="zh_Hans")


def extracted() -> Iterator[Message]:
    for place, pattern in PLACES:
        for path in sorted((BASE / place).rglob(pattern)):
            source = path.read_text("utf-8")
            if path.suffix == ".html":
                # Babel reads it as Python, where an indent means something.
                source = "\n".join(line.strip() for line in templatize(source).split("\n"))
            where = path.relative_to(BASE).as_posix()
            method = "jinja2" if path.suffix == ".jinja" else "python"
            for line, text, _comments, context in extract(
                method, BytesIO(source.encode()), KEYWORDS
            ):
                yield Message(text, locations=[(where, line)], context=context)


def compiled(catalogue: Catalog) -> bytes:
    target = BytesIO()
    write_mo(target, catalogue)
    return target.getvalue()


def is_translated(message: Message) -> bool:
    strings = message.string if isinstance(message.string, tuple) else (message.string,)
    return all(strings) and not message.fuzzy
