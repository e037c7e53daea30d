"""Locks on files: they go with the process that holds them, however it ends."""

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from console.bootstrap.places import ENVIRONMENTS
from console.bootstrap.saying import say


@contextmanager
def alone() -> Iterator[None]:
    """Keep two starts from building the same environment."""
    with (ENVIRONMENTS / "lock").open("a+b") as handle:
        waiting = False
        while not try_lock(handle.fileno()):
            if not waiting:
                say(f"Another start is preparing {ENVIRONMENTS}; waiting for it.")
                waiting = True
            time.sleep(0.2)
        # The installer inherits the lock: when we are killed it goes on for a while, and the next
        # start has to wait.
        os.set_inheritable(handle.fileno(), True)
        yield


def try_lock(handle: int, *, shared: bool = False) -> bool:
    """Lock an open file until it is closed, alone or with others; False when somebody else has it.

    Raises OSError where the file system knows no locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            if shared:
                return True
            # Far behind the text: what is locked there cannot be read either.
            os.lseek(handle, 1 << 20, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True
