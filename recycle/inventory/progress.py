"""How far an import has come. An edge that shows it overrides this; here nobody watches."""

from collections.abc import Iterator
from contextlib import contextmanager


class ProgressBar:
    """One stretch of the way."""

    def advance(self, done: int, rows: int) -> None:
        """So much further than before, and so many rows by now."""


class Progress:
    @contextmanager
    def begin(
        self, what: str, total: int | None, *, in_bytes: bool = False
    ) -> Iterator[ProgressBar]:
        """`what` begins: so many bytes, or rows, if anybody knows."""
        yield ProgressBar()
