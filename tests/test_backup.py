"""The embedded database is copied while somebody writes, and put back when nobody does."""

import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from console import bootstrap, embedded
from console.supervisor import preparing
from console.supervisor.saying import CannotStart
from tests.terminal import on_terminal

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def env_of(data_dir: Path) -> dict[str, str]:
    left_out = ("DATABASE_URL", "CONSOLE_LOG_FORMAT")
    env = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**env, "CONSOLE_DATA_DIR": str(data_dir), "TERM": "dumb"}


def manage(data_dir: Path, *words: object) -> tuple[int, str]:
    """Run a command on a data directory; its status, and all it said."""
    done = subprocess.run(
        [sys.executable, "manage.py", *map(str, words)],
        cwd=bootstrap.PROJECT,
        env=env_of(data_dir),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A data directory with an empty console in it."""
    data_dir: Path = tmp_path_factory.mktemp("made") / "data"
    assert manage(data_dir, "migrate", "--verbosity", "0") == (0, "")
    return data_dir


@pytest.fixture
def data_dir(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "data")
    (tmp_path / "data").chmod(0o700)
    return tmp_path / "data"


@pytest.fixture
def database(data_dir: Path) -> Path:
    return data_dir / "console.sqlite3"


def write(database: Path, number: int) -> None:
    """Two rows that are always alike."""
    with closing(sqlite3.connect(database, timeout=20, isolation_level=None)) as opened:
        opened.execute("PRAGMA journal_mode = WAL")
        opened.execute("BEGIN IMMEDIATE")
        for name in ("one", "other"):
            opened.execute(
                "INSERT OR REPLACE INTO recycle_sweep (name, ran_at, done, failed)"
                " VALUES (?, '2026-11-27', ?, 0)",
                (name, number),
            )
        opened.execute("COMMIT")


def read(database: Path) -> list[int]:
    with closing(sqlite3.connect(database)) as opened:
        rows = opened.execute("SELECT done FROM recycle_sweep WHERE name IN ('one', 'other')")
        return [number for (number,) in rows]


@contextmanager
def writing(database: Path) -> Iterator[list[int]]:
    """Somebody writes as fast as they can; the numbers written so far."""
    written, over = [0], threading.Event()

    def work() -> None:
        while not over.is_set():
            write(database, written[0] + 1)
            written[0] += 1

    writer = threading.Thread(target=work)
    writer.start()
    try:
        yield written
    finally:
        over.set()
        writer.join()


def damage(database: Path) -> None:
    with closing(sqlite3.connect(database)) as opened:
        opened.execute("PRAGMA journal_mode = DELETE")
    content = bytearray(database.read_bytes())
    content[8192:40_960] = b"\xa5" * (40_960 - 8192)
    database.write_bytes(content)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- Backup ---------------------------------------------------------------------------------------


def test_a_backup_made_while_somebody_writes_is_whole_and_of_one_moment(
    data_dir, database, tmp_path
):
    file = tmp_path / "backup"
    write(database, 0)

    with writing(database) as written:
        for _ in range(2):  # the second one replaces the first
            before = written[0]
            status, said = manage(data_dir, "backup", file)
            assert (status, said) == (0, f"Wrote {file}, {file.stat().st_size:,} bytes.\n")
            one, other = read(file)
            assert one == other >= before
            assert written[0] > before

    assert embedded.why_damaged(file) == ""
    assert mode_of(file) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "data"]


def test_a_backup_replaces_nothing_but_a_backup(data_dir, database, tmp_path):
    letter, other = tmp_path / "letter.txt", tmp_path / "other.sqlite3"
    letter.write_text("Dear Alice")
    with closing(sqlite3.connect(other)) as opened:
        opened.execute("CREATE TABLE theirs (id)")
    link = tmp_path / "link"
    link.symlink_to(database)

    for file, why in (
        (letter, "is something else than a backup"),
        (other, "is something else than a backup"),
        (database, "is the database itself, or a link"),
        (link, "is the database itself, or a link"),
        (tmp_path / "nowhere" / "file", "is no directory"),
        (tmp_path, "is something else than a backup"),
    ):
        status, said = manage(data_dir, "backup", file)
        assert status == 1
        assert why in said
    assert letter.read_text() == "Dear Alice"


def test_a_backup_of_what_is_damaged_leaves_the_one_before(data_dir, database, tmp_path):
    file = tmp_path / "backup"
    assert manage(data_dir, "backup", file)[0] == 0
    before = file.read_bytes()
    damage(database)

    status, said = manage(data_dir, "backup", file)

    assert status == 1
    assert "Traceback" not in said
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "data"]


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
def test_what_takes_long_shows_its_progress_on_a_terminal_and_nowhere_else(data_dir, tmp_path):
    file = str(tmp_path / "backup")
    env = {**env_of(data_dir), "CONSOLE_DEMO_PASSWORD": "a-Long-Secret-7"}

    for words, bar in (
        (["demo"], "History"),
        (["backup", file], "Backup"),
        (["restore", file], "Restore"),
    ):
        command = [sys.executable, "manage.py", *words]
        said = "".join(on_terminal(command, cwd=bootstrap.PROJECT, env=env))
        assert f"{bar}: 100%" in said

    assert "%" not in manage(data_dir, "backup", file)[1]


@pytest.mark.postgres
@pytest.mark.django_db
def test_on_postgresql_a_sentence_says_what_to_use(tmp_path):
    for name, tool in (("backup", "pg_dump"), ("restore", "pg_restore")):
        with pytest.raises(CommandError, match=tool):
            call_command(name, str(tmp_path / "file"))


# --- Restore --------------------------------------------------------------------------------------


def kept_aside(database: Path) -> list[Path]:
    return sorted(database.parent.glob("console.sqlite3.before-*"))


def test_a_restore_brings_back_what_was_and_keeps_what_is(data_dir, database, tmp_path):
    write(database, 1)
    assert manage(data_dir, "backup", tmp_path / "backup")[0] == 0
    write(database, 2)

    status, said = manage(data_dir, "restore", tmp_path / "backup")

    assert status == 0
    assert read(database) == [1, 1]
    [aside] = kept_aside(database)
    assert read(aside) == [2, 2]
    assert str(aside) in said
    assert (mode_of(database), mode_of(aside)) == (0o600, 0o600)
    assert manage(data_dir, "migrate", "--check") == (0, "")


def test_a_restore_is_refused_while_the_console_runs(data_dir, database, tmp_path):
    assert manage(data_dir, "backup", tmp_path / "backup")[0] == 0
    write(database, 2)
    handle = preparing.claim(data_dir, "http://127.0.0.1:8000/")
    try:
        status, said = manage(data_dir, "restore", tmp_path / "backup")
    finally:
        os.close(handle)

    assert status == 1
    assert said.startswith(f"CommandError: The console runs on {data_dir}. Stop it first: Ctrl-C")
    assert (read(database), kept_aside(database)) == ([2, 2], [])


def test_a_restore_is_refused_while_anybody_has_the_database_open(data_dir, database, tmp_path):
    assert manage(data_dir, "backup", tmp_path / "backup")[0] == 0
    write(database, 2)
    with closing(sqlite3.connect(database)) as somebody:
        somebody.execute("SELECT count(*) FROM recycle_sweep").fetchone()
        status, said = manage(data_dir, "restore", tmp_path / "backup")

    assert status == 1
    assert f"Somebody has {database} open." in said
    assert (read(database), kept_aside(database)) == ([2, 2], [])


def test_nothing_but_a_whole_backup_of_this_or_an_older_release_is_restored(
    data_dir, database, tmp_path
):
    write(database, 2)
    damaged, newer, other = (tmp_path / name for name in ("damaged", "newer", "other"))
    for file in (damaged, newer):
        assert manage(data_dir, "backup", file)[0] == 0
    damage(damaged)
    with closing(sqlite3.connect(newer)) as opened:
        opened.execute(
            "INSERT INTO django_migrations (app, name, applied)"
            " VALUES ('recycle', '9999_of_tomorrow', '2030-01-01')"
        )
        opened.commit()
    other.write_text("Dear Alice")

    for file, why in (
        (damaged, "is damaged"),
        (newer, "was made by a newer release, which has 9999_of_tomorrow"),
        (other, "is damaged: file is not a database"),
        (tmp_path / "nowhere", "There is no file"),
    ):
        status, said = manage(data_dir, "restore", file)
        assert status == 1
        assert why in said
        assert "Traceback" not in said
    assert (read(database), kept_aside(database)) == ([2, 2], [])


def test_what_is_damaged_is_kept_aside_with_its_log(data_dir, database, tmp_path):
    write(database, 1)
    assert manage(data_dir, "backup", tmp_path / "backup")[0] == 0
    damage(database)
    log = database.with_name("console.sqlite3-wal")
    log.write_bytes(b"left behind")

    status, said = manage(data_dir, "restore", tmp_path / "backup")

    assert status == 0, said
    assert read(database) == [1, 1]
    assert not log.exists()
    assert len(kept_aside(database)) >= 1


# --- At the start ---------------------------------------------------------------------------------


def test_a_damaged_database_ends_the_start_with_what_to_do(data_dir, database):
    damage(database)

    status, said = manage(data_dir, "up", "--no-demo", "--port", free_port())

    assert status == 1
    assert f"The database {database} is damaged" in said
    assert "`python3 manage.py restore FILE`" in said


def test_a_whole_a_new_and_a_busy_database_are_no_reason_not_to_start(data_dir, database, tmp_path):
    preparing.refuse_damaged_database(data_dir)
    preparing.refuse_damaged_database(tmp_path)
    write(database, 1)
    with closing(sqlite3.connect(database, isolation_level=None)) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        preparing.refuse_damaged_database(data_dir)
    damage(database)
    with pytest.raises(CannotStart):
        preparing.refuse_damaged_database(data_dir)


def test_a_large_database_is_not_looked_at_for_ever(tmp_path):
    """What was interrupted is nothing that was found."""
    database = tmp_path / "large"
    with closing(sqlite3.connect(database)) as opened:
        opened.execute("CREATE TABLE numbers (n, text)")
        opened.execute(
            "WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < 200000)"
            " INSERT INTO numbers SELECT n, hex(randomblob(50)) FROM up"
        )
        opened.commit()

    assert embedded.why_damaged(database, patience=0.001) == ""
