"""How far an import has come. An edge that shows it overrides this; here nobody watches."""

from collections.abc import Iterator
from contextlib import contextmanager


class ProgressBar:
    """One stretch of the way."""

    def advance(self, done: int, rows: int) -> None:
        """Say that it has come `done` further, and that there are `rows` by now."""


class Progress:
    @contextmanager
    def begin(
        self, what: str, total: int | None, *, in_bytes: bool = False
    ) -> Iterator[ProgressBar]:
        """Say that `what` begins. `total` is in rows or bytes, and None when nobody knows it."""
        yield ProgressBar()
