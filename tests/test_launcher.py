"""`up`: what it refuses, what it says, and what it leaves behind however it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from console import bootstrap, supervisor, web
from console.supervisor import children, command, parts, preparing, watching
from tests.terminal import on_terminal

pytestmark = pytest.mark.slow
posix = pytest.mark.skipif(os.name == "nt", reason="process groups and Unix sockets")


def up(data_dir: Path, port: int | str, *options: str, **env: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "manage.py",
        "up",
        "--no-demo",
        "--port",
        str(port),
        "--data-dir",
        str(data_dir),
    ]
    return subprocess.Popen(
        [*command, *options],
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


@pytest.fixture(params=["127.0.0.1"])
def console(request, data_dir, port) -> Iterator[subprocess.Popen[str]]:
    host = request.param
    with up(data_dir, port, "--host", host) as process:
        try:
            _read_until(process, f"The console is ready: http://{host}:{port}/")
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


def _processes(data_dir: Path) -> list[tuple[int, str]]:
    """What runs on a data directory, with its command line; arguments or environment name it in
    every process.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if os.fsencode(data_dir) in command + (process / "environ").read_bytes():
                found.append((int(process.name), command.replace(b"\0", b" ").decode()))
        except OSError:
            continue
    return found


def _running(data_dir: Path) -> list[str]:
    return [command for _, command in _processes(data_dir)]


def _wait_until_gone(data_dir: Path) -> float:
    started = time.monotonic()
    while _running(data_dir) and time.monotonic() - started < 10:
        time.sleep(0.05)
    assert _running(data_dir) == []
    return time.monotonic() - started


@posix
def test_up_answers_refuses_a_second_start_and_stops_cleanly(console, data_dir, port):
    # It has just said that it is ready.
    for probe in ("readyz", "healthz", "login/?token=secret"):
        with urlopen(f"http://127.0.0.1:{port}/{probe}", timeout=20) as answer:
            assert answer.status == 200
    if sys.platform == "linux":
        running = " ".join(_running(data_dir))
        assert all(word in running for word in ("valkey-server", "console.web", "worker", "beat"))

    looked = subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        cwd=bootstrap.PROJECT,
        env={**os.environ, "CONSOLE_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
    )
    assert "FAIL" not in looked.stdout
    assert "OK    broker" in looked.stdout

    second = up(data_dir, port)
    said, _ = second.communicate(timeout=120)
    assert second.returncode == 1
    assert said == (
        f"The console already runs on {data_dir} at http://127.0.0.1:{port}/: use that one, stop "
        "it,"
        " or choose another data directory with --data-dir.\n"
    )

    console.send_signal(signal.SIGINT)
    assert console.wait(30) == 0
    if sys.platform == "linux":
        assert _running(data_dir) == []
    # Of what is left to be read, every line is JSON, also where a part has said something else.
    lines = [json.loads(line) for line in console.stdout]
    assert {"part": "up", "event": "Stopped."}.items() <= lines[-1].items()
    assert {line["part"] for line in lines} >= {"up", "web", "worker", "broker"}
    [asked] = [line for line in lines if line.get("view") == "login"]
    assert (asked["part"], asked["status"], asked["path"]) == ("web", 200, "/login/")


@posix
def test_on_a_terminal_people_read_what_each_part_says(data_dir, port):
    started = [sys.executable, "manage.py", "up", "--no-demo", "--port", str(port)]
    said = ""

    for piece in on_terminal([*started, "--data-dir", str(data_dir)], cwd=bootstrap.PROJECT):
        said += piece
        if "Stop it with Ctrl-C." in piece:
            with urlopen(f"http://127.0.0.1:{port}/login/?token=secret", timeout=20):
                pass
        if "/login/" in piece:
            break
    _wait_until_gone(data_dir)

    said = re.sub(r"\x1b\[\d*m", "", said)
    assert re.search(r"   web \| [-\d]+ [:\d]+ \[info\] GET /login/ 200 \[console.access\] ", said)
    assert f"    up | The console is ready: http://127.0.0.1:{port}/" in said
    assert "secret" not in said
    assert "{" not in said


@posix
def test_figures_are_those_of_all_processes_also_of_one_that_died(data_dir, port):
    token = {"Authorization": "Bearer open sesame"}
    metrics = Request(f"http://127.0.0.1:{port}/metrics", headers=token)
    env = {"METRICS_TOKEN": "open sesame", "CONSOLE_WEB_PROCESSES": "2"}
    with up(data_dir, port, **env) as process:
        try:
            _read_until(process, "The console is ready")
            for _ in range(12):
                with urlopen(f"http://127.0.0.1:{port}/login/", timeout=20):
                    pass
            web = next(pid for pid, words in _processes(data_dir) if " console.web " in words)
            os.kill(web, signal.SIGKILL)
            _read_until(process, "web ended with -9; starting it again")

            for _ in range(6):
                with urlopen(metrics, timeout=20) as answer:
                    said = answer.read().decode()
                assert 'console_answers_total{status="2xx",view="login"} 12.0' in said
                assert 'console_pass_last_run_timestamp_seconds{pass="purge_due"}' in said
        finally:
            process.terminate()


@posix
def test_a_taken_port_is_named_before_anything_starts(data_dir):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        said, _ = up(data_dir, port).communicate(timeout=120)

    assert (
        said
        == f"Port {port} on 127.0.0.1 is taken: stop what uses it or choose another with --port.\n"
    )
    assert [path.name for path in data_dir.iterdir()] == ["up.lock"]


@posix
@pytest.mark.parametrize("part", ["web", "worker", "beat"])
@pytest.mark.parametrize("missing", ["DATABASE_URL", "REDIS_URL"])
def test_a_part_of_several_nodes_that_lacks_a_service_is_refused(data_dir, port, part, missing):
    services = {"DATABASE_URL": "postgresql://db/console", "REDIS_URL": "redis://queue"}

    with up(data_dir, port, "--only", part, **services | {missing: ""}) as process:
        said, _ = process.communicate(timeout=120)

    assert process.returncode == 1
    assert said.startswith(
        f"`--only {part}` starts one part of a console of several nodes: set {missing} to "
    )
    assert list(data_dir.iterdir()) == []


# --- Where it listens -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("localhost", {"127.0.0.1", "::1"}),
        ("LOCALHOST", {"127.0.0.1", "::1"}),
        ("127.0.0.1", {"127.0.0.1"}),
        ("127.1", {"127.0.0.1"}),
        ("0.0.0.0", {"0.0.0.0"}),
    ],
)
def test_a_name_is_listened_on_by_an_address_of_this_machine(host, addresses, port):
    assert supervisor.numeric_address(host, port) in addresses


def test_an_address_of_ipv6_is_listened_on_with_and_without_brackets(port):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", port))
    except OSError:
        pytest.skip("this machine has no IPv6")

    for host in ("::1", "[::1]"):
        address = supervisor.numeric_address(command._host(host), port)
        assert supervisor.url_of(address, port) == f"http://[::1]:{port}/"


@pytest.mark.parametrize(
    "host", ["nowhere.invalid", "", "two words", "a" * 70, "a..b", "192.0.2.1", "2001:db8::1"]
)
def test_a_name_that_is_not_this_machine_is_refused_in_a_sentence(host, port):
    with pytest.raises(
        supervisor.CannotStart,
        match=r"is no address of this machine: choose another with --host\.$",
    ):
        supervisor.numeric_address(host, port)


@posix
def test_a_name_that_is_not_this_machine_ends_the_start(data_dir, port):
    said, _ = up(data_dir, port, "--host", "nowhere.invalid").communicate(timeout=120)

    assert said == "nowhere.invalid is no address of this machine: choose another with --host.\n"


@pytest.mark.parametrize(
    "port", ["0", "70000", "-1", "http", "8e3", "\N{FULLWIDTH DIGIT EIGHT}0", "", " 80"]
)
def test_a_port_that_is_none_is_refused_in_a_sentence(port, data_dir):
    process = up(data_dir, 8000, f"--port={port}")

    said, _ = process.communicate(timeout=120)

    assert process.returncode == 2
    assert said.startswith("Argument --port: a port is a number from 1 to 65535. ")
    assert list(data_dir.iterdir()) == []


# --- Whether it is ready --------------------------------------------------------------------------


class Answers(BaseHTTPRequestHandler):
    status = HTTPStatus.OK
    hosts: list[str] = []

    def do_GET(self) -> None:
        assert self.path == "/readyz"
        self.hosts.append(self.headers["Host"])
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        pass


@pytest.mark.parametrize("status", [200, 503, 400, 302])
def test_the_console_is_ready_when_readyz_says_so(status):
    kind = type("Kind", (Answers,), {"status": status})
    with HTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()

        assert supervisor.is_ready("127.0.0.1", server.server_port, "localhost") == (status == 200)


@pytest.mark.parametrize(
    ("allowed", "asked"),
    [
        ("console.example.com,localhost", "console.example.com"),
        (" console.example.com , localhost", "console.example.com"),
        (".example.com", "example.com"),
        ("*", "127.0.0.1"),
    ],
)
def test_the_probe_asks_for_a_host_that_is_allowed(allowed, asked):
    hosts: list[str] = []
    kind = type("Kind", (Answers,), {"hosts": hosts})
    with HTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()

        assert supervisor.is_ready("127.0.0.1", server.server_port, allowed)

    assert hosts == [asked]


def test_nobody_there_is_not_ready(port):
    assert not supervisor.is_ready("127.0.0.1", port, "localhost")


@posix
def test_a_part_that_never_comes_up_ends_the_start_with_its_last_line(data_dir, port):
    # Celery looks for its loader by this name, in the worker and in beat.
    with up(data_dir, port, CELERY_LOADER="nowhere.to.be.found") as process:
        said, _ = process.communicate(timeout=600)

    assert process.returncode == 1
    last = said.splitlines()[-1]
    part = last.split()[0]
    assert part in ("worker", "beat")
    assert said.count(f"{part} ended with") == watching.TRIES_TO_START - 1
    assert last.startswith(
        f"{part} does not start, also when tried {watching.TRIES_TO_START} times: it ended with "
    )
    assert "Its last line: " in last
    assert "nowhere" in last
    assert "The console is ready" not in said
    if sys.platform == "linux":
        assert _running(data_dir) == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("console", ["localhost"], indirect=True)
def test_a_console_on_a_name_is_mended_while_it_lives_and_leaves_no_process_when_it_is_killed(
    console, data_dir, port
):
    with urlopen(f"http://localhost:{port}/healthz", timeout=20) as answer:
        assert answer.status == 200

    # However often a part ends that was up, it is started again.
    for _ in range(watching.TRIES_TO_START + 1):
        beat = None
        while beat is None:
            beat = next((pid for pid, command in _processes(data_dir) if " beat " in command), None)
        os.kill(beat, signal.SIGKILL)
        _read_until(console, "beat ended with -9; starting it again")

    # The supervisor, its sentinel, broker, web and worker; beat, and what the worker starts, are
    # there a little later.
    assert len(_running(data_dir)) >= 5
    console.kill()
    assert _wait_until_gone(data_dir) < 5


@posix
def test_a_data_directory_that_is_not_utf8_is_named_in_a_sentence(data_dir):
    place = data_dir / os.fsdecode(b"caf\xe9")
    place.mkdir()

    done = subprocess.run(
        [sys.executable, bootstrap.PROJECT / "manage.py", "up", "--data-dir", "here"],
        cwd=place,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert done.stderr == (
        f"The data directory {data_dir}/caf\\xe9/here is not UTF-8: choose another with "
        "--data-dir.\n"
    )


@posix
def test_a_failing_step_shows_its_reason_and_leaves_nothing(data_dir, port):
    process = up(data_dir, port, TOMBSTONE_DAYS="never")

    said, _ = process.communicate(timeout=120)

    assert process.returncode == 1
    assert "TOMBSTONE_DAYS is 'never'" in said
    assert "Traceback" not in said
    assert said.endswith(
        "`manage.py migrate --noinput --verbosity 0` failed; its reason is above. Correct it, "
        "then start again.\n"
    )
    if sys.platform == "linux":
        assert _running(data_dir) == []


@posix
def test_a_deep_data_directory_gets_a_short_socket(tmp_path, data_dir, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(data_dir))
    deep = tmp_path / ("d" * 100)

    path = supervisor.socket_path(deep)

    assert len(os.fsencode(path)) <= parts.SOCKET_PATH_LIMIT
    assert path != supervisor.socket_path(tmp_path / ("e" * 100))
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_console_open_to_the_network_answers_to_the_machines_name(host, tmp_path, monkeypatch):
    monkeypatch.delenv("CONSOLE_ALLOWED_HOSTS", raising=False)

    names = supervisor.environment(host, host, tmp_path)["CONSOLE_ALLOWED_HOSTS"].split(",")

    assert {"localhost", socket.gethostname()} <= set(names)


def test_allowed_hosts_that_somebody_set_stay_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("CONSOLE_ALLOWED_HOSTS", "console.example.com")

    assert (
        supervisor.environment("0.0.0.0", "0.0.0.0", tmp_path)["CONSOLE_ALLOWED_HOSTS"]
        == "console.example.com"
    )


def test_a_password_is_kept_for_its_owner_only(tmp_path):
    path = tmp_path / "demo-password"

    preparing._keep(path, "first")
    preparing._keep(path, "second")

    assert path.read_text() == "second"
    assert path.stat().st_mode & 0o777 == 0o600
    preparing._keep(path, "")
    assert not path.exists()


LEAVING = """
import pathlib, signal, sys, time
def leave(*_):
    time.sleep(4)
    pathlib.Path(sys.argv[1]).write_text("left")
    sys.exit()
signal.signal(signal.SIGTERM, leave)
pathlib.Path(sys.argv[1]).write_text("here")
time.sleep(60)
"""


def test_parts_of_one_name_are_all_told_to_go(tmp_path):
    """There are several web processes: each finishes what it was asked before."""
    said = [tmp_path / name for name in "ab"]
    console = supervisor.Supervisor(dict(os.environ))
    console.grace = 20
    for path in said:
        console.start(supervisor.Part("web", [sys.executable, "-c", LEAVING, str(path)]))
    deadline = time.monotonic() + 30
    while (
        not all(path.exists() and path.read_text() for path in said) and time.monotonic() < deadline
    ):
        time.sleep(0.05)

    console.shut_down()

    assert [path.read_text() for path in said] == ["left", "left"]


STAYS = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).write_text("here")
time.sleep(600)
"""


@posix
def test_a_part_that_does_not_go_is_killed_when_its_time_is_over(tmp_path):
    said = tmp_path / "said"
    console = supervisor.Supervisor(dict(os.environ))
    console.grace = 0.1
    part = supervisor.Part("worker", [sys.executable, "-c", STAYS, str(said)])
    console.start(part)
    deadline = time.monotonic() + 30
    while not said.exists() and time.monotonic() < deadline:
        time.sleep(0.05)

    console.shut_down()

    assert part.process is not None
    assert part.process.returncode == -signal.SIGKILL


@posix
@pytest.mark.parametrize(
    ("number", "grace"), [(signal.SIGTERM, web.DRAIN + 1), (signal.SIGINT, children.GRACE)]
)
def test_who_waits_at_a_terminal_waits_for_less(number, grace):
    console = supervisor.Supervisor(dict(os.environ))

    os.kill(os.getpid(), number)

    assert console.stop.wait(20)
    assert console.grace == grace
    console.shut_down()


@pytest.fixture
def hanging(monkeypatch) -> Iterator[tuple[supervisor.Supervisor, supervisor.Part]]:
    """A part that is to be heard and is silent, and what watches it: without patience."""
    for name in ("PATIENCE", "START_PATIENCE", "LONGEST_PAUSE"):
        monkeypatch.setattr(watching, name, -1)
    console = supervisor.Supervisor(dict(os.environ))
    part = supervisor.Part("web", ["sleep", "600"], heart=supervisor.Heart())
    console.start(part)
    yield console, part
    console.shut_down()


@pytest.mark.skipif(bootstrap.WINDOWS, reason="no part is heard there")
def test_a_part_that_hangs_from_the_beginning_ends_the_start(hanging, capfd):
    console, _ = hanging

    # Two times it goes and is started anew, the third time is the last.
    for _ in range(2 * (watching.TRIES_TO_START - 1)):
        console.watch()
    with pytest.raises(
        supervisor.CannotStart, match="web does not start, also when tried 3 times: it lives, but"
    ):
        console.watch()

    assert capfd.readouterr().out.count("web lives, but does not answer; starting it again") == 2


@pytest.mark.skipif(bootstrap.WINDOWS, reason="no part is heard there")
def test_a_part_that_hangs_after_it_has_worked_is_started_again_for_ever(hanging):
    console, part = hanging

    for _ in range(watching.TRIES_TO_START + 1):
        os.write(part.heart.writer, b".")
        console.watch()
        assert part.process is None
        console.watch()
        assert part.process is not None
