"""Makes the project's .venv from a hashed lock and carries on inside it. Standard library only."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

PROJECT = Path(__file__).resolve().parent.parent
VENV = PROJECT / ".venv"
LOCKS = PROJECT / "requirements"

# What these need comes with the test lock; it includes everything the console itself runs on.
NEEDS_TEST_LOCK = {"test", "lint", "screenshots", "translations"}
NEEDS_CHROMIUM = {"test": ("chromium",), "screenshots": ("chromium", "fonts-noto-cjk")}


def enter(command: str) -> None:
    """Return inside an up-to-date .venv, or start this program again there and never return."""
    lock = "test" if command in NEEDS_TEST_LOCK else "run"
    inside = Path(sys.prefix).resolve() == VENV.resolve()
    try:
        if not is_current(lock, inside=inside):
            with _alone():
                # Whoever held the lock before may have done the work.
                if not is_current(lock, inside=inside):
                    _make(lock, inside=inside)
        if not inside:
            _restart()
    except KeyboardInterrupt:
        _fail("Stopped. The next start goes on from here.")
    except OSError as error:
        _fail(f"The environment in {VENV} could not be made: {error}. Correct that, then start again.")
    if packages := NEEDS_CHROMIUM.get(command):
        _install_browser(packages)


def is_current(lock: str, *, inside: bool = False) -> bool:
    """Whether .venv holds what this lock names, made by this Python with this tool.

    From inside it is enough that the lock is the same: a running environment cannot replace itself,
    and one without our note was made by hand by somebody who knows why.
    """
    note = _read_note()
    if inside:
        return note is None or _covers(note, lock)
    return note is not None and _same_maker(note) and _covers(note, lock) and _python().exists()


def _covers(note: dict[str, str], lock: str) -> bool:
    return note.get("locks") == _fingerprint() and note.get("lock") in (lock, "test")


def _same_maker(note: dict[str, str]) -> bool:
    return note.get("python") == _this_python() and note.get("tool") == _tool()


def _this_python() -> str:
    # The place and the version, without the patch level: an in-place update keeps what is installed.
    return f"{sys.implementation.cache_tag} {sysconfig.get_platform()} {sys.base_prefix}"


def _tool() -> str:
    # An environment made by uv has no pip, so the two cannot take turns in one.
    return "uv" if shutil.which("uv") else "pip"


def _fingerprint() -> str:
    return hashlib.sha256(b"\0".join((LOCKS / f"{name}.txt").read_bytes() for name in ("run", "test"))).hexdigest()


def _python() -> Path:
    return VENV / "Scripts" / "python.exe" if os.name == "nt" else VENV / "bin" / "python"


def _note() -> Path:
    return VENV / "installed.json"


def _read_note() -> dict[str, str] | None:
    try:
        note = json.loads(_note().read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) else None


def _make(lock: str, *, inside: bool) -> None:
    note = _read_note()
    fresh = not inside and (note is None or not _same_maker(note) or not _python().exists())
    # The note goes first and comes back last: an interrupted install is one without a note.
    _note().unlink(missing_ok=True)
    if fresh:
        _say(f"Making {VENV} with {_tool()}. This happens once and takes a minute or less.")
        _create()
    else:
        _say(f"Updating {VENV}.")
    _install(lock)
    text = json.dumps({"lock": lock, "locks": _fingerprint(), "python": _this_python(), "tool": _tool()})
    unfinished = _note().with_suffix(".new")
    unfinished.write_text(text, "utf-8")
    unfinished.replace(_note())


def _create() -> None:
    if VENV.is_symlink():
        VENV.unlink()
    elif VENV.exists():
        shutil.rmtree(VENV)
    if _tool() == "uv":
        _run("uv", "venv", "--quiet", "--no-project", "--python", sys.executable, str(VENV))
        return
    if not importlib.util.find_spec("venv") or not importlib.util.find_spec("ensurepip"):
        _install_venv_module()
    # In a process of its own: this one may have started before the module was there.
    _run(sys.executable, "-m", "venv", str(VENV))


def _install_venv_module() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    # Debian splits the module off its Python; python3.11-venv is always the one that fits.
    package = f"python{version}-venv"
    if not shutil.which("apt-get"):
        _fail(f"This Python {version} has no venv module: install it (or uv), then start again.")
    if not _apt_install(package):
        _fail(f"Python's venv module is missing. Type this, then start again: sudo apt install {package}")


def _install(lock: str) -> None:
    path = LOCKS / f"{lock}.txt"
    if _tool() == "uv":
        _run("uv", "pip", "install", "--python", str(_python()), "--require-hashes", "-r", str(path))
        return
    total = path.read_text("utf-8").count("==")
    install = [str(_python()), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    output: list[str] = []
    with subprocess.Popen(
        [*install, "--progress-bar", "off", "--require-hashes", "-r", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd=PROJECT,
        close_fds=False,
    ) as pip:
        assert pip.stdout is not None
        seen = 0
        for line in pip.stdout:
            output.append(line)
            if line.startswith(("Collecting ", "Requirement already", "Ignoring ")):
                seen += 1
                _progress(f"{seen} of {total} packages")
            elif line.startswith("Installing "):
                _progress("unpacking")
    _progress("")
    if pip.returncode:
        sys.stderr.write("".join(output[-15:]))
        _fail(f"pip could not install {path.relative_to(PROJECT)}: its reason is above. Correct it, then start again.")


def _restart() -> NoReturn:
    command = [str(_python()), *sys.argv]
    if os.name != "nt":
        sys.stdout.flush()
        os.execv(command[0], command)
    # Windows has no exec: wait there, and leave Ctrl-C to the child.
    with subprocess.Popen(command) as child:
        while True:
            try:
                sys.exit(child.wait())
            except KeyboardInterrupt:
                continue


def _install_browser(packages: tuple[str, ...]) -> None:
    """Install Chromium where we may; elsewhere the tests say why they skip."""
    missing = [name for name in packages if not Path(f"/usr/share/doc/{name}").exists()]
    if missing and _is_debian():
        _apt_install(*missing)


def _is_debian() -> bool:
    # Ubuntu's chromium is a stub that fetches a snap, so the family is not enough.
    try:
        return "ID=debian" in Path("/etc/os-release").read_text("utf-8").split()
    except OSError:
        return False


def _apt_install(*packages: str) -> bool:
    """Install Debian packages; False when we are not root or apt cannot do it."""
    if os.name == "nt" or os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    _say(f"Installing {' and '.join(packages)} through apt.")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", "-qq", *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    if done.returncode:
        sys.stderr.write(done.stdout[-2000:])
        _say(f"apt could not install {' and '.join(packages)}: its reason is above.")
    return done.returncode == 0


def _run(*command: str) -> None:
    if subprocess.run(command, cwd=PROJECT, close_fds=False).returncode:
        line = " ".join(command)
        _fail(f"This failed, its reason is above: {line}. Correct it, then start again.")


@contextmanager
def _alone() -> Iterator[None]:
    """Keep two starts from building the same environment."""
    with (PROJECT / ".venv.lock").open("a+b") as handle:
        waiting = False
        while not try_lock(handle.fileno()):
            if not waiting:
                _say(f"Another start is preparing {VENV}; waiting for it.")
                waiting = True
            time.sleep(0.2)
        # The installer inherits the lock: when we are killed it goes on for a while, and the next start has to wait.
        os.set_inheritable(handle.fileno(), True)
        yield


def try_lock(handle: int) -> bool:
    """Lock an open file until it is closed; False when somebody else has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            # Far behind the text: what is locked there cannot be read either.
            os.lseek(handle, 1 << 20, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _fail(sentence: str) -> NoReturn:
    _progress("")
    _say(sentence)
    sys.exit(1)
