"""For tests that log in through the form: Alice has a password."""

from typing import Any

import pytest
from django.urls import reverse

from recycle import passwords
from recycle.models import User
from tests.client import Client

RIGHT, WRONG = "correct horse battery", "wrong horse battery"
HOME, AWAY = "192.0.2.1", "198.51.100.7"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def entrance(alice: User, static_files: None) -> None:
    alice.set_password(RIGHT)
    alice.save()


def log_in(
    client: Client, name: str = "alice", password: str = WRONG, address: str = HOME, **fields: Any
) -> Any:
    """Send the form of the login."""
    answer = {"login": name, "password": password, **fields}
    return client.post(reverse("login"), answer, REMOTE_ADDR=address)


def entered(address: str = HOME, agent: str = FIREFOX, name: str = "alice") -> Client:
    """A browser in which somebody has logged in."""
    client = Client(headers={"user-agent": agent})
    assert log_in(client, name, RIGHT, address).status_code == 302
    return client


def is_in(client: Client) -> bool:
    return bool(client.get(reverse("recycle:sessions")).status_code == 200)


def count_hashes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets the iterations of every hash from here on."""
    hashed: list[int] = []
    encode = passwords.Hasher.encode

    def counting(
        self: passwords.Hasher, password: str, salt: str, iterations: int | None = None
    ) -> str:
        hashed.append(iterations or self.iterations)
        return encode(self, password, salt, iterations)

    monkeypatch.setattr(passwords.Hasher, "encode", counting)
    return hashed
