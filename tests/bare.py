"""`manage.py lint --bare`: both commands on machines that have nothing but Debian and its python3.

A fresh root of each Debian is made with debootstrap, and the two commands are run in it as root and
as somebody else, who at first is told what to install. It takes root, debootstrap and the network,
and half an hour for each Debian; how packages are reached, the roots learn from this machine when
they are made.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from console.bootstrap import PROJECT

# Every Debian that is supported, and its Python.
SUITES = {"bookworm": "3.11", "trixie": "3.13"}
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "var", "__pycache__", "*.pyc", ".*_cache", ".hypothesis"
)
TOOLS = ("debootstrap", "unshare", "chroot", "apt-config", "apt-get")
SETTINGS_OF_THE_NETWORK = re.compile(
    r"PIP_.*|.*_proxy|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE", re.IGNORECASE
)
PIP_SETTINGS = (
    "/etc/pip.conf",
    "/etc/xdg/pip/pip.conf",
    "~/.config/pip/pip.conf",
    "~/.pip/pip.conf",
)
HOMES = {"root": "/root", "somebody": "/home/somebody"}
# Starts the console, waits until it says that it is ready, asks it once more, and ends it as people
# do.
UP = """
import signal, socket, subprocess, sys, urllib.request
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
command = [sys.executable, "manage.py", "up", "--port", str(port)]
console = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
for line in console.stdout:
    print(line, end="", flush=True)
    if "The console is ready" in line:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=30) as answer:
            print("/readyz says", answer.status, flush=True)
        console.send_signal(signal.SIGINT)
sys.exit(console.wait())
"""


def main(arguments: list[str]) -> int:
    """Try the suites that are named, or all; what follows `--` goes to the tests instead of all of
    them.
    """
    suites, _, pytest_arguments = _partition(arguments, "--")
    if unknown := [suite for suite in suites if suite not in SUITES]:
        print(f"{unknown[0]} is no Debian that is tried here: {', '.join(SUITES)}.")
        return 2
    if os.geteuid() != 0 or (missing := [tool for tool in TOOLS if not shutil.which(tool)]):
        print("This takes root." if os.geteuid() != 0 else f"This takes {' and '.join(missing)}.")
        return 1
    failed = [suite for suite in suites or SUITES if not _try(suite, pytest_arguments)]
    print(f"Failed: {', '.join(failed)}." if failed else "Both commands work everywhere.")
    return 1 if failed else 0


def _partition(words: list[str], at: str) -> tuple[list[str], str, list[str]]:
    place = words.index(at) if at in words else len(words)
    return words[:place], at, words[place + 1 :]


def _try(suite: str, pytest_arguments: list[str]) -> bool:
    test = ["python3", "manage.py", "test", *pytest_arguments]
    up = ["python3", "-c", UP]
    package = f"python{SUITES[suite]}-venv"
    told = (
        f"Python's venv module is missing. Type this, then start again: sudo apt install {package}"
    )
    steps: list[tuple[str, list[str], int, str]] = [
        # Nothing is installed yet, and root has not been here to do it.
        ("somebody", ["python3", "manage.py", "up"], 1, told),
        ("root", up, 0, "/readyz says 200"),
        ("root", test, 0, " 0 failed"),
        ("somebody", up, 0, "/readyz says 200"),
        ("somebody", test, 0, " 0 failed"),
    ]
    with tempfile.TemporaryDirectory(prefix="console-bare-", ignore_cleanup_errors=True) as place:
        root = Path(place) / suite
        made = _logged(Path(place) / "debootstrap", _debootstrap(suite, root))
        if _tell(suite, "debootstrap", made, 0, "Base system installed successfully"):
            return False
        shared = _furnish(root, suite)
        for number, (user, command, code, words) in enumerate(steps):
            name = "up" if "up" in command or command is up else "test"
            done = _logged(Path(place) / str(number), _inside(root, shared, user, command))
            if _tell(suite, f"{name} as {user}", done, code, words):
                return False
    return True


def _logged(log: Path, command: list[str]) -> tuple[int, str, float]:
    started = time.monotonic()
    with log.open("w+", errors="replace") as out:
        code = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        ).returncode
        out.seek(0)
        return code, out.read(), time.monotonic() - started


def _tell(suite: str, step: str, done: tuple[int, str, float], code: int, words: str) -> bool:
    """Print how a step went; whether it failed."""
    failed = done[0] != code or words not in done[1]
    print(
        f"{'failed' if failed else 'ok':<6}  {suite:<9}  {step:<17}  {done[2]:6.0f} s", flush=True
    )
    if failed:
        print(
            f"It ended with {done[0]} instead of {code}, or without saying "
            f"{words!r}:\n{done[1][-6000:]}",
            flush=True,
        )
    return failed


def _debootstrap(suite: str, root: Path) -> list[str]:
    mirrors = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    # What it mounts below the root must not stay when it is stopped.
    return [
        "unshare",
        "--mount",
        "debootstrap",
        "--variant=minbase",
        "--include=python3",
        suite,
        str(root),
        *mirrors[:1],
    ]


def _furnish(root: Path, suite: str) -> list[str]:
    """Give a root the project for both users and this machine's way to packages; the directories to
    share with it.
    """
    subprocess.run(["chroot", root, "useradd", "--create-home", "somebody"], check=True)
    for user, home in HOMES.items():
        shutil.copytree(PROJECT, root / home[1:] / "console", symlinks=True, ignore=LEFT_OUT)
        subprocess.run(["chroot", root, "chown", "--recursive", f"{user}:", home], check=True)
    for path in ("/etc/resolv.conf", "/etc/hosts"):
        shutil.copy(path, root / path[1:])
    shutil.rmtree(root / "etc/ssl/certs", ignore_errors=True)
    shutil.copytree("/etc/ssl/certs", root / "etc/ssl/certs", ignore_dangling_symlinks=True)
    # The package of certificates comes with python3-venv and makes that directory anew, with these.
    if Path("/usr/local/share/ca-certificates").is_dir():
        shutil.copytree(
            "/usr/local/share/ca-certificates",
            root / "usr/local/share/ca-certificates",
            dirs_exist_ok=True,
        )
    acquire = subprocess.run(
        ["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True
    ).stdout
    (root / "etc/apt/apt.conf.d/99this-machine").write_text(acquire)

    said = " ".join(value for name, value in os.environ.items() if name.startswith("PIP_"))
    for settings in map(Path, PIP_SETTINGS):
        for home in HOMES.values() if settings.parts[0] == "~" else ("/",):
            source = settings.expanduser()
            target = root / home[1:] / Path(*settings.parts[1:])
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
                said += f" {source.read_text()}"
    named = [Path(path) for path in re.findall(r"(?:file://)?(/[\w./+-]+)", said)]
    # An index in a directory leads to files beside it.
    named = [path.parent if path.is_dir() and len(path.parts) > 3 else path for path in named]
    for source in named:
        target = root / str(source)[1:]
        if source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return sorted({str(path) for path in named if path.is_dir()})


def _inside(root: Path, shared: list[str], user: str, command: list[str]) -> list[str]:
    """The command that runs another in the root: its mounts and whatever it leaves running end with
    it.
    """
    settings = {
        name: value for name, value in os.environ.items() if SETTINGS_OF_THE_NETWORK.fullmatch(name)
    }
    settings |= {
        "HOME": HOMES[user],
        "PATH": "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin",
        "LANG": "C.UTF-8",
    }
    settings |= {"REQUIRE_BROWSER": "1", "REQUIRE_POSTGRES": "1"}
    mounts = [f"mount --rbind /dev {root}/dev", f"mount -t tmpfs tmpfs {root}/dev/shm"]
    mounts += [f"mount --bind -o ro {path} {root}{path}" for path in shared]
    enter = f'{" && ".join(mounts)} && cd / && exec chroot --userspec={user} {root} "$@"'
    work = f'cd {HOMES[user]}/console && exec "$@"'
    words = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        f"--mount-proc={root}/proc",
        "sh",
        "-ec",
        enter,
        "-",
    ]
    words += [
        "env",
        "-i",
        *(f"{name}={value}" for name, value in settings.items()),
        "sh",
        "-ec",
        work,
        "-",
        *command,
    ]
    return words
