"""Passwords: how many are hashed at a time, and which are too easily guessed."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from zxcvbn import zxcvbn

from recycle.words import WORDS

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

# --- Hashing --------------------------------------------------------------------------------------

# Hashing takes half a second of a core, on purpose, and everybody may ask for it: at the login. So
# one hash is made at a time in a process, and whoever comes meanwhile is asked to come again.
# Waiting for one's turn would hold a thread, and threads and cores are for those who are logged in.
AGAIN_AFTER = 3


class Busy(Exception):
    """Another password is being checked at this moment."""


_turn = Lock()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    if not _turn.acquire(blocking=False):
        raise Busy
    try:
        yield
    finally:
        _turn.release()


class Hasher(PBKDF2PasswordHasher):
    """Django's own, one at a time: every password is checked and set through here, on any page."""

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        with _one_at_a_time():
            return super().encode(password, salt, iterations)


# --- What is too easily guessed -------------------------------------------------------------------

# 10^10 guesses take a thief of the hashes weeks, and are out of reach of anybody at the login.
ENOUGH = 10
# Of a longer password the beginning is enough to judge by, and judging takes more than linear time.
SIGNS_JUDGED = 48
# Signs that stand for letters ("p@$$word"). All combinations of them are tried, which took 20
# seconds of a core for a password of nothing else: of so many the meaning is judged, the others are
# just signs.
SIGNS, SIGNS_READ = "@({[<!|$+%", 2
PLAIN_SIGNS = "~^&*-_=:;?"


def is_guessable(password: str, words: list[str] | None = None) -> bool:
    """Whether words, names, dates and patterns that everybody tries first make up too much
    of it.
    """
    judged = password[:SIGNS_JUDGED]
    others = [sign for sign in dict.fromkeys(judged) if sign in SIGNS][SIGNS_READ:]
    judged = judged.translate(dict(zip(map(ord, others), PLAIN_SIGNS, strict=False)))
    return bool(zxcvbn(judged, user_inputs=[*(words or []), *WORDS])["guesses_log10"] < ENOUGH)


class GuessableValidator:
    """Refuses what consists of common words and names, English or Chinese, of dates and of patterns
    of the keyboard.
    """

    def validate(self, password: str, user: "AbstractBaseUser | None" = None) -> None:
        if is_guessable(password, _words_about(user)):
            raise ValidationError(
                _(
                    "This password consists of common words, names, dates or patterns "
                    "and is easily guessed. Take more words, or less common ones."
                ),
                code="password_guessable",
            )

    def get_help_text(self) -> str:
        return _("Your password can’t consist of a few common words, names, dates or patterns.")


def _words_about(user: Any) -> list[str]:
    about = (getattr(user, name, "") for name in ("username", "first_name", "last_name", "email"))
    return " ".join(about).replace("@", " ").replace(".", " ").split()
