"""Several nodes on a real PostgreSQL and a real Valkey: as the README starts them, while the
database goes and comes back, and while they themselves are killed and replaced.
"""

import configparser
import csv
import io
import json
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from console.web import DRAIN
from tests import postgres
from tests.nodes import (
    HOST,
    Node,
    blocks,
    line_of,
    own_environment,
    running_in,
    variables,
    wait_for,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="signals, and looks into /proc"),
]

EVENTS = 30_000

PREPARE = f"""
from uuid import UUID
from django.test import Client
from django.utils import timezone
from recycle.models import Account, Event, Membership, User
root = User.objects.create_superuser("root")
account = Account.objects.create(name="Acme")
Membership.objects.create(user=root, account=account, role=30)
now = timezone.now()
started = {{"account": account, "at": now, "batch": UUID(int=1), "action": "start"}}
events = (Event(instance_name=f"web-{{number}}", **started) for number in range({EVENTS}))
Event.objects.bulk_create(events, batch_size=2000)
client = Client()
client.force_login(root)
print("session", client.cookies["sessionid"].value)
"""


class Nodes(NamedTuple):
    database: postgres.Cluster
    web: list[Node]
    worker: Node
    beat: Node
    session: str

    def swept_at(self, node: int = 0) -> str:
        """When the sweep last ran, as a superuser is told."""
        answer = self.web[node].get("/readyz", self.session)
        return str(json.loads(answer.body).get("sweep_ran_at", ""))

    def sweep_goes_on(self) -> None:
        wait_for(self.swept_at)
        before = self.swept_at()
        wait_for(lambda: self.swept_at() > before)

    def log(self, node: int = 0) -> list[list[str]]:
        answer = self.web[node].get("/operation-log/export.csv", self.session)
        assert answer.status == 200
        return list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"), newline="")))


@pytest.fixture(scope="module")
def database() -> Iterator[postgres.Cluster]:
    try:
        with postgres.cluster() as running:
            yield running
    except postgres.Missing as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def nodes(database, valkey_server) -> Iterator[Nodes]:
    shared = {
        "DATABASE_URL": database.url,
        "REDIS_URL": valkey_server.replace("?db=0", "") + "?db=5",
        "CONSOLE_SECRET_KEY": secrets.token_urlsafe(48),
        "CONSOLE_ALLOWED_HOSTS": HOST,
        "CONSOLE_HTTPS": "1",
    }
    assert set(shared) == variables()
    shared |= own_environment() | {"CONSOLE_WEB_PROCESSES": "1", "CONSOLE_WORKER_PROCESSES": "1"}
    with tempfile.TemporaryDirectory(prefix="console-nodes-") as name:
        place = Path(name).resolve()
        web = [Node(place / f"web-{number}", "web", shared) for number in range(2)]
        worker, beat = (Node(place / part, part, shared) for part in ("worker", "beat"))
        every = [worker, beat, *web]
        try:
            # In the least convenient order, and the web nodes at once.
            for node in every:
                node.start()
            for node in web:
                node.says("The web server is ready")
            said = web[0].run("shell", "-c", PREPARE).split()
            session = said[said.index("session") + 1]
            for node in web:
                node.is_ready()
            yield Nodes(database, web, worker, beat, session)
        finally:
            for node in every:
                node.close()


# --- As the README says ---------------------------------------------------------------------------


def test_the_lines_of_the_readme_make_a_console(nodes):
    for node in nodes.web:
        login = node.get("/login/")
        style = login.body.split(b'rel="stylesheet" href="')[1].split(b'"')[0].decode()

        assert login.status == 200
        assert node.get(style).status == 200
        # Who has logged in at one of them is known to the other.
        assert node.get("/operation-log/", nodes.session).status == 200
        assert json.loads(node.get("/readyz", nodes.session).body)["migrations"] == "ok"
    nodes.sweep_goes_on()


def test_the_unit_of_the_readme_starts_each_part_and_waits_until_it_is_done(tmp_path):
    (text,) = blocks("ini")
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    service = unit["Service"]
    python, *words = service["ExecStart"].split()

    assert python == "/usr/bin/python3"
    for part in ("web", "worker", "beat"):
        line = [*(word.replace("%i", part) for word in words)]
        assert line[: len(line) - 2] == shlex.split(line_of(part))[1:5]
    # The parts are told by `up`, which has to have the time for it.
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > DRAIN + 1
    if shutil.which("systemd-analyze"):
        path = tmp_path / "console@.service"
        path.write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "verify", str(path)], capture_output=True, text=True
        )
        assert "console@" not in done.stderr.replace("console@web", ""), done.stderr


def test_the_deployment_of_the_readme_starts_and_probes_a_web_node(nodes):
    (text,) = blocks("yaml")
    deployment = yaml.safe_load(text)
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]

    assert container["command"] == shlex.split(line_of("web"))
    assert pod["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"]
    wait = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["spec"]["terminationGracePeriodSeconds"] > DRAIN + 1 + wait
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        probe = container[name]["httpGet"]
        (header,) = probe["httpHeaders"]
        assert header["name"] == "Host"
        assert probe["port"] == container["ports"][0]["containerPort"] == 8000
        assert nodes.web[0].get(probe["path"], host=header["value"]).status == 200


# --- The database goes and comes back -------------------------------------------------------------


def test_while_the_database_is_away_everything_says_so_soon_and_then_goes_on(nodes):
    for node in nodes.web:
        for _ in range(4):
            assert node.get("/operation-log/", nodes.session).status == 200
        assert node.get("/login/").status == 200

    nodes.database.stop()
    try:
        for node in nodes.web:
            for _ in range(4):
                answer = node.get("/operation-log/", nodes.session)
                assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
                assert b"does not answer" in answer.body
            # It remembers for two seconds what it has found out.
            node.is_ready(503)
            for session in ("", nodes.session):
                answer = node.get("/readyz", session)
                assert (answer.status, json.loads(answer.body)["ready"]) == (503, False)
            assert node.get("/healthz").status == 200
    finally:
        nodes.database.start()

    # Every thread of every process, whatever it had before.
    for node in nodes.web:
        with ThreadPoolExecutor(4) as clients:
            asked = [clients.submit(node.get, "/operation-log/", nodes.session) for _ in range(16)]
        assert {answer.result().status for answer in asked} == {200}
        assert node.get("/login/").status == 200
    for node in nodes.web:
        node.is_ready()
    # The worker as well, without anybody's help.
    nodes.sweep_goes_on()


def test_a_database_that_takes_connections_and_says_nothing_keeps_nobody_for_ever(nodes):
    _end_sessions(nodes)
    nodes.database.freeze()
    try:
        for node in nodes.web:
            assert node.get("/operation-log/", nodes.session).status == 503
    finally:
        nodes.database.thaw()

    for node in nodes.web:
        assert node.get("/operation-log/", nodes.session).status == 200


def test_an_export_that_loses_its_database_is_no_complete_file(nodes):
    """Whichever comes first: a file is whole and says so, or the client notices."""
    cut_off = 0
    for _ in range(20):
        answer = nodes.web[0].open("/operation-log/export.csv", nodes.session)
        start = answer.read(1000)
        _end_sessions(nodes)
        try:
            body = start + answer.read()
        except (HTTPException, ConnectionError):
            cut_off += 1
            if cut_off == 2:
                break
        else:
            assert f"End of the file. Rows: {EVENTS}".encode() in body
        finally:
            answer.close()

    assert cut_off == 2
    assert len(nodes.log()) == EVENTS + 2


def _end_sessions(nodes: Nodes) -> None:
    import psycopg

    with psycopg.connect(nodes.database.url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


# --- Nodes that go --------------------------------------------------------------------------------


def test_a_node_that_is_told_to_go_answers_what_it_was_asked(nodes):
    node = nodes.web[1]
    answer = node.open("/operation-log/export.csv", nodes.session)
    start = answer.read(1000)
    ended: list[int] = []
    going = threading.Thread(target=lambda: ended.append(node.end()))
    going.start()

    body = start + answer.read()
    going.join()

    assert f"End of the file. Rows: {EVENTS}".encode() in body
    assert ended == [0]
    assert running_in(node.place) == []
    assert nodes.web[0].get("/operation-log/", nodes.session).status == 200
    node.start()
    node.is_ready(probe="/readyz?pages")


def test_a_node_that_is_killed_leaves_nothing_on_its_port(nodes):
    node = nodes.web[1]
    answer = node.open("/operation-log/export.csv", nodes.session)
    answer.read(1000)

    node.end(signal.SIGKILL)
    # While its children still go: it waits for them.
    node.start()

    node.is_ready(probe="/readyz?pages")
    answer.close()
    assert len([line for line in running_in(node.place) if "console.web" in line]) == 1


def test_a_worker_that_is_told_to_go_ends_in_order_and_another_goes_on(nodes):
    assert nodes.worker.end() == 0
    assert running_in(nodes.worker.place) == []

    nodes.worker.start()

    nodes.sweep_goes_on()
