"""The rows of an inventory, batch by batch, with the questions that only the database can answer."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from django.db import models
from django.utils import timezone

from recycle.actions.inventory.catalogue import ensure_regions, ensure_types, ensure_zones
from recycle.actions.inventory.imported import Imported
from recycle.inventory import KINDS, Entry, Kind, Notes, Problem
from recycle.lifecycle import LIVING, State
from recycle.models import (
    Account,
    ElasticIP,
    Event,
    Instance,
    InstanceTag,
    Listener,
    LoadBalancer,
    RealServer,
    Tag,
    Volume,
    Zone,
)

T = TypeVar("T")

BATCH = 1_000
UNKNOWN = "is neither in these files nor in the account"
IN_USE = "is already in use"
NOT_INSTANCES = tuple(kind.key for kind in KINDS if kind.model is not Instance)


def batches(things: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(things)
    while batch := list(islice(rest, BATCH)):
        yield batch


@dataclass(frozen=True, slots=True)
class Target:
    """The instance that something refers to."""

    id: UUID
    state: str
    zone: str = ""
    region: str = ""
    # False: its relationships were cancelled here, or it was never taken in, so it gets none.
    bindable: bool = False


class Import:
    """One import: `take` each batch in the order of KINDS, then `conclude`."""

    def __init__(self, account: Account, region: str, now: datetime, notes: Notes, imported: Imported) -> None:
        self.account, self.region, self.now, self.notes, self.imported = account, region, now, notes, imported
        # Where the instances of these files stand; more than one cannot be guessed from.
        self.regions: set[str] = set()
        self.writers: dict[str, Callable[[Kind, list[Entry]], None]] = {
            "InstancesSet": self._instances,
            "LoadBalancerDescriptions": self._load_balancers,
            "ListenerSet": self._listeners,
            "RealServerSet": self._real_servers,
            "AddressesSet": self._elastic_ips,
            "Volumes": self._volumes,
            "Tags": self._tags,
        }

    def take(self, kind: Kind, batch: list[Entry]) -> None:
        entries = self._sound(kind, batch)
        self.regions |= {entry.region for entry in batch} - {""}
        for entry in entries:
            self.notes.note_instance(entry.id, entry.interfaces, entry.disks)
        self.writers[kind.key](kind, self._missing(kind, entries))

    def conclude(self) -> None:
        """See to it that nobody took an instance out of use, or looked at a list, while things were bound to it.

        The locks are taken at the end and in primary-key order, as every action does, or the two could deadlock.
        """
        for ids in batches(self.notes.bound()):
            rows = Instance.objects.filter(pk__among=ids).locked().values_list("pk", "state")
            for pk in set(ids) - {pk for pk, state in rows if state in LIVING}:
                self.imported.add(Problem(f"instance {pk}", "was deleted during the import; import once more"))
        # An import may take a minute. A selection made in a list meanwhile must not reach what was not in the list.
        Instance.objects.filter(account=self.account, changed_at=self.now).update(changed_at=timezone.now())

    # What is common to all kinds

    def _sound(self, kind: Kind, batch: list[Entry]) -> list[Entry]:
        """The items to go on with: without problems, wanted, and met for the first time."""
        sound = []
        for entry in batch:
            self.imported.add(*entry.problems)
            # Tags have no identity of their own; theirs is asked for when they are written.
            earlier = None if kind.key == "Tags" else self.notes.first(kind.key, entry.id, entry.looks(), entry.place)
            if entry.problems:
                continue
            if earlier and not earlier[0]:
                self._wrong(entry, kind.id_field, f"{entry.id} is told differently in {earlier[1]}")
            elif entry.left_out and not earlier:
                self.imported.left_out[entry.left_out] += 1
            elif not earlier:
                sound.append(entry)
        return sound

    def _missing(self, kind: Kind, entries: list[Entry]) -> list[Entry]:
        """The items that nobody has yet."""
        if kind.key == "Tags":
            return entries
        rows = kind.model._default_manager.filter(pk__among=[entry.id for entry in entries])
        owners = dict(rows.values_list("pk", kind.owner))
        missing = []
        for entry in entries:
            if entry.id not in owners:
                missing.append(entry)
            elif owners[entry.id] == self.account.pk:
                self.imported.already[kind.nouns] += 1
            else:
                # Whose it is, is nobody else's business.
                self._wrong(entry, kind.id_field, f"{entry.id} {IN_USE}")
        return missing

    def _create(self, kind: Kind, rows: Sequence[models.Model]) -> None:
        kind.model._default_manager.bulk_create(rows, batch_size=BATCH)
        self.imported.created[kind.nouns] += len(rows)

    def _wrong(self, entry: Entry, field_: str, sentence: str) -> None:
        self.imported.add(entry.wrong(field_, sentence))

    def _free(self, entries: list[Entry], field_: str, taken: dict[Any, str], of: Callable[[Any], Any]) -> list[Entry]:
        """The items whose `of(row)` is not taken, neither by a row nor by an item before them."""
        free = []
        for entry in entries:
            if (wanted := of(entry.row)) in taken:
                self._wrong(entry, field_, taken[wanted])
            else:
                taken[wanted] = f"{wanted[-1]} is taken by {entry.place}"
                free.append(entry)
        return free

    # Instances and where they stand

    def _instances(self, kind: Kind, entries: list[Entry]) -> None:
        gone = self._unbound_here(entry.id for entry in entries)
        # Their rows are forgotten, their end is not.
        self.imported.already[kind.nouns] += sum(entry.id in gone for entry in entries)
        entries = [entry for entry in entries if entry.id not in gone]
        living = Instance.objects.exclude(state=State.PURGED).filter(
            subnet_id__in={entry.row.subnet_id for entry in entries},
            private_ip__in={entry.row.private_ip for entry in entries},
        )
        taken: dict[Any, str] = {
            (subnet, ip): f"{ip} is taken in this subnet"
            for subnet, ip in living.values_list("subnet_id", "private_ip")
        }
        entries = self._free(entries, "PrivateIpAddress", taken, lambda row: (row.subnet_id, row.private_ip))
        ensure_zones({entry.row.zone_id for entry in entries}, self.imported)
        entries = self._shaped(entries)
        for entry in entries:
            entry.row.account_id = self.account.pk
            entry.row.changed_at = self.now
        self._create(kind, [entry.row for entry in entries])

    def _unbound_here(self, ids: Iterable[UUID]) -> set[UUID]:
        """Those whose relationships were cancelled in this account, by what their owner did or by the schedule."""
        events = Event.objects.cancelling().filter(account=self.account, instance_id__among=list(ids))
        return {pk for pk in events.values_list("instance_id", flat=True) if pk is not None}

    def _shaped(self, entries: list[Entry]) -> list[Entry]:
        """The instances whose type is known, or could be made."""
        known = ensure_types(entries, self.imported)
        for entry in entries:
            if (name := entry.row.instance_type_id) not in known:
                lacks = "MemoryGb" if entry.shape[0] else "VCPU"
                self._wrong(entry, f"InstanceConfigure.{lacks}", f"is missing, and the type {name} is not known yet")
        return [entry for entry in entries if entry.row.instance_type_id in known]

    @cached_property
    def _only_region(self) -> str:
        """The region given, or the only one of the instances of these files, or of the account; else empty."""
        if self.region:
            ensure_regions({self.region}, self.imported)
            return self.region
        if not self.regions:
            zones = Zone.objects.filter(instances__account=self.account)
            self.regions = set(zones.values_list("region_id", flat=True).distinct())
        return next(iter(self.regions)) if len(self.regions) == 1 else ""

    def _placed(self, entry: Entry, region: str) -> bool:
        entry.row.account_id, entry.row.region_id = self.account.pk, region or self._only_region
        if not entry.row.region_id:
            self._wrong(entry, "", "nothing tells its region; say it with --region")
        return bool(entry.row.region_id)

    # What is bound to instances

    def _targets(self, entries: list[Entry]) -> Iterator[tuple[Entry, Target | None]]:
        """Each item with the instance it refers to, None where it refers to none. An unknown one is a problem."""
        named = [(entry, self._candidates(entry)) for entry in entries]
        ids = {pk for _, candidates in named for pk in candidates}
        cancelled = self._unbound_here(ids)
        rows = Instance.objects.filter(account=self.account, pk__among=list(ids))
        targets = {
            pk: Target(pk, state, zone, region, bindable=state in LIVING and pk not in cancelled)
            for pk, state, zone, region in rows.values_list("pk", "state", "zone_id", "zone__region_id")
        }
        for entry, candidates in named:
            known = [targets[pk] for pk in candidates if pk in targets]
            # Left out, forgotten, or in these files with a problem of its own.
            known += [
                Target(pk, State.PURGED) for pk in candidates if pk in cancelled or self.notes.seen(pk, "InstancesSet")
            ]
            if known:
                yield entry, known[0]
            elif entry.instance:
                field_ = "ResourceUuid" if isinstance(entry.row, Tag) else "InstanceId"
                self._wrong(entry, field_, f"{entry.instance} {UNKNOWN}")
            elif entry.interface:
                self._wrong(entry, "NetworkInterfaceId", f"{entry.interface} is of no instance in these files")
            else:
                yield entry, None

    def _candidates(self, entry: Entry) -> list[UUID]:
        owner = self.notes.instance_of(entry.interface) if entry.interface else None
        return [pk for pk in (entry.instance, owner) if pk]

    def _elastic_ips(self, kind: Kind, entries: list[Entry]) -> None:
        rows = ElasticIP.objects.filter(address__in=[entry.row.address for entry in entries])
        taken: dict[Any, str] = {
            (address,): f"{address} is already known as {pk}" if account == self.account.pk else f"{address} {IN_USE}"
            for address, pk, account in rows.values_list("address", "pk", "account_id")
        }
        entries = self._free(entries, "PublicIp", taken, lambda row: (row.address,))
        balancers = self._regions_of_load_balancers({entry.row.load_balancer_id for entry in entries})
        create = []
        for entry, target in self._targets(entries):
            balancer = entry.row.load_balancer_id
            if balancer and balancer not in balancers:
                if not self.notes.seen(balancer, "LoadBalancerDescriptions"):
                    self._wrong(entry, "InstanceId", f"{balancer} {UNKNOWN}")
                continue
            if target and target.bindable:
                entry.row.instance_id, entry.row.zone_id = target.id, target.zone
            if self._placed(entry, target.region if target else balancers.get(balancer, "")):
                create.append(entry.row)
        self._write_bound(kind, create)

    def _regions_of_load_balancers(self, ids: set[UUID | None]) -> dict[UUID, str]:
        rows = LoadBalancer.objects.filter(account=self.account, pk__among=[pk for pk in ids if pk])
        return dict(rows.values_list("pk", "region_id"))

    def _volumes(self, kind: Kind, entries: list[Entry]) -> None:
        create = []
        for entry, target in self._targets(entries):
            row = entry.row
            goes = self.notes.goes_with_instance(entry.id) if entry.goes is None else entry.goes
            if target and target.zone not in ("", row.zone_id):
                self._wrong(entry, "AvailabilityZone", f"{row.zone_id} is not the zone of its instance, {target.zone}")
            elif target and target.state == State.PURGED and goes:
                # It went with its instance.
                self.imported.already[kind.nouns] += 1
            else:
                row.account_id = self.account.pk
                bound = target is not None and target.bindable
                row.instance_id = target.id if target and bound else None
                row.delete_with_instance = bound and goes
                row.mount_point = row.mount_point if bound else ""
                create.append(row)
        ensure_zones({row.zone_id for row in create}, self.imported)
        self._write_bound(kind, create)

    def _write_bound(self, kind: Kind, rows: list[Any]) -> None:
        self.notes.note_bound(row.instance_id for row in rows if row.instance_id)
        self._create(kind, rows)

    # Load balancers

    def _load_balancers(self, kind: Kind, entries: list[Entry]) -> None:
        vpcs = [entry.row.vpc_id for entry in entries if entry.row.vpc_id]
        instances = Instance.objects.filter(account=self.account, vpc_id__among=vpcs)
        regions = dict(instances.values_list("vpc_id", "zone__region_id").distinct())
        self._create(kind, [entry.row for entry in entries if self._placed(entry, regions.get(entry.row.vpc_id, ""))])

    def _listeners(self, kind: Kind, entries: list[Entry]) -> None:
        balancers = self._regions_of_load_balancers({entry.row.load_balancer_id for entry in entries})
        entries = self._known(
            entries, "LoadBalancerId", balancers, "LoadBalancerDescriptions", lambda row: row.load_balancer_id
        )
        rows = Listener.objects.filter(load_balancer__id__among=list(balancers))
        taken: dict[Any, str] = {
            (balancer, protocol, port): f"{protocol}:{port} is taken on this load balancer"
            for balancer, protocol, port in rows.values_list("load_balancer_id", "protocol", "port")
        }
        free = self._free(
            entries, "ListenerPort", taken, lambda row: (row.load_balancer_id, str(row.protocol), row.port)
        )
        for entry in free:
            entry.row.account_id = self.account.pk
            entry.row.region_id = balancers[entry.row.load_balancer_id]
        self._create(kind, [entry.row for entry in free])

    def _real_servers(self, kind: Kind, entries: list[Entry]) -> None:
        ids = list({entry.row.listener_id for entry in entries})
        listeners = dict(Listener.objects.filter(account=self.account, pk__among=ids).values_list("pk", "region_id"))
        entries = self._known(entries, "ListenerId", listeners, "ListenerSet", lambda row: row.listener_id)
        rows = RealServer.objects.filter(
            listener__id__among=list(listeners), address__in={entry.row.address for entry in entries}
        )
        taken: dict[Any, str] = {
            (listener, address, port): f"{address}:{port} is already behind this listener"
            for listener, address, port in rows.values_list("listener_id", "address", "port")
        }
        free = self._free(entries, "RealServerPort", taken, lambda row: (row.listener_id, row.address, row.port))
        create = []
        for entry, target in self._targets(free):
            region = listeners[entry.row.listener_id]
            if target and target.bindable and target.region != region:
                self._wrong(entry, "ListenerId", f"its load balancer is in {region}, its instance in {target.region}")
            elif target and target.bindable:
                entry.row.instance_id, entry.row.account_id = target.id, self.account.pk
                entry.row.zone_id, entry.row.region_id = target.zone, region
                create.append(entry.row)
            else:
                self.imported.already[kind.nouns] += 1
        self._write_bound(kind, create)

    def _known(
        self, entries: list[Entry], field_: str, known: dict[UUID, Any], key: str, of: Callable[[Any], UUID]
    ) -> list[Entry]:
        """The items whose parent is there. One that is in these files but has a problem is not told again."""
        for entry in entries:
            if (pk := of(entry.row)) not in known and not self.notes.seen(pk, key):
                self._wrong(entry, field_, f"{pk} {UNKNOWN}")
        return [entry for entry in entries if of(entry.row) in known]

    # Tags

    def _tags(self, kind: Kind, entries: list[Entry]) -> None:
        wanted: dict[tuple[UUID, str, str], str] = {}
        for entry, target in self._targets(self._of_instances(entries)):
            if target and target.bindable:
                wanted[target.id, entry.row.key, entry.row.value] = target.zone
            else:
                self.imported.already[kind.nouns] += 1
        tags = self._tags_named({(key, value) for _, key, value in wanted})
        attached = set(
            InstanceTag.objects.filter(instance__id__among=list({pk for pk, _, _ in wanted})).values_list(
                "instance_id", "tag_id"
            )
        )
        create = [
            InstanceTag(instance_id=pk, tag_id=tags[key, value], account=self.account, zone_id=zone)
            for (pk, key, value), zone in wanted.items()
            if (pk, tags[key, value]) not in attached
        ]
        self.imported.already[kind.nouns] += len(wanted) - len(create)
        self._write_bound(kind, create)

    def _of_instances(self, entries: list[Entry]) -> list[Entry]:
        """The tags without those of EIPs, volumes and load balancers."""
        ids = [entry.id for entry in entries]
        others = {pk for pk in ids if self.notes.seen(pk, *NOT_INSTANCES)}
        for model in (ElasticIP, Volume, LoadBalancer):
            rows: models.QuerySet[Any] = model._default_manager.filter(account=self.account, pk__among=ids)
            others |= set(rows.values_list("pk", flat=True))
        of_instances = [entry for entry in entries if entry.id not in others]
        self.imported.left_out["tags of what is not an instance"] += len(entries) - len(of_instances)
        return of_instances

    def _tags_named(self, names: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """The ids of the account's tags with these keys and values, made where they are missing."""
        of_account = Tag.objects.filter(account=self.account, key__in={key for key, _ in names})
        tags = {(key, value): pk for key, value, pk in of_account.values_list("key", "value", "pk")}
        made = [Tag(account=self.account, key=key, value=value) for key, value in sorted(names - tags.keys())]
        tags |= {(tag.key, tag.value): tag.pk for tag in Tag.objects.bulk_create(made)}
        return tags
