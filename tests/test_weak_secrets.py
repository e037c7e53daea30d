"""Keys and passwords that are easily guessed stop the start of a console that others can reach."""

import base64
import os
import secrets
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from console import env
from console.bootstrap import PROJECT
from recycle.models import Account, User

NAME = "CONSOLE_SECRET_KEY"
# What a machine makes, in the ways that people let it.
GOOD = [
    secrets.token_urlsafe(50),
    secrets.token_hex(32),
    base64.b64encode(secrets.token_bytes(32)).decode(),
]
WEAK = {
    "changeme": "has 8 characters",
    "a" * 64: "has 1 different characters",
    "abcabcabd" * 8: "has 4 different characters",
    "django-insecure-" + "x7Qp2Lz9Rk" * 4: "contains 'insecure'",
    "ChangeMe-ChangeMe-7w5-ChangeMe-ChangeMe-9": "contains 'changeme'",
    "this-is-my-Secret-key-for-the-console-2026": "contains 'secret'",
}


@pytest.mark.parametrize("key", GOOD, ids=["urlsafe", "hex", "base64"])
def test_a_key_of_a_machines_making_is_taken(key):
    assert env.why_weak(key) == ""


@pytest.mark.parametrize(("key", "why"), WEAK.items())
def test_a_weak_key_is_told_why(key, why, monkeypatch):
    monkeypatch.setenv(NAME, key)

    with pytest.raises(ImproperlyConfigured, match=f"{NAME} {why}"):
        env.refuse_weak_key(NAME)


@pytest.mark.parametrize(
    ("host", "is_open"),
    [
        *(
            ("127.0.0.1", False),
            ("127.0.0.2", False),
            ("::1", False),
            ("[::1]", False),
            ("localhost", False),
        ),
        *(
            ("0.0.0.0", True),
            ("::", True),
            ("192.0.2.1", True),
            ("console.example.com", True),
            ("*", True),
        ),
        *((".example.com", True), ("localhost.example.com", True)),
    ],
)
def test_what_others_can_reach(host, is_open):
    assert env.is_open([host]) is is_open


def start(tmp_path, *command, **variables):
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("CONSOLE_")
    }
    environment |= {"CONSOLE_DATA_DIR": str(tmp_path), **variables}
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_up_refuses_a_weak_key_before_anything_starts(tmp_path, host):
    # Also when only the names of this machine itself are answered to: a client can claim any of
    # them.
    variables = {NAME: "changeme", "CONSOLE_ALLOWED_HOSTS": "localhost"}

    done = start(tmp_path, "up", "--host", host, "--data-dir", str(tmp_path), **variables)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "CONSOLE_SECRET_KEY has 8 characters, and 32 are the least, while this console can be "
        "reached "
        "from other machines: leave it unset, and a good one is made, or set one of a machine's "
        "making.\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hosts", "code"), [("console.example.com", 1), ("localhost,127.0.0.1", 0)]
)
def test_a_node_without_up_refuses_it_too(tmp_path, hosts, code):
    done = start(tmp_path, "check", **{NAME: "changeme", "CONSOLE_ALLOWED_HOSTS": hosts})

    assert done.returncode == code
    assert ("CONSOLE_SECRET_KEY has 8 characters" in done.stderr) is bool(code)
    assert "Traceback" not in done.stderr


# --- The demo's password --------------------------------------------------------------------------


@pytest.fixture
def demo(settings, tmp_path, monkeypatch, db):
    settings.DATA_DIR, settings.ALLOWED_HOSTS = tmp_path, ["localhost", "127.0.0.1", "[::1]"]

    def demo(password, *arguments):
        monkeypatch.setenv("CONSOLE_DEMO_PASSWORD", password)
        call_command("demo", "--if-empty", *arguments, instances=20)

    return demo


def test_a_weak_demo_password_is_refused_where_others_can_reach_it(demo):
    with pytest.raises(CommandError, match="CONSOLE_DEMO_PASSWORD is too weak") as refused:
        demo("demo", "--open")

    assert "at least 12 characters" in str(refused.value)
    assert not Account.objects.exists()
    assert not User.objects.exists()


def test_the_names_a_console_is_reached_by_count_as_well(demo, settings):
    settings.ALLOWED_HOSTS = ["console.example.com"]

    with pytest.raises(CommandError, match="CONSOLE_DEMO_PASSWORD is too weak"):
        demo("Kingsoft2026!")


def test_on_this_machine_alone_any_password_will_do(demo):
    demo("demo")

    assert User.objects.get(username="demo").check_password("demo")


def test_a_weak_password_from_an_earlier_start_is_found(demo):
    demo("demo")

    with pytest.raises(CommandError, match="The password of the user demo is too weak"):
        demo("demo", "--open")

    User.objects.filter(username="demo").update(is_active=False)
    demo("demo", "--open")


def test_who_has_changed_it_since_is_let_in(demo):
    demo("demo")
    user = User.objects.get(username="demo")
    user.set_password(secrets.token_urlsafe(12))
    user.save()

    demo("demo", "--open")


def test_a_random_password_is_good_enough(demo):
    demo(secrets.token_urlsafe(12), "--open")

    assert Account.objects.exists()
