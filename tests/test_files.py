"""What the console keeps is its owner's alone: made so, mended at the start, or refused."""

import os
import shelve
import subprocess
import sys
from pathlib import Path

import pytest

from console import files
from console.bootstrap import PROJECT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A data directory that was made with a careless umask."""
    directory = tmp_path / "data"
    directory.mkdir(mode=0o755)
    directory.chmod(0o755)
    for name in files.FILES:
        (directory / name).write_text("x")
        (directory / name).chmod(0o644)
    return directory


def test_whoever_made_them_they_are_closed_at_the_start(place):
    files.keep_private(place)

    assert mode(place) == 0o700
    assert {mode(place / name) for name in files.FILES} == {0o600}


def test_a_directory_for_other_things_stays_open_and_its_files_do_not(place):
    (place / "somebodys.txt").write_text("x")

    files.keep_private(place)

    assert (mode(place), mode(place / "somebodys.txt") & 0o044) == (0o755, 0o044)
    assert {mode(place / name) for name in files.FILES} == {0o600}


def test_a_directory_that_anybody_may_write_to_is_refused(place):
    place.chmod(0o1777)

    with pytest.raises(files.Exposed, match="Anybody may write"):
        files.keep_private(place)


@pytest.mark.parametrize("name", files.FILES)
def test_a_symbolic_link_is_refused_and_its_target_left_alone(place, tmp_path, name):
    target = tmp_path / "target"
    target.write_text("x")
    target.chmod(0o644)
    (place / name).unlink()
    (place / name).symlink_to(target)

    with pytest.raises(files.Exposed, match="symbolic link"):
        files.keep_private(place)
    assert mode(target) == 0o644


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away"
)
@pytest.mark.parametrize("name", ["", "secret-key", "console.sqlite3-wal"])
def test_what_belongs_to_somebody_else_is_refused(place, name):
    os.chown(place / name, 65534, 65534)

    with pytest.raises(files.Exposed, match="belongs to somebody else"):
        files.keep_private(place)


@pytest.mark.slow
def test_every_command_makes_and_mends_them_whatever_the_umask(tmp_path):
    place = tmp_path / "data"
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CONSOLE_", "DATABASE_"))
    }
    command = ["sh", "-c", 'umask 000; exec "$0" manage.py migrate --verbosity 0', sys.executable]
    for _ in range(2):
        subprocess.run(
            command, cwd=PROJECT, env={**clean, "CONSOLE_DATA_DIR": str(place)}, check=True
        )

        assert mode(place) == 0o700
        assert {path.name: mode(path) for path in place.iterdir()} == {
            path.name: 0o600 for path in place.iterdir()
        }
        for path in place.iterdir():
            path.chmod(0o666)
        place.chmod(0o755)


@pytest.mark.slow
def test_up_makes_nothing_that_others_can_read(tmp_path):
    place = tmp_path / "data"
    arguments = ["manage.py", "up", "--port", "1", "--host", "192.0.2.1", "--data-dir", str(place)]

    subprocess.run([sys.executable, *arguments], cwd=PROJECT, capture_output=True, umask=0)

    assert mode(place) == 0o700
    assert {mode(path) for path in place.iterdir()} == {0o600}


@pytest.mark.slow
def test_whatever_beat_keeps_its_schedule_in_is_closed(tmp_path):
    """It reads objects out of it: who could write there would run what they like."""
    with shelve.open(str(tmp_path / "beat-schedule")) as schedule:
        schedule["entries"] = {}
    (tmp_path / "somebodys.txt").write_text("x")
    made = [path for path in tmp_path.iterdir() if path.name.startswith("beat-schedule")]
    for path in made:
        path.chmod(0o666)

    files.keep_private(tmp_path)

    assert made
    assert {mode(path) for path in made} == {0o600}
