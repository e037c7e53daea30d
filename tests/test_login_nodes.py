"""What several threads, processes and nodes count together."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from console import services
from tests.client import Client
from tests.entrance import HOME, RIGHT, log_in
from tests.test_login import WITH_A_NAME
from tests.threads import result

PROJECT = Path(__file__).resolve().parent.parent

# One node: guesses ten times as soon as the other one is ready as well.
NODE = """
import sys, django
django.setup()
from django.conf import settings
from tests.client import Client
settings.ALLOWED_HOSTS = ["testserver"]
client = Client()
print("ready", flush=True)
sys.stdin.readline()
for number in range(10):
    typed = {"login": "alice", "password": "wrong"}
    answer = client.post("/login/", typed, REMOTE_ADDR="192.0.2.1")
    print(answer.status_code, flush=True)
"""


@pytest.fixture
def environment(tmp_path, valkey):
    env = {**os.environ, "CONSOLE_DATA_DIR": str(tmp_path), "REDIS_URL": valkey}
    env |= {"DJANGO_SETTINGS_MODULE": "console.settings", "CONSOLE_DEBUG": "1"}
    env.pop("DATABASE_URL", None)
    command = [sys.executable, "manage.py"]
    subprocess.run([*command, "migrate", "--verbosity", "0"], env=env, cwd=PROJECT, check=True)
    made = [*command, "createsuperuser", "--noinput", "--username", "alice", "--email", ""]
    subprocess.run(made, env={**env, "DJANGO_SUPERUSER_PASSWORD": RIGHT}, cwd=PROJECT, check=True)
    return env


@pytest.mark.slow
def test_two_processes_count_the_same_failures(environment):
    nodes = [
        subprocess.Popen(
            [sys.executable, "-c", NODE],
            env=environment,
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(2)
    ]
    for node in nodes:
        assert node.stdout is not None
        assert node.stdout.readline() == "ready\n"

    for node in nodes:
        assert node.stdin is not None
        node.stdin.write("go\n")
        node.stdin.flush()
    said = [node.communicate()[0].split() for node in nodes]

    # Each alone would have let five through; all that is over was refused by both.
    assert Counter(said[0] + said[1]) == {"200": WITH_A_NAME, "429": 20 - WITH_A_NAME}
    assert all(answers[-1] == "429" for answers in said)


@pytest.mark.django_db(transaction=True)
def test_threads_of_a_process_do_not_guess_past_the_limit(entrance, threads):
    def guess_until_refused():
        client, answers = Client(), []
        while 429 not in answers:
            # 503: another thread was hashing, which counts for nobody.
            answers.append(log_in(client, address=HOME).status_code)
        return answers

    answers = result(*(threads.go(guess_until_refused) for _ in range(4)))

    counted = Counter(answer for each in answers for answer in each)
    assert counted[200] == WITH_A_NAME
    assert counted[429] == 4
    assert set(counted) <= {200, 429, 503}


@pytest.mark.parametrize(
    ("broker", "store"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379?db=1"),
        ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379?db=1"),
        (
            "rediss://me:p%40ss@redis.example.com:6380/3",
            "rediss://me:p%40ss@redis.example.com:6380?db=4",
        ),
        ("redis://127.0.0.1/15", "redis://127.0.0.1?db=0"),
        ("unix:///run/broker.sock", "unix:///run/broker.sock?db=1"),
        ("unix://me:word@/run/broker.sock?db=2", "unix://me:word@/run/broker.sock?db=3"),
    ],
)
def test_the_store_is_the_next_database_of_the_broker(broker, store, monkeypatch):
    monkeypatch.delenv("CACHE_URL", raising=False)

    assert services.cache("CACHE_URL", broker)["LOCATION"] == store


def test_the_store_can_be_another_server(monkeypatch):
    monkeypatch.setenv("CACHE_URL", "redis://counts.example.com/0")

    assert (
        services.cache("CACHE_URL", "unix:///run/broker.sock")["LOCATION"]
        == "redis://counts.example.com/0"
    )


@pytest.mark.parametrize("value", ["memcached://x", "counts.example.com:6379", "nothing"])
def test_a_store_that_is_none_stops_the_start(value, monkeypatch):
    monkeypatch.setenv("CACHE_URL", value)

    with pytest.raises(ImproperlyConfigured, match="CACHE_URL must look like"):
        services.cache("CACHE_URL", "unix:///run/broker.sock")
