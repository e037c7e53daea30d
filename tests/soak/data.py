"""What a soak begins with, and the bursts that come due in it: every row with the events that led
to where it is.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.hashers import make_password
from django.db import connection, transaction

from recycle.lifecycle import State
from recycle.models import (
    Account,
    ElasticIP,
    Event,
    Instance,
    InstanceType,
    Membership,
    Region,
    Tag,
    User,
    Volume,
    Zone,
)
from recycle.policy import BillingMode, RetentionKind, Role
from tests.bench.data import Differing, copy_rows
from tests.soak.people import PASSWORD

ACCOUNTS, INSTANCES, FREE = 2, 400, 60
PEOPLE = (("anna", 30), ("bela", 30), ("cleo", 20), ("dora", 30), ("emil", 20), ("fria", 20))
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Rows that come due one after the other all the time.
TRICKLE = 600
# What it takes until all parts run.
STARTING = timedelta(seconds=20)


class Fleet:
    """The rows of a soak. `at` is when it begins, by the clock of the database."""

    def __init__(self, seed: int, at: datetime, span: timedelta) -> None:
        self.chance, self.at, self.span = random.Random(f"{seed} fleet"), at, span

    def load(self, burst: int) -> None:
        """`burst` rows come due at once, soon after the beginning."""
        with transaction.atomic():
            self._catalogue()
            for account in self.accounts:
                self._living(account)
                self._free(account)
            self._put(self._trickle())
            due_at = self.at + STARTING + self.span / 20
            self._put(self._binned(due_at) for _number in range(burst))
        _analyze()

    def burst(self, count: int, due_at: datetime) -> None:
        """Let as many come due at once. They are there at the moment of the return, not before, so
        that nobody has begun with them.
        """
        with transaction.atomic():
            self._put(self._binned(due_at) for _number in range(count))
            _analyze()

    def _catalogue(self) -> None:
        region = Region.objects.create(code="cn-beijing-6", name="Beijing")
        self.zone = Zone.objects.create(code="cn-beijing-6a", region=region)
        self.type = InstanceType.objects.create(name="N3.2B", family="N3", vcpu=2, memory_gb=4)
        self.accounts = [Account.objects.create(name=f"Soak {n}") for n in range(ACCOUNTS)]
        # To hash one takes half a second.
        password = make_password(PASSWORD)
        for number, (name, role) in enumerate(PEOPLE):
            user = User.objects.create(username=name, password=password)
            account = self.accounts[number % ACCOUNTS]
            Membership.objects.create(user=user, account=account, role=Role(role))

    def _living(self, account: Account) -> None:
        rows = []
        for number in range(INSTANCES):
            mode, times = BillingMode.DAILY, {}
            if number % 20 == 0:
                mode = BillingMode.HOURLY
            if number % 20 == 1:
                mode = BillingMode.MONTHLY
                times = {"expires_at": self._moment()}
            state = State.ACTIVE if number % 3 else State.STOPPED
            more = {"billing_mode": mode, "state": state, "account_id": account.pk, **times}
            rows.append(self._row(f"web-{number:03}", **more))
        copy_rows(Instance, self._template(), rows)

    def _free(self, account: Account) -> None:
        common: dict[str, Any] = {"account": account, "created_at": self.at}
        volume = {"zone": self.zone, "type": "SSD3.0", "size_gb": 20}
        Volume.objects.bulk_create(
            Volume(name=f"disk-{number}", **volume, **common) for number in range(FREE)
        )
        ElasticIP.objects.bulk_create(
            ElasticIP(region=self.zone.region, address=f"120.{account.pk}.0.{number}", **common)
            for number in range(FREE)
        )
        Tag.objects.create(account=account, key="env", value="soak")

    def _trickle(self) -> Iterator[Differing]:
        """What comes due while people work: of the bin, and of expired subscriptions."""
        for number in range(TRICKLE):
            if number % 10:
                yield self._binned(self._moment())
                continue
            end = self._moment()
            expired = {"billing_mode": BillingMode.MONTHLY, "expires_at": end - 7 * DAY}
            yield self._row(f"late-{number}", state=State.EXPIRED, purge_at=end, **expired)

    def _binned(self, end: datetime) -> Differing:
        return self._row(
            "binned",
            state=State.RECYCLED,
            recycled_at=end - 2 * HOUR,
            purge_at=end,
            retention_kind=RetentionKind.STANDARD,
            retention_subject="",
        )

    def _moment(self) -> datetime:
        return self.at + self.chance.random() * self.span

    # --- How --------------------------------------------------------------------------------------

    def _row(self, name: str, **fields: Any) -> Differing:
        account = self.accounts[self.chance.randrange(ACCOUNTS)].pk
        # Each in a subnet of its own, so that no two have the same private address there.
        base = {"id": uuid4(), "subnet_id": uuid4(), "account_id": account}
        return {**base, "name": name, "name_folded": name, **fields}

    def _template(self) -> Instance:
        return Instance(
            account=self.accounts[0],
            zone=self.zone,
            instance_type=self.type,
            name="",
            state=State.ACTIVE,
            billing_mode=BillingMode.DAILY,
            image_name="Debian 12",
            system_disk_type="SSD3.0",
            private_ip="10.0.0.1",
            subnet_id=UUID(int=0),
            created_at=self.at - 30 * DAY,
            changed_at=self.at - DAY,
        )

    def _put(self, rows: Iterator[Differing]) -> None:
        """Write rows in the bin or expired, each with the event of how it got there."""
        put = list(rows)
        copy_rows(Instance, self._template(), put)
        event = Event(account=self.accounts[0], at=self.at, batch=uuid4(), action="")
        copy_rows(Event, event, (_event_of(row) for row in put))


def _event_of(row: Differing) -> Differing:
    binned = row["state"] == State.RECYCLED
    return {
        "account_id": row["account_id"],
        "at": row["recycled_at"] if binned else row["expires_at"],
        "action": "recycle" if binned else "expire",
        "instance_id": row["id"],
        "instance_name": row["name"],
        "instance_name_folded": row["name"],
        "from_state": State.ACTIVE,
        "to_state": row["state"],
    }


def _analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE recycle_instance, recycle_event")
