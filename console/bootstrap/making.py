"""How an environment is made: beside the others, and with its note written last."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from console.bootstrap.finding import find_environment, hold_environment
from console.bootstrap.locks import alone
from console.bootstrap.places import (
    EARLIER,
    ENVIRONMENTS,
    LINK,
    LOCKS,
    NOTE_FILE,
    PROJECT,
    WINDOWS,
    environments,
    place,
    python,
    read_note,
    wanted,
    written,
)
from console.bootstrap.saying import fail, progress, say, understood
from console.bootstrap.system import OF_OTHERS, apt_install

# What leads pip elsewhere, or lets it find elsewhere what the environment needs.
ELSEWHERE = ("PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_DRY_RUN")
# Prints what a lock names for every machine and this environment does not have.
CHECK = """
import re, sys
from importlib.metadata import distributions
found = {re.sub("[-_.]+", "-", each.metadata["Name"]).lower() for each in distributions()}
print(*sorted(set(sys.argv[1:]) - found))
"""


def wait_and_make(lock: str) -> Path:
    ENVIRONMENTS.mkdir(exist_ok=True)
    with alone():
        # Whoever held the lock before may have done the work.
        environment = find_environment(lock) or _make(lock)
        link(environment)
    return environment


def _make(lock: str) -> Path:
    environment, note = place(lock), wanted(lock)
    tool = "uv" if _has_uv() else "pip"
    say(
        f"{_reason(note)} with {tool} in {environment}. This happens once and takes a minute or "
        "less."
    )
    remove(environment)
    try:
        _create(environment, tool)
        _install(environment, LOCKS / f"{lock}.txt", tool)
        _check(environment, LOCKS / f"{lock}.txt", tool)
        # The note must not outlive a power cut that its packages did not.
        if not WINDOWS:
            os.sync()
        unfinished = environment / f"{NOTE_FILE}.new"
        unfinished.write_bytes(written(note))
        unfinished.replace(environment / NOTE_FILE)
    except BaseException:
        # Room is given back at once; what a kill leaves behind, the next start removes.
        remove(environment)
        raise
    hold_environment(environment)
    return environment


def _has_uv() -> bool:
    # The name may lead to a program that chooses a version and finds none.
    try:
        return subprocess.run(["uv", "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


def _check(environment: Path, lock: Path, tool: str) -> None:
    """End unless everything is there that the lock wants on every machine."""
    pins = re.findall(r"^([\w.-]+)==(?!.*;)", lock.read_text("utf-8"), re.MULTILINE)
    names = {re.sub("[-_.]+", "-", name).lower() for name in pins}
    command = [str(python(environment)), "-I", "-c", CHECK, *names]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or done.stdout.strip():
        missing = done.stdout.strip() or done.stderr.strip()[-300:]
        fail(
            f"{tool} has installed the packages elsewhere than in {environment}, which lacks "
            f"{missing}. Correct its settings, then start again."
        )


def _reason(note: dict[str, str]) -> str:
    found = [known for known in map(read_note, environments()) if known]
    if any(known.get("place", note["place"]) != note["place"] for known in found):
        return "The console has moved: installing its packages anew"
    if any(known.get("locks") != note["locks"] for known in found):
        return "Other versions are wanted: installing the packages"
    return "Installing the packages"


def _create(environment: Path, tool: str) -> None:
    # Also when this runs in another environment, which may be on its way out.
    base = getattr(sys, "_base_executable", None) or sys.executable
    if tool == "uv":
        _run("uv", "venv", "--quiet", "--no-project", "--python", base, str(environment))
        return
    if not importlib.util.find_spec("venv") or not importlib.util.find_spec("ensurepip"):
        _install_venv_module()
    # In a process of its own: this one may have started before the module was there.
    _run(base, "-m", "venv", str(environment))


def _install_venv_module() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    # Debian splits the module off its Python; python3.11-venv is always the one that fits.
    package = f"python{version}-venv"
    if not shutil.which("apt-get"):
        fail(f"This Python {version} has no venv module: install it (or uv), then start again.")
    problem = apt_install(package)
    if problem == OF_OTHERS:
        fail(
            "Python's venv module is missing. Type this, then start again: sudo apt install "
            f"{package}"
        )
    if problem:
        fail(f"{problem} Correct that, then start again.")


def _install(environment: Path, lock: Path, tool: str) -> None:
    interpreter = str(python(environment))
    if tool == "uv":
        _run(
            "uv",
            "pip",
            "install",
            "--no-progress",
            "--python",
            interpreter,
            "--require-hashes",
            "-r",
            str(lock),
        )
        return
    total = lock.read_text("utf-8").count("==")
    seen = 0

    def show(line: str) -> None:
        nonlocal seen
        if line.startswith(("Collecting ", "Requirement already", "Ignoring ")):
            seen += 1
            progress(f"{seen} of {total} packages")
        elif line.startswith("Installing "):
            progress("unpacking")
        elif "Retrying (" in line:
            progress("no answer from the package index, trying again")

    options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    _run(
        interpreter,
        "-m",
        "pip",
        "install",
        *options,
        "--require-hashes",
        "-r",
        str(lock),
        show=show,
    )


def _run(*command: str, show: Callable[[str], None] = lambda line: None) -> None:
    """Run a step of the installation, or end with what it said: in one sentence where we understand
    it.
    """
    said: list[str] = []
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=PROJECT,
            env={name: value for name, value in os.environ.items() if name not in ELSEWHERE},
            close_fds=False,
        ) as step:
            assert step.stdout is not None
            for line in step.stdout:
                said.append(line)
                show(line)
    finally:
        progress("")
    if not step.returncode:
        return
    if problem := understood("".join(said)):
        fail(f"{problem} Correct that, then start again.")
    sys.stderr.write("".join(said[-15:]))
    fail(f"This failed, its reason is above: {' '.join(command)}. Correct it, then start again.")


def link(environment: Path) -> None:
    """Lead .venv to the environment, in one step. What somebody else made of that name stays."""
    if not _is_ours(LINK):
        say(f"{LINK} was not made by this program and is left alone.")
        return
    # Windows lets few people make links, and a checkout can be read-only; nothing here depends on
    # the link.
    with suppress(OSError):
        if LINK.is_dir() and not LINK.is_symlink():
            # Earlier versions of this program worked in it.
            remove(ENVIRONMENTS / EARLIER)
            LINK.replace(ENVIRONMENTS / EARLIER)
        unfinished = PROJECT / ".venv.new"
        unfinished.unlink(missing_ok=True)
        unfinished.symlink_to(environment.relative_to(PROJECT), target_is_directory=True)
        unfinished.replace(LINK)


def _is_ours(link: Path) -> bool:
    if link.is_symlink():
        return Path(os.path.normpath(PROJECT / link.readlink())).parent == ENVIRONMENTS
    return not link.exists() or (link / NOTE_FILE).exists()


def remove(environment: Path) -> None:
    # First the note: half an environment must not look like one.
    (environment / NOTE_FILE).unlink(missing_ok=True)
    shutil.rmtree(environment, ignore_errors=True)
