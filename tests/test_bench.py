"""`manage.py bench`: that it measures, not how fast anything is."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from console.bootstrap import PROJECT
from tests.bench.measure import Cost, Form, in_turns
from tests.bench.served import ask

pytestmark = pytest.mark.slow


@pytest.mark.django_db
def test_works_take_turns_so_that_none_is_always_first():
    order = []

    def work(name):
        def do():
            order.append(name)
            return 1

        return do

    forms = in_turns({name: work(name) for name in "abc"}, 3)

    assert "".join(order) == "abcbcacab"
    assert {name: len(form.costs) for name, form in forms.items()} == {"a": 3, "b": 3, "c": 3}


def test_a_form_is_told_by_its_median_and_its_spread():
    form = Form(tuple(Cost(wall, 1.0, 2.0) for wall in (4.0, 2.0, 3.0)))

    assert (form.wall, form.cpu, form.backend) == (3.0, 3.0, 2.0)
    assert form.spread == pytest.approx(1 / 3)


def test_everything_is_measured_on_a_small_database_and_written_down(tmp_path):
    file = tmp_path / "figures.json"

    done = subprocess.run(
        [sys.executable, "manage.py", "bench", "--sqlite", "--rows", "2000", "--json", str(file)],
        cwd=PROJECT,
        env={**os.environ, "CONSOLE_BENCH": ""},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(file.read_text())
    assert {figure["n"] for figure in figures} >= {2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 17, 18}
    keys = {"n", "what", "against", "ratio", "must", "reach", "held"}
    assert all(keys <= figure.keys() and figure["ratio"] >= 0 for figure in figures)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--rows", "10"], "2,000 rows are the least that mean anything."),
        (["--only", "nothing"], "nothing is none of "),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(arguments, sentence):
    done = subprocess.run(
        [sys.executable, "manage.py", "bench", *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


class _Counting(BaseHTTPRequestHandler):
    """Answers one path, and keeps who asked."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.headers["Cookie"])
        self.send_response(200 if self.path == "/page/" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words: object) -> None:
        pass


def test_clients_ask_together_as_often_as_is_measured_and_refuse_to_measure_what_fails():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Counting)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    done = ask(server.server_port, "/page/", "abc")

    assert done == len(_Counting.asked)
    assert set(_Counting.asked) == {"sessionid=abc"}
    with pytest.raises(AssertionError, match="404"):
        ask(server.server_port, "/other/", "abc")
    server.shutdown()
    server.server_close()
