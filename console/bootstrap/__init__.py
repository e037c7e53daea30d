"""Makes the project's environment from a hashed lock and carries on inside it. Standard library
only.

Each environment is a directory of its own below .venvs. It is built there, and counts once its note
is written, which is the last thing; from then on it is never changed. What a start needs is found
by that note, so a build that fails or is killed leaves what worked before as it was, and a console
goes on in the environment that it was started in. `.venv` is a link to the newest one, for people
and their tools.
"""

from console.bootstrap.finding import (
    find_environment,
    hold_own,
    is_inside,
    is_made_by_hand,
    leave_the_link,
    restart,
)
from console.bootstrap.locks import try_lock
from console.bootstrap.making import wait_and_make
from console.bootstrap.places import ENVIRONMENTS, LINK, LOCKS, NOTE_FILE, PROJECT, WINDOWS
from console.bootstrap.saying import fail, is_utf8, refuse_what_is_not_utf8, shown
from console.bootstrap.system import (
    BUNDLED_PROGRAMS,
    install_system_packages,
    library_package,
    missing_libraries,
)
from console.bootstrap.tidying import tidy

__all__ = [
    "BUNDLED_PROGRAMS",
    "LINK",
    "LOCKS",
    "NOTE_FILE",
    "PROJECT",
    "WINDOWS",
    "enter",
    "hold_own",
    "is_utf8",
    "leave_the_link",
    "library_package",
    "missing_libraries",
    "refuse_what_is_not_utf8",
    "shown",
    "try_lock",
]

# What these need comes with the test lock; it includes everything the console itself runs on.
NEEDS_TEST_LOCK = {"test", "lint", "bench", "soak", "mutate", "screenshots", "translations"}
# What these need of the system, by Debian's names.
NEEDS_PACKAGES = {"test": ("chromium", "faketime"), "screenshots": ("chromium", "fonts-noto-cjk")}


def enter(command: str) -> None:
    """Return inside an environment that has what the command needs, or start again in one and never
    return.
    """
    lock = "test" if command in NEEDS_TEST_LOCK else "run"
    if ENVIRONMENTS.is_symlink():
        fail(
            f"{ENVIRONMENTS} is a link: remove it, then start again. What lies there is ours alone."
        )
    try:
        if not is_made_by_hand():
            environment = find_environment(lock) or wait_and_make(lock)
            tidy(environment)
            if not is_inside(environment):
                restart(environment)
        if packages := NEEDS_PACKAGES.get(command):
            install_system_packages(packages)
    except KeyboardInterrupt:
        fail("Stopped. The next start begins the installation again.")
    except OSError as error:
        fail(
            f"The environment in {ENVIRONMENTS} could not be made: {error}. Correct that, "
            "then start again."
        )
