"""Alice owns things, Mallory does not. Factories for the rest."""

import itertools
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import django.test
import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.urls import reverse
from django.utils import timezone, translation

from recycle import passwords
from recycle.actions import Context
from recycle.lifecycle import State
from recycle.models import (
    Account,
    Edge,
    ElasticIP,
    Instance,
    InstanceTag,
    InstanceType,
    Listener,
    LoadBalancer,
    Membership,
    RealServer,
    Region,
    Tag,
    User,
    Volume,
    Zone,
)
from recycle.policy import BillingMode, Role

# What the browser tests need; pytest finds fixtures here.
from tests.browser import (  # noqa: F401
    chromium,
    complaints,
    django_db_modify_db_settings,
    open_page,
    page,
    server,
    static_files,
)
from tests.client import Client
from tests.deeds import world  # noqa: F401
from tests.entrance import entrance  # noqa: F401
from tests.faketime import start_at  # noqa: F401
from tests.folding import folded_along  # noqa: F401
from tests.inventory import load, problems  # noqa: F401
from tests.threads import threads  # noqa: F401
from tests.valkey import valkey, valkey_server  # noqa: F401

# Whoever makes a client of their own gets it, too.
django.test.Client = Client  # type: ignore[misc]

HTMX = {"HX-Request": "true"}
SUBNET = UUID("9fd83a5e-33cf-4196-b8df-59fc57478488")
LONG_AGO = timedelta(days=3)

# Of a test with a database, the cases that `test --fast` tries.
FAST_CASES = 1

# Of a test marked `alike`, the cases that PostgreSQL tries.
ALIKE_CASES = 1

# How often a password is hashed outside the tests: for half a second, on purpose. In them it counts
# how many hashes there are.
HASHES = passwords.Hasher.iterations
passwords.Hasher.iterations = 1_000

_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fast",
        action="store_true",
        help="leave out the browser, what is slow, and all but the first cases on a database",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Function]) -> None:
    fast = config.getoption("fast")
    postgres = settings.DATABASES["default"]["ENGINE"].endswith("postgresql")
    kept: list[pytest.Function] = []
    left_out: list[pytest.Function] = []
    cases: Counter[str] = Counter()
    for item in items:
        test = item.nodeid.partition("[")[0]
        cases[test] += 1
        keep = True
        if fast:
            # The tables of rules, without a database, cost nothing.
            rows = item.get_closest_marker("django_db") or "db" in item.fixturenames
            slow = item.get_closest_marker("slow") or item.get_closest_marker("browser")
            keep = (not rows or cases[test] <= FAST_CASES) and not slow
        elif postgres and item.get_closest_marker("alike"):
            # SQLite has had all of them.
            keep = cases[test] <= ALIKE_CASES
        (kept if keep else left_out).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def client(static_files: None, settings: Any, client: Client) -> Client:  # noqa: F811
    """Pages name their static files, so those are collected first."""
    # Or whitenoise would look at every one of them anew for each test.
    settings.WHITENOISE_AUTOREFRESH = True
    return client


@pytest.fixture(autouse=True)
def store(settings: Any) -> None:
    """A shared store for this process alone, empty for each test. `valkey` is one for several."""
    backend = "django.core.cache.backends.locmem.LocMemCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "tests"}}
    # Nor does anybody count in a broker that somebody happens to have.
    settings.REDIS_URL = "unix:///nowhere/broker.sock"
    cache.clear()


@pytest.fixture(autouse=True)
def machines_clock(settings: Any) -> None:
    """Tests move the clock of their machine, and none moves the database's."""
    settings.CLOCK = "MACHINE"


@pytest.fixture(autouse=True)
def english() -> None:
    """A page in another language leaves it active in its thread; the next test begins with none
    chosen.
    """
    translation.activate(settings.LANGUAGE_CODE)


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def zone(db: None) -> Zone:
    region, _ = Region.objects.get_or_create(code="cn-beijing-6", defaults={"name": "Beijing"})
    return Zone.objects.get_or_create(code="cn-beijing-6a", region=region)[0]


@pytest.fixture
def instance_type(db: None) -> InstanceType:
    shape = {"family": "N3", "vcpu": 2, "memory_gb": 4}
    return InstanceType.objects.get_or_create(name="N3.2B", defaults=shape)[0]


@pytest.fixture
def account(db: None) -> Account:
    return Account.objects.create(name="Acme Research")


def make_user(name: str, account: Account, role: Role) -> User:
    user = User.objects.create_user(name)
    Membership.objects.create(user=user, account=account, role=role)
    return user


@pytest.fixture
def alice(account: Account) -> User:
    return make_user("alice", account, Role.ADMINISTRATOR)


@pytest.fixture
def oscar(account: Account) -> User:
    """An operator of Alice's account."""
    return make_user("oscar", account, Role.OPERATOR)


@pytest.fixture
def victor(account: Account) -> User:
    """A viewer of Alice's account."""
    return make_user("victor", account, Role.VIEWER)


@pytest.fixture
def mallory(db: None) -> User:
    """A stranger, administrator of her own account."""
    return make_user("mallory", Account.objects.create(name="Mallory's"), Role.ADMINISTRATOR)


Make = Callable[..., Any]


@pytest.fixture
def make_instance(account: Account, zone: Zone, instance_type: InstanceType) -> Make:
    """An instance in any state, with times that fit it; every field can be given."""

    def make(
        state: State = State.ACTIVE, billing_mode: str = BillingMode.DAILY, **fields: Any
    ) -> Instance:
        number = next(_numbers)
        now = fields.pop("now", None) or timezone.now()
        if state == State.EXPIRED:
            billing_mode = BillingMode.MONTHLY
        times: dict[str, Any] = {"created_at": now - LONG_AGO, "changed_at": now - LONG_AGO}
        if billing_mode == BillingMode.MONTHLY:
            times["expires_at"] = (
                now - timedelta(days=1) if state == State.EXPIRED else now + timedelta(days=20)
            )
        if state == State.RECYCLED:
            times |= {
                "recycled_at": now - timedelta(minutes=10),
                "purge_at": now + timedelta(minutes=110),
            }
        if state == State.EXPIRED:
            times["purge_at"] = now + timedelta(days=6)
        if state == State.PURGED:
            times["purged_at"] = now
        if by := fields.get("recycled_by"):
            times["recycled_by_name"] = by.get_username()
        defaults = {
            "account": account,
            "zone": zone,
            "instance_type": instance_type,
            "name": f"web-{number}",
            "private_ip": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            "subnet_id": SUBNET,
            "image_name": "Debian 12",
        }
        return Instance.objects.create(
            state=state, billing_mode=billing_mode, **{**defaults, **times, **fields}
        )

    return make


@pytest.fixture
def bind(account: Account, zone: Zone, now: datetime) -> Callable[[Instance], None]:
    """Give an instance one relationship of every kind, and a second volume that goes with it."""

    def bind(instance: Instance) -> None:
        number = next(_numbers)
        balancer = LoadBalancer.objects.create(
            account=account, region=zone.region, name="front", created_at=now
        )
        listener = Listener.objects.create(
            load_balancer=balancer, name="http", protocol="HTTP", port=80, created_at=now
        )
        RealServer.objects.create(
            listener=listener, instance=instance, address=instance.private_ip, port=8080
        )
        ElasticIP.objects.create(
            account=account,
            region=zone.region,
            address=f"120.92.{number >> 8 & 255}.{number & 255}",
            instance=instance,
            created_at=now,
        )
        for name, goes in (("data", False), ("scratch", True)):
            Volume.objects.create(
                account=account,
                zone=zone,
                name=name,
                type="SSD3.0",
                size_gb=40,
                instance=instance,
                mount_point=f"/dev/vd{'c' if goes else 'b'}",
                delete_with_instance=goes,
                created_at=now,
            )
        tag, _ = Tag.objects.get_or_create(account=account, key="env", value="prod")
        InstanceTag.objects.create(instance=instance, tag=tag)

    return bind


@pytest.fixture
def recycled(make_instance: Make) -> Instance:
    instance: Instance = make_instance(State.RECYCLED)
    return instance


@pytest.fixture
def other_zone(zone: Zone) -> Zone:
    """Another zone of the same region."""
    return Zone.objects.get_or_create(code="cn-beijing-6b", region=zone.region)[0]


@pytest.fixture
def far_zone(db: None) -> Zone:
    """A zone of another region."""
    region, _ = Region.objects.get_or_create(code="cn-shanghai-2", defaults={"name": "Shanghai"})
    return Zone.objects.get_or_create(code="cn-shanghai-2a", region=region)[0]


@pytest.fixture
def make_volume(account: Account, zone: Zone, now: datetime) -> Make:
    """A volume, saved unless `new`."""

    def make(*, new: bool = False, **fields: Any) -> Volume:
        defaults = {"account": account, "zone": zone, "name": f"disk-{next(_numbers)}"}
        volume = Volume(
            **{**defaults, "type": "SSD3.0", "size_gb": 40, "created_at": now, **fields}
        )
        return volume if new else _saved(volume)

    return make


@pytest.fixture
def make_address(account: Account, zone: Zone, now: datetime) -> Make:
    """An elastic IP, saved unless `new`."""

    def make(*, new: bool = False, **fields: Any) -> ElasticIP:
        number = next(_numbers)
        ip = f"120.93.{number >> 8 & 255}.{number & 255}"
        address = ElasticIP(
            **{
                "account": account,
                "region": zone.region,
                "address": ip,
                "created_at": now,
                **fields,
            },
        )
        return address if new else _saved(address)

    return make


@pytest.fixture
def make_balancer(account: Account, zone: Zone, now: datetime) -> Make:
    """A load balancer, saved unless `new`."""

    def make(*, new: bool = False, **fields: Any) -> LoadBalancer:
        defaults = {
            "account": account,
            "region": zone.region,
            "name": f"balancer-{next(_numbers)}",
            "created_at": now,
        }
        balancer = LoadBalancer(**{**defaults, **fields})
        return balancer if new else _saved(balancer)

    return make


@pytest.fixture
def make_listener(make_balancer: Make, now: datetime) -> Make:
    """A listener, on a load balancer of its own unless one is given, saved unless `new`."""

    def make(*, new: bool = False, **fields: Any) -> Listener:
        balancer = fields.pop("load_balancer", None) or make_balancer()
        listener = Listener(
            **{
                "load_balancer": balancer,
                "protocol": "TCP",
                "port": 80,
                "created_at": now,
                **fields,
            },
        )
        return listener if new else _saved(listener)

    return make


@pytest.fixture
def make_tag(account: Account) -> Make:
    """A tag, saved unless `new`."""

    def make(key: str = "env", value: str = "", *, new: bool = False, **fields: Any) -> Tag:
        tag = Tag(**{"account": account, "key": key, "value": value, **fields})
        return tag if new else _saved(tag)

    return make


def _saved(row: Any) -> Any:
    row.save(force_insert=True)
    return row


def send(
    client: Client, verb: str, *rows: Any, headers: dict[str, str] = HTMX, **answer: Any
) -> Any:
    """The OK of a dialog about these rows."""
    answer |= {"ids": [row.pk for row in rows], "confirmed": "1"}
    return client.post(reverse(f"recycle:{verb}"), answer, headers=headers)


def at(hours: float) -> datetime:
    """A moment on the day the tests without a database live in."""
    return datetime(2026, 11, 23, tzinfo=UTC) + timedelta(hours=hours)


def acting(by: User | None, now: datetime | None = None, **fields: Any) -> Context:
    """What `by` brings along from a page, and the schedule where that is None; at this moment
    unless another one is given.
    """
    edge = Edge.PAGE if by else Edge.SCHEDULE
    return Context(by=by, now=now or timezone.now(), **{"edge": edge, **fields})


def rejecting(beginning: str) -> AbstractContextManager[None]:
    """Meanwhile the database rejects every statement that begins like this."""

    def reject(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith(beginning):
            raise DatabaseError("impossible")
        return execute(sql, *args)

    return connection.execute_wrapper(reject)
