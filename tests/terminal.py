"""Programs at a terminal."""

import os
import subprocess
from collections.abc import Iterator
from typing import Any


def on_terminal(command: list[str], **options: Any) -> Iterator[str]:
    """Everything a program writes, piece by piece, where a terminal is all it has to write to."""
    import pty  # none of these on Windows
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 200))
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, **options
    ) as process:
        os.close(theirs)
        try:
            while piece := os.read(ours, 4096):
                yield piece.decode(errors="replace")
        except OSError:
            pass  # how a terminal ends on Linux
        finally:
            os.close(ours)
            process.terminate()
