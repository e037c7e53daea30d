"""A database of any size: one account that owns nearly all of it, and nine others beside it."""

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Model
from tqdm import tqdm

from recycle.lifecycle import State
from recycle.models import (
    Account,
    ElasticIP,
    Event,
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
from recycle.policy import BillingMode, RetentionKind, Role

# Of each ten rows: five lie in the bin, three of these are due, three are in use, two are gone.
DUE, BIN, USED = 3, 5, 8
OTHERS = 9
# Instances that have one of each relationship, and are recycled and restored.
BOUND = 10_000
BATCH = 10_000
# A tenth of a percent of all names has this in it.
RARE = "needle"

# The columns in which a row differs from the template.
Differing = Mapping[str, Any]


def uuid(number: int) -> UUID:
    """Scattered over the index, as random ones are, and the same in each run."""
    return UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)


class Size:
    """The rows of one benchmark, and where in them lies what."""

    def __init__(self, rows: int, now: datetime) -> None:
        self.rows, self.now = rows, now
        self.bound = min(BOUND, rows // 10)

    def load(self) -> None:
        """Fill an empty database, and have it know what is in it."""
        self.fill()
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")

    def fill(self) -> None:
        with transaction.atomic():
            self._catalogue()
            copy_rows(Instance, self._template(), self._instances())
            self._bind()
            copy_rows(Event, self._event(), self._events())

    def _catalogue(self) -> None:
        self.region = Region.objects.create(code="cn-beijing-6", name="Beijing")
        self.zone = Zone.objects.create(code="cn-beijing-6a", region=self.region)
        self.type = InstanceType.objects.create(name="N3.2B", family="N3", vcpu=2, memory_gb=4)
        self.account = Account.objects.create(name="Bench")
        self.others = [Account.objects.create(name=f"Other {n}") for n in range(OTHERS)]
        self.user = User.objects.create_user("bench", password=None)
        Membership.objects.create(user=self.user, account=self.account, role=Role.ADMINISTRATOR)

    def _template(self) -> Instance:
        return Instance(
            account=self.account,
            zone=self.zone,
            instance_type=self.type,
            billing_mode=BillingMode.DAILY,
            image_name="Debian 12",
            system_disk_type="SSD3.0",
            private_ip="10.0.0.1",
            subnet_id=uuid(1),
            vpc_id=uuid(2),
            created_at=self.now,
            changed_at=self.now,
        )

    def _instances(self) -> Iterator[Differing]:
        chance = random.Random(7)
        for number in tqdm(range(self.rows), "Instances", unit=" rows", disable=None):
            slot = number % 10
            name = f"{RARE if number % 1000 == 0 else 'web'}-{number:07}"
            created = self.now - timedelta(days=chance.uniform(2, 75))
            # Every tenth belongs to somebody else.
            owner = self.others[number // 10 % OTHERS] if number // 10 % 10 == 9 else self.account
            row = {
                "id": uuid(number + 10),
                "account_id": owner.pk,
                "name": name,
                "name_folded": name,
                "state": State.ACTIVE if slot % 2 else State.STOPPED,
                "private_ip": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
                "created_at": created,
                "changed_at": created,
            }
            if slot < BIN:
                left = chance.uniform(-600, -1) if slot < DUE else chance.uniform(3600, 7200)
                row |= {
                    "state": State.RECYCLED,
                    "recycled_at": self.now + timedelta(seconds=left - 7200),
                    "recycled_by_id": self.user.pk,
                    "recycled_by_name": "bench",
                    "recycled_by_name_folded": "bench",
                    "purge_at": self.now + timedelta(seconds=left),
                    **self._retention(),
                }
            elif slot >= USED:
                gone = self.now - timedelta(days=chance.uniform(1, 20))
                row |= {"state": State.PURGED, "purged_at": gone}
            yield row

    def _retention(self) -> Differing:
        return {"retention_kind": RetentionKind.STANDARD, "retention_subject": ""}

    def in_use(self) -> list[UUID]:
        """The instances with relationships, in no order of theirs."""
        numbers = (number for number in range(self.rows) if BIN <= number % 10 < USED)
        ours = (number for number in numbers if number // 10 % 10 != 9)
        return [uuid(number + 10) for number in islice(ours, self.bound)]

    def _bind(self) -> None:
        balancer = LoadBalancer.objects.create(
            account=self.account, region=self.region, name="front", created_at=self.now
        )
        listener = Listener.objects.create(
            load_balancer=balancer, name="http", protocol="HTTP", port=80, created_at=self.now
        )
        tag = Tag.objects.create(account=self.account, key="env", value="prod")
        ids = self.in_use()
        # What each row repeats of its instance is the same of all of them.
        one = self._template()
        eip = ElasticIP(
            account=self.account,
            region=self.region,
            bandwidth_mbps=1,
            created_at=self.now,
            instance=one,
        )
        volume = Volume(
            account=self.account,
            zone=self.zone,
            name="data",
            type="SSD3.0",
            size_gb=20,
            mount_point="/dev/vdb",
            created_at=self.now,
            instance=one,
        )
        copy_rows(ElasticIP, eip, (
            {"id": uuid(-1 - n), "address": _address(n), "instance_id": pk}
            for n, pk in enumerate(ids)
        ))  # fmt: skip
        copy_rows(Volume, volume, (
            {"id": uuid(-1 - self.rows - n), "instance_id": pk} for n, pk in enumerate(ids)
        ))  # fmt: skip
        server = RealServer(listener=listener, instance=one, address="10.0.0.1", port=8080)
        copy_rows(RealServer, server, (
            {"id": uuid(-1 - 2 * self.rows - n), "address": _address(n), "instance_id": pk}
            for n, pk in enumerate(ids)
        ))  # fmt: skip
        copy_rows(
            InstanceTag,
            InstanceTag(tag=tag, instance=one),
            ({"instance_id": pk} for pk in ids),
            without="id",
        )

    def _event(self) -> Event:
        return Event(account=self.account, at=self.now, batch=uuid(3), action="recycle")

    def _events(self) -> Iterator[Differing]:
        for number in tqdm(range(self.rows), "Events", unit=" rows", disable=None):
            name = f"web-{number:07}"
            yield {
                "at": self.now - timedelta(seconds=self.rows - number),
                "instance_id": uuid(number + 10),
                "instance_name": name,
                "instance_name_folded": name,
                "by_id": self.user.pk,
                "by_name": "bench",
                "by_name_folded": "bench",
            }


def _address(number: int) -> str:
    return f"100.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def copy_rows(
    model: type[Model], template: Model, rows: Iterable[Differing], *, without: str = ""
) -> None:
    """Write rows that differ from the template in the columns they name."""
    base = {
        field.column: _plain(field.get_db_prep_save(field.pre_save(template, True), connection))
        for field in model._meta.concrete_fields
        # The database fills those itself.
        if field.column != without and not field.has_db_default()
    }
    if model._meta.pk.get_internal_type() != "UUIDField":
        base.pop(model._meta.pk.column, None)
    names = list(base)
    fields = {field.column: field for field in model._meta.concrete_fields}
    quoted = connection.ops.quote_name
    table, columns = quoted(model._meta.db_table), ", ".join(map(quoted, filter(None, names)))

    def values() -> Iterator[tuple[Any, ...]]:
        for row in rows:
            changed = {
                name: _plain(fields[name].get_db_prep_save(value, connection))
                for name, value in row.items()
            }
            yield tuple((base | changed)[name] for name in names)

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for each in values():
                    copy.write_row(each)
            return
        held = ", ".join(["%s"] * len(names))
        found = values()
        while batch := list(islice(found, BATCH)):
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({held})", batch)


def _plain(value: Any) -> Any:
    """JSON as its text, which COPY takes as it is."""
    value = getattr(value, "obj", value)
    return json.dumps(value) if isinstance(value, dict | list) else value
