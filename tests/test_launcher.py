"""The launcher: what it installs when, and what `up` leaves behind however it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from console import bootstrap, supervisor

posix = pytest.mark.skipif(os.name == "nt", reason="process groups and Unix sockets")


@pytest.fixture
def venv(tmp_path, monkeypatch) -> Path:
    """A finished environment of the launcher's, with nothing in it but its note and its Python."""
    monkeypatch.setattr(bootstrap, "PROJECT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "LOCKS", tmp_path / "requirements")
    for path in (bootstrap._python(), bootstrap.LOCKS / "run.txt", bootstrap.LOCKS / "test.txt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("django==5.2\n")
    monkeypatch.setattr(bootstrap, "_install", lambda lock: None)
    bootstrap._make("run", inside=True)
    return Path(tmp_path / ".venv")


def test_what_is_installed_is_not_installed_again(venv):
    assert bootstrap.is_current("run")


def test_the_test_lock_covers_the_run_lock_but_not_the_other_way_round(venv):
    assert not bootstrap.is_current("test")

    bootstrap._make("test", inside=False)

    assert bootstrap.is_current("test")
    assert bootstrap.is_current("run")


def test_a_changed_lock_is_installed_again(venv):
    (bootstrap.LOCKS / "run.txt").write_text("django==5.3\n")

    assert not bootstrap.is_current("run")
    assert not bootstrap.is_current("run", inside=True)


@pytest.mark.parametrize("changed", ["python", "tool"])
def test_another_python_or_tool_means_a_new_environment(venv, changed, monkeypatch):
    done: list[str] = []
    monkeypatch.setattr(bootstrap, "_install", done.append)
    monkeypatch.setattr(bootstrap, "_create", lambda: done.append("new"))
    note = json.loads((venv / "installed.json").read_text())
    (venv / "installed.json").write_text(json.dumps(note | {changed: "another"}))

    assert not bootstrap.is_current("run")
    bootstrap._make("run", inside=False)

    assert done == ["new", "run"]
    assert bootstrap.is_current("run")


def test_an_interrupted_install_starts_over(venv, monkeypatch):
    def interrupt(lock: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bootstrap, "_install", interrupt)

    with pytest.raises(KeyboardInterrupt):
        bootstrap._make("test", inside=False)

    assert not bootstrap.is_current("run")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"lock": "run"}'])
def test_a_damaged_note_counts_as_none(venv, text):
    (venv / "installed.json").write_text(text)

    assert not bootstrap.is_current("run")


def test_an_environment_without_its_python_is_not_current(venv):
    bootstrap._python().unlink()

    assert not bootstrap.is_current("run")


def test_an_environment_made_by_hand_is_left_alone_from_inside(venv):
    (venv / "installed.json").unlink()

    assert bootstrap.is_current("test", inside=True)


@pytest.mark.parametrize("lock", ["run", "test"])
def test_locks_name_no_registry_and_no_place(lock):
    text = (bootstrap.LOCKS / f"{lock}.txt").read_text()

    assert "--hash=sha256:" in text
    assert not any(word in text for word in ("://", "--index-url", "--find-links", "--trusted-host"))


def test_the_test_lock_has_everything_that_the_console_runs_on():
    run, test = (set(_pins(name)) for name in ("run", "test"))

    assert run <= test


def _pins(lock: str) -> list[str]:
    lines = (bootstrap.LOCKS / f"{lock}.txt").read_text().splitlines()
    return [line.rstrip(" \\") for line in lines if "==" in line and not line.startswith(" ")]


# --- up -------------------------------------------------------------------------------------------


def up(data_dir: Path, port: int, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "manage.py", "up", "--no-demo", "--port", str(port), "--data-dir", str(data_dir)]
    return subprocess.Popen(
        command,
        cwd=bootstrap.PROJECT,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A short path, so that the broker's socket has its place there too."""
    with tempfile.TemporaryDirectory(prefix="console-up-") as name:
        yield Path(name).resolve()


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def console(data_dir, port) -> Iterator[subprocess.Popen[str]]:
    with up(data_dir, port) as process:
        try:
            _read_until(process, "The console is ready")
            yield process
        finally:
            process.kill()
    _wait_until_gone(data_dir)


def _read_until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if words in line:
            return
    raise AssertionError("".join(said))


def _running(data_dir: Path) -> list[str]:
    """The command lines of what runs on a data directory; arguments or environment name it in every process."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if os.fsencode(data_dir) in command + (process / "environ").read_bytes():
                found.append(command.replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def _wait_until_gone(data_dir: Path) -> float:
    started = time.monotonic()
    while _running(data_dir) and time.monotonic() - started < 10:
        time.sleep(0.05)
    assert _running(data_dir) == []
    return time.monotonic() - started


@posix
def test_up_answers_refuses_a_second_start_and_stops_cleanly(console, data_dir, port):
    with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        assert answer.status == 200
    if sys.platform == "linux":
        running = " ".join(_running(data_dir))
        assert all(word in running for word in ("valkey-server", "console.web", "worker", "beat"))

    second = up(data_dir, port)
    said, _ = second.communicate(timeout=20)
    assert second.returncode == 1
    assert said == (
        f"The console already runs on {data_dir} at http://127.0.0.1:{port}/: use that one, stop it,"
        " or choose another data directory with --data-dir.\n"
    )

    asked_at = time.monotonic()
    console.send_signal(signal.SIGINT)
    assert console.wait(10) == 0
    assert time.monotonic() - asked_at < 5
    if sys.platform == "linux":
        assert _running(data_dir) == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_up_leaves_no_process_when_it_is_killed(console, data_dir):
    # The supervisor, its sentinel, broker, web, worker and beat; the worker starts another a little later.
    assert len(_running(data_dir)) >= 6

    console.kill()

    assert _wait_until_gone(data_dir) < 5


@posix
def test_a_taken_port_is_named_before_anything_starts(data_dir):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        said, _ = up(data_dir, port).communicate(timeout=20)

    assert said == f"Port {port} on 127.0.0.1 is taken: stop what uses it or choose another with --port.\n"
    assert [path.name for path in data_dir.iterdir()] == ["up.lock"]


@posix
def test_a_failing_step_shows_its_reason_and_leaves_nothing(data_dir, port):
    process = up(data_dir, port, TOMBSTONE_DAYS="never")

    said, _ = process.communicate(timeout=20)

    assert process.returncode == 1
    assert "TOMBSTONE_DAYS is 'never'" in said
    assert "Traceback" not in said
    assert said.endswith(
        "`manage.py migrate --noinput --verbosity 0` failed; its reason is above. Correct it, then start again.\n"
    )
    if sys.platform == "linux":
        assert _running(data_dir) == []


@posix
def test_a_deep_data_directory_gets_a_short_socket(tmp_path, data_dir, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(data_dir))
    deep = tmp_path / ("d" * 100)

    path = supervisor.socket_path(deep)

    assert len(os.fsencode(path)) <= supervisor.SOCKET_PATH_LIMIT
    assert path != supervisor.socket_path(tmp_path / ("e" * 100))
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_console_open_to_the_network_answers_to_the_machines_name(host, tmp_path, monkeypatch):
    monkeypatch.delenv("CONSOLE_ALLOWED_HOSTS", raising=False)

    names = supervisor.environment(host, tmp_path)["CONSOLE_ALLOWED_HOSTS"].split(",")

    assert {"localhost", socket.gethostname()} <= set(names)


def test_allowed_hosts_that_somebody_set_stay_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("CONSOLE_ALLOWED_HOSTS", "console.example.com")

    assert supervisor.environment("0.0.0.0", tmp_path)["CONSOLE_ALLOWED_HOSTS"] == "console.example.com"


def test_a_password_is_kept_for_its_owner_only(tmp_path):
    path = tmp_path / "demo-password"

    supervisor._keep(path, "first")
    supervisor._keep(path, "second")

    assert path.read_text() == "second"
    assert path.stat().st_mode & 0o777 == 0o600
    supervisor._keep(path, "")
    assert not path.exists()
