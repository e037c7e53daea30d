"""The environment that the launcher makes: when, where, and what is left when that does not work
out.

A small project with the real launcher in it is started as people start it. What is outside the
project is played by a `uv` on the PATH, which makes an environment with one file in it, the lock;
where pip itself matters, it is the real one.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from console import bootstrap
from console.bootstrap import making, saying

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="the tool on the PATH is a shell script"),
]

BASE = str(getattr(sys, "_base_executable", sys.executable))
PROGRAM = """\
import sys
from pathlib import Path
from console import bootstrap

{before}
bootstrap.enter(sys.argv[1])
installed = Path(sys.prefix) / "installed-lock"
print(sys.prefix, installed.read_text().split()[0] if installed.exists() else "nothing", flush=True)
if "stay" in sys.argv:
    sys.stdin.read()
"""
UV = """\
#!/bin/sh
# uv --version
# uv venv --quiet --no-project --python BASE PLACE
# uv pip install --no-progress --python PLACE/bin/python --require-hashes -r LOCK
set -e
[ "$1" != --version ] || exit "${UV_EXIT:-0}"
if [ "$1" = venv ]; then
    mkdir -p "$6/bin"
    ln -s "$5" "$6/bin/python"
    echo "home = $(dirname "$5")" > "$6/pyvenv.cfg"
else
    echo "$UV_SAYS"
    [ -z "$UV_SAYS" ]
    [ -z "$UV_WAITS" ] || { touch "$UV_WAITS"; while [ -e "$UV_WAITS" ]; do sleep 0.05; done; }
    cp "$8" "$(dirname "$(dirname "$5")")/installed-lock"
fi
"""


class Project:
    """A checkout with the launcher and two locks in it."""

    def __init__(self, path: Path, tools: Path) -> None:
        self.path, self.tools = path, tools

    def lock(self, run: str, test: str = "") -> None:
        for name, text in (("run", run), ("test", test or f"{run} and-more")):
            (self.path / "requirements" / f"{name}.txt").write_text(text)

    def popen(
        self,
        *arguments: str,
        uv: bool = True,
        by: str = BASE,
        program: str = "program.py",
        **env: str,
    ) -> subprocess.Popen[str]:
        # Nothing of this process's own environment, and no launcher but the project's.
        path = f"{self.tools}:/usr/bin:/bin" if uv else "/usr/bin:/bin"
        return subprocess.Popen(
            [by, program, *arguments],
            cwd=self.path,
            env={"PATH": path, "LC_ALL": "C.UTF-8", **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start(self, *arguments: str, **options: Any) -> tuple[str, str]:
        """Where the program ran and on which lock, and what the launcher said."""
        process = self.popen(*arguments, **options)
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        return out.strip(), err

    def fail(self, *arguments: str, **options: Any) -> str:
        process = self.popen(*arguments, **options)
        out, err = process.communicate(timeout=600)
        assert (process.returncode, out) == (1, ""), err
        assert "Traceback" not in err
        return err

    @property
    def environments(self) -> set[str]:
        return {path.name for path in (self.path / ".venvs").iterdir() if path.is_dir()}

    @property
    def link(self) -> Path:
        return (self.path / ".venv").resolve()


@pytest.fixture
def project(tmp_path) -> Project:
    path, tools = tmp_path / "checkout", tmp_path / "tools"
    for directory in (path / "console", path / "requirements", tools):
        directory.mkdir(parents=True)
    shutil.copy(bootstrap.PROJECT / "console" / "__init__.py", path / "console")
    shutil.copytree(
        bootstrap.PROJECT / "console" / "bootstrap",
        path / "console" / "bootstrap",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copy(bootstrap.PROJECT / "manage.py", path)
    (path / "program.py").write_text(PROGRAM.format(before=""))
    (tools / "uv").write_text(UV)
    (tools / "uv").chmod(0o755)
    project = Project(path, tools)
    project.lock("first")
    return project


def test_the_first_start_makes_an_environment_and_the_second_uses_it(project):
    first, said = project.start("up")

    assert "Installing the packages with uv" in said
    assert first.endswith(" first")
    assert f"{project.link} first" == first
    assert project.start("up") == (first, "")


def test_the_environment_for_the_tests_serves_the_console_but_not_the_other_way_round(project):
    run, _ = project.start("up")
    test, said = project.start("test")

    assert "Installing" in said
    assert test != run
    assert project.start("up") == (test, "")
    assert len(project.environments) == 1


def test_a_changed_lock_is_installed_beside_what_is_there_and_takes_its_place(project):
    before, _ = project.start("up")
    project.lock("second")

    after, said = project.start("up")

    assert said.startswith("Other versions are wanted")
    assert after.endswith(" second")
    assert f"{project.link} second" == after != before
    assert len(project.environments) == 1


@pytest.mark.parametrize("reason", ["error: Failed to fetch, dns error", "error: the disk burns"])
def test_an_installation_that_fails_leaves_what_worked(project, reason):
    before, _ = project.start("up")
    project.lock("second")

    project.fail("up", UV_SAYS=reason)

    assert f"{project.link} first" == before
    project.lock("first")
    assert project.start("up") == (before, "")


def test_an_installation_that_fails_gives_its_room_back(project):
    project.fail("up", UV_SAYS="error: the disk burns")

    assert project.environments == set()


@pytest.mark.parametrize(("made_with", "found_with"), [(True, False), (False, True)])
def test_a_tool_that_comes_to_the_path_or_goes_is_no_reason_to_build(
    project, made_with, found_with
):
    project.lock("# nothing")
    before, _ = project.start("up", uv=made_with)

    assert project.start("up", uv=found_with) == (before, "")


def test_another_python_gets_an_environment_of_its_own_and_leaves_the_others(project):
    others = [
        found
        for name in ("3.11", "3.12", "3.13", "3")
        if (found := shutil.which(f"python{name}", path="/usr/bin"))
    ]
    others = [other for other in others if os.path.realpath(other) != os.path.realpath(BASE)]
    if not others:
        pytest.skip("there is one Python only")
    ours, _ = project.start("up")

    theirs, said = project.start("up", by=others[0])

    assert "Installing" in said
    assert ours != theirs
    assert project.start("up") == (ours, "")
    assert project.start("up", by=others[0]) == (theirs, "")


def test_a_moved_checkout_is_noticed(project):
    before, _ = project.start("up")
    project.path = project.path.rename(project.path.with_name("elsewhere"))

    after, said = project.start("up")

    assert said.startswith("The console has moved")
    assert after != before
    assert after.startswith(f"{project.path}/")
    # It can be the same checkout by another path, whose environment is not to be built by turns.
    assert len(project.environments) == 2
    for note in project.path.glob(f".venvs/*/{bootstrap.NOTE_FILE}"):
        os.utime(note, (0, 0))
    assert project.start("up") == (after, "")
    assert len(project.environments) == 1


def test_a_copied_checkout_gets_its_own_and_leaves_the_first(project, tmp_path):
    before, _ = project.start("up")
    copy = Project(
        Path(shutil.copytree(project.path, tmp_path / "copy", symlinks=True)), project.tools
    )

    after, _ = copy.start("up")

    assert after.startswith(f"{copy.path}/")
    assert project.start("up") == (before, "")


def test_what_a_running_console_uses_stays_until_it_ends(project):
    with project.popen("up", "stay") as console:
        assert console.stdout is not None
        before = console.stdout.readline().split()[0]
        project.lock("second")

        after, _ = project.start("up")

        assert Path(before, "installed-lock").read_text() == "first"
        assert str(project.link) == after.split()[0]
        project.start("up")
        assert Path(before).exists()
        console.communicate()
    project.start("up")
    assert not Path(before).exists()


def test_a_program_started_by_the_link_goes_on_in_the_environment_itself(project):
    project.start("up")

    where, _ = project.start("up", by=str(project.path / ".venv" / "bin" / "python"))

    assert where == f"{project.link} first"
    assert "/.venvs/" in where


def test_a_program_started_in_an_outdated_environment_goes_on_in_a_new_one(project):
    before, _ = project.start("up")
    project.lock("second")

    after, _ = project.start("up", by=str(project.path / ".venv" / "bin" / "python"))

    assert after.endswith(" second")
    assert not Path(before.split()[0]).exists()


def test_two_starts_at_once_build_once(project):
    both = [project.popen("up"), project.popen("up")]

    said = [process.communicate(timeout=600) for process in both]

    assert said[0][0] == said[1][0]
    assert sum("Installing" in err for _, err in said) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"lock": "run"}'])
def test_a_damaged_note_counts_as_none(project, text):
    before, _ = project.start("up")
    (project.link / bootstrap.NOTE_FILE).write_text(text)

    after, said = project.start("up")

    assert "the packages with uv" in said
    assert after == before


def test_an_environment_whose_python_is_gone_is_made_again(project):
    before, _ = project.start("up")
    (project.link / "bin" / "python").unlink()

    assert project.start("up")[0] == before


@pytest.fixture
def hand(project) -> Path:
    """An environment that somebody has made, with nothing in it."""
    hand = project.path / ".venv"
    subprocess.run([BASE, "-m", "venv", "--without-pip", str(hand)], check=True)
    return Path(hand)


def test_an_empty_environment_made_by_hand_is_left_alone(project, hand):
    where, said = project.start("up", by=str(hand / "bin" / "python"))

    assert "is left alone" in said
    assert "/.venvs/" in where
    assert (hand / "bin" / "python").exists()


@pytest.mark.parametrize("kind", ["file", "link", "link to itself"])
def test_whatever_somebody_else_called_venv_is_left_alone(project, tmp_path, kind):
    link = project.path / ".venv"
    if kind == "file":
        link.write_text("mine")
    else:
        link.symlink_to(tmp_path / "mine" if kind == "link" else link)
    before = link.read_text() if kind == "file" else link.readlink()

    where, said = project.start("up")

    assert "is left alone" in said
    assert "/.venvs/" in where
    assert (link.read_text() if kind == "file" else link.readlink()) == before


def test_what_is_not_ours_among_the_environments_is_not_removed(project, tmp_path):
    mine = tmp_path / "elsewhere"
    for place in (mine, project.path / ".venvs" / "mine"):
        place.mkdir(parents=True)
        (place / "work").write_text("mine")
    (project.path / ".venvs" / ("0" * 12)).symlink_to(mine)

    project.start("up")
    project.start("up")

    assert (mine / "work").exists()
    assert (project.path / ".venvs" / "mine" / "work").exists()


def test_a_place_for_environments_that_leads_elsewhere_is_refused(project, tmp_path):
    (project.path / ".venvs").symlink_to(tmp_path)

    assert "is a link: remove it" in project.fail("up")


def test_an_environment_made_by_hand_is_used_from_inside_and_never_removed(project, hand):
    (next(hand.glob("lib/python*/site-packages")) / "django.py").touch()

    assert project.start("test", by=str(hand / "bin" / "python")) == (f"{hand} nothing", "")
    where, said = project.start("up")

    assert "is left alone" in said
    assert "/.venvs/" in where
    assert (hand / "bin" / "python").exists()


def test_the_environment_of_an_earlier_version_is_replaced(project):
    (project.path / ".venv" / "bin").mkdir(parents=True)
    (project.path / ".venv" / bootstrap.NOTE_FILE).write_text(
        json.dumps({"lock": "test", "locks": "", "tool": "pip"})
    )

    where, _ = project.start("up")

    assert where == f"{project.link} first"
    assert len(project.environments) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_checkout_of_somebody_else_is_used_as_it_is(project):
    system = "/usr/bin/python3"
    if not Path(system).exists():
        pytest.skip("this system has no Python of its own, which everybody can start")
    with tempfile.TemporaryDirectory(prefix="console-checkout-", dir="/tmp") as place:
        Path(place).chmod(0o755)
        project.path = Path(shutil.copytree(project.path, Path(place, "checkout")))
        ours, _ = project.start("up", by=system)

        theirs = subprocess.run(
            ["setpriv", "--reuid=65534", "--clear-groups", system, "program.py", "up"],
            cwd=project.path,
            env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )

    assert (theirs.stdout.strip(), theirs.stderr) == (ours, "")


# --- At the same time -----------------------------------------------------------------------------


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_start_removes_no_environment_that_another_one_is_building(project, tmp_path):
    waits = tmp_path / "waits"
    project.start("up")
    builds = project.popen("test", UV_WAITS=str(waits))
    _wait_for(waits)

    project.start("up")
    waits.unlink()

    out, err = builds.communicate(timeout=600)
    assert builds.returncode == 0, err
    assert out.split()[1] == "first"


def test_what_a_killed_start_left_running_is_waited_for(project, tmp_path):
    waits = tmp_path / "waits"
    killed = project.popen("up", UV_WAITS=str(waits))
    _wait_for(waits)
    killed.kill()

    following = project.popen("up")
    assert following.stderr is not None
    assert following.stderr.readline().startswith("Another start is preparing")
    waits.unlink()

    out, err = following.communicate(timeout=600)
    assert following.returncode == 0, err
    assert out.split()[1] == "first"
    killed.communicate()


# --- Killed ---------------------------------------------------------------------------------------

# Kills the launcher when it comes to a line for the first time; with none to kill at, it names the
# lines instead, each with what a kill there would leave: files, and perhaps a program at work.
TRACER = """
import os, signal, stat
target, seen = os.environ["KILL_AT_LINE"], set()
place = os.getcwd()

def left():
    found = []
    for where, directories, files in os.walk(place):
        for name in directories + files:
            path = os.path.join(where, name)
            about = os.lstat(path)
            if stat.S_ISLNK(about.st_mode):
                holds = os.readlink(path)
            else:
                holds = open(path, "rb").read() if stat.S_ISREG(about.st_mode) else b""
            if "__pycache__" not in path:
                found.append((path, about.st_mode, holds))
    return hash((tuple(sorted(found)), has_a_child()))

def has_a_child():
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True

def step(frame, event, argument):
    folder, _, name = frame.f_code.co_filename.rpartition("/")
    if folder != os.path.dirname(bootstrap.__file__):
        return None
    if event == "line":
        line = f"{name}:{frame.f_lineno}"
        if line == target:
            os.kill(os.getpid(), signal.SIGKILL)
        if not target and line not in seen:
            seen.add(line)
            os.write(1, f"{line}:{left()}\\n".encode())
    return step

sys.settrace(step)
"""


def test_killed_at_any_line_of_a_build_something_works_and_the_next_start_ends_the_work(project):
    """Where a kill at two lines leaves the same, the first of them stands for both."""
    project.start("up")
    (project.path / "traced.py").write_text(PROGRAM.format(before=TRACER.replace("\\\\", "\\")))
    project.lock("second")
    pristine = shutil.copytree(project.path, project.path.with_name("pristine"), symlinks=True)
    traced = project.popen("up", program="traced.py", KILL_AT_LINE="")
    said = traced.communicate(timeout=600)[0]
    lines = re.findall(r"^(\w+\.py:\d+):(-?\d+)$", said, re.MULTILINE)
    assert len(lines) > 60
    first_of: dict[str, str] = {}
    for line, left in lines:
        first_of.setdefault(left, line)
    assert len(first_of) > 8

    for line in first_of.values():
        shutil.rmtree(project.path)
        shutil.copytree(pristine, project.path, symlinks=True)
        killed = project.popen("up", program="traced.py", KILL_AT_LINE=line)
        killed.communicate(timeout=600)
        assert killed.returncode == -signal.SIGKILL

        assert (project.link / "installed-lock").read_text() in ("first", "second"), line
        assert (project.link / bootstrap.NOTE_FILE).exists(), line
        assert os.access(project.link / "bin" / "python", os.X_OK), line
        after, _ = project.start("up")
        assert after == f"{project.link} second", line
        assert len(project.environments) == 1, line


# --- Why it does not work -------------------------------------------------------------------------

PIP = {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1", "PIP_DEFAULT_TIMEOUT": "5"}
NEEDS_A_PACKAGE = f"django==5.2 --hash=sha256:{'0' * 64}\n"


@pytest.mark.parametrize("index", ["http://127.0.0.1:1/simple", "https://packages.invalid/simple"])
def test_an_offline_first_start_says_in_one_sentence_that_packages_cannot_be_reached(
    project, index
):
    project.lock(NEEDS_A_PACKAGE, NEEDS_A_PACKAGE)

    said = project.fail("up", uv=False, PIP_INDEX_URL=index, **PIP).splitlines()

    assert said[0].startswith("Installing the packages with pip")
    sentence = (
        "The packages cannot be reached: this machine has no connection to where they are kept."
    )
    assert said[1:] == [f"{sentence} Correct that, then start again."]
    assert project.environments == set()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("OSError: [Errno 28] No space left on device", "no room left"),
        ("error: failed to write: Disk quota exceeded (os error 122)", "no room left"),
        ("error sending request: dns error", "cannot be reached"),
        ("Retrying: ReadTimeoutError\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES", ""),
        ("ERROR: it burns", ""),
    ],
)
def test_what_an_installer_says_is_understood_in_whichever_words(said, words):
    assert words in (understood := saying.understood(said))
    assert bool(understood) == bool(words)


def test_packages_that_were_installed_elsewhere_are_noticed(project, tmp_path):
    project.lock("asgiref==3.9.1 --hash=sha256:0\nno-such==1 ; sys_platform == 'none'\n")

    said = project.fail("up")

    assert "uv has installed the packages elsewhere" in said
    assert "which lacks asgiref" in said
    assert project.environments == set()


def test_a_uv_that_cannot_run_is_not_used(project):
    project.lock("# nothing")

    assert "with pip in" in project.start("up", UV_EXIT="127")[1]


def test_a_checkout_that_cannot_be_written_needs_no_link(project, monkeypatch, tmp_path):
    monkeypatch.setattr(making, "PROJECT", tmp_path / "nowhere")
    monkeypatch.setattr(making, "LINK", tmp_path / "nowhere" / ".venv")

    making.link(tmp_path / "nowhere" / ".venvs" / "any")

    assert not (tmp_path / "nowhere").exists()


def test_where_files_cannot_be_locked_nobody_waits_for_ever(project):
    locked = "import fcntl, errno\ndef none(*_): raise OSError(errno.ENOLCK, 'No locks')\n"
    (project.path / "program.py").write_text(PROGRAM.format(before=f"{locked}fcntl.flock = none"))

    assert "could not be made: [Errno 37] No locks" in project.fail("up")


def test_a_program_started_by_the_link_leaves_it(project):
    program = PROGRAM.replace("bootstrap.enter(sys.argv[1])", "bootstrap.leave_the_link()")
    (project.path / "node.py").write_text(program.format(before=""))
    project.start("up")

    by_link = str(project.path / ".venv" / "bin" / "python")
    where, _ = project.start("web", by=by_link, program="node.py")

    assert where == f"{project.link} first"
    assert "/.venvs/" in where


def test_the_reason_of_an_installer_that_is_not_understood_is_shown(project):
    said = project.fail("up", UV_SAYS="error: the disk burns").splitlines()

    assert said[1] == "error: the disk burns"
    assert said[2].startswith("This failed, its reason is above: uv pip install ")


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting takes root")
@pytest.mark.parametrize("uv", [True, False])
def test_a_full_disk_is_named(project, uv):
    path, room = (f"{project.tools}:/usr/bin:/bin", "64k") if uv else ("/usr/bin:/bin", "4m")
    script = (
        f"mount -t tmpfs -o size={room} tmpfs {project.path}/.venvs && exec {BASE} program.py up"
    )
    if uv:
        script = script.replace(
            "exec", f"head -c 60000 /dev/zero > {project.path}/.venvs/heap && exec"
        )
    (project.path / ".venvs").mkdir()
    project.lock("first " * 10_000)

    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        cwd=project.path,
        env={"PATH": path},
        capture_output=True,
        text=True,
    )
    if "unshare failed" in done.stderr:
        pytest.skip("this machine lets nobody mount")

    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        "There is no room left on the disk for the packages. Correct that, then start again."
    ]


def test_a_place_that_is_not_utf8_is_named_in_a_sentence(project):
    project.path = project.path.rename(project.path.with_name(os.fsdecode(b"caf\xe9")))

    said = project.fail("up", program="manage.py")

    assert said.startswith("The console lies in ")
    assert said.endswith("caf\\xe9, which is not UTF-8: choose another place.\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("up", "--data-dir"),
        ("up", "--host"),
        ("import_inventory", "--account", "Acme"),
        ("screenshots",),
        ("test",),
    ],
)
def test_an_argument_that_is_not_utf8_is_named_in_a_sentence(arguments):
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments, os.fsdecode(b"/tmp/caf\xe9")],
        cwd=bootstrap.PROJECT,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "/tmp/caf\\xe9 is not UTF-8: give it another name.\n"


def test_a_variable_that_is_not_utf8_is_named_in_a_sentence():
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=bootstrap.PROJECT,
        env={**os.environ, "CONSOLE_DATA_DIR": os.fsdecode(b"/tmp/caf\xe9")},
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "CONSOLE_DATA_DIR is /tmp/caf\\xe9, which is not UTF-8.\n"


# --- What the system has to have ------------------------------------------------------------------

ELF = b"\x7fELF"


def _programs() -> list[Path]:
    """Every program that a package brings along, as opposed to what Python loads."""
    packages = Path(sysconfig.get_path("purelib"))
    files = (
        Path(place, name)
        for place, _, names in os.walk(packages)
        for name in names
        if ".so" not in name
    )
    return [path for path in files if os.access(path, os.X_OK) and _begins_with(path, ELF)]


def _begins_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def test_every_bundled_program_is_asked_for_the_libraries_it_lacks():
    packages = Path(sysconfig.get_path("purelib"))
    # PostgreSQL's other programs are not started.
    programs = [path.relative_to(packages) for path in _programs() if "pginstall" not in path.parts]

    assert programs
    for program in programs:
        assert any(fnmatch(str(program), pattern) for pattern in bootstrap.BUNDLED_PROGRAMS), (
            program
        )
    for pattern in bootstrap.BUNDLED_PROGRAMS:
        assert list(packages.glob(pattern)), pattern


@pytest.mark.skipif(sys.platform != "linux", reason="looks into ELF files")
def test_a_library_that_a_bundled_program_lacks_is_named_with_its_package(tmp_path):
    program = tmp_path / bootstrap.BUNDLED_PROGRAMS[0]
    program.parent.mkdir(parents=True)
    node = Path(sysconfig.get_path("purelib"), bootstrap.BUNDLED_PROGRAMS[0]).read_bytes()
    assert b"\0libatomic.so.1\0" in node
    program.write_bytes(node.replace(b"\0libatomic.so.1\0", b"\0libnowher.so.1\0"))
    program.chmod(0o755)

    assert bootstrap.missing_libraries(tmp_path) == ["libnowher.so.1"]


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libatomic.so.1", "libatomic1"),
        ("libstdc++.so.6", "libstdc++6"),
        ("libgcc_s.so.1", "libgcc-s1"),
        ("libxml2.so.2", "libxml2-2"),
    ],
)
def test_the_package_of_a_library_goes_by_the_policy(library, package):
    assert bootstrap.library_package(library) == package


@pytest.mark.parametrize(("required", "outcome"), [("", "1 skipped"), ("1", "1 error")])
@pytest.mark.parametrize("lacking", ["PLAYWRIGHT_NODEJS_PATH", "CHROMIUM"])
def test_browser_tests_are_skipped_where_the_driver_or_the_browser_does_not_start(
    tmp_path, lacking, required, outcome
):
    (tmp_path / "pytest.ini").write_text("[pytest]\nDJANGO_SETTINGS_MODULE = console.settings\n")
    (tmp_path / "test_it.py").write_text(
        "from tests.browser import chromium\n\ndef test_it(chromium): pass\n"
    )
    # Each of them is there, and ends at once.
    env = {
        **os.environ,
        "REQUIRE_BROWSER": required,
        "CONSOLE_DATA_DIR": str(tmp_path),
        lacking: "/bin/false",
    }

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path,
        env={**env, "PYTHONPATH": str(bootstrap.PROJECT)},
        capture_output=True,
        text=True,
    )

    assert outcome in done.stdout.splitlines()[-1], done.stdout
    assert "not start" in done.stdout


@pytest.mark.parametrize("lock", ["run", "test"])
def test_locks_name_no_registry_and_no_place(lock):
    text = (bootstrap.LOCKS / f"{lock}.txt").read_text()

    assert "--hash=sha256:" in text
    assert not any(
        word in text for word in ("://", "--index-url", "--find-links", "--trusted-host")
    )


def test_the_test_lock_has_everything_that_the_console_runs_on():
    run, test = (set(_pins(name)) for name in ("run", "test"))

    assert run <= test


def _pins(lock: str) -> list[str]:
    lines = (bootstrap.LOCKS / f"{lock}.txt").read_text().splitlines()
    return [line.rstrip(" \\") for line in lines if "==" in line and not line.startswith(" ")]
