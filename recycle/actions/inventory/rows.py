"""The rows of an inventory, batch by batch, with the questions that only the database can
answer.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from django.db import models

from recycle.actions.context import Context
from recycle.actions.inventory import history
from recycle.actions.inventory.catalogue import ensure_regions, ensure_types, ensure_zones
from recycle.actions.inventory.imported import Imported
from recycle.actions.inventory.renewal import RenewUntil
from recycle.actions.move import carry_out
from recycle.actions.resources.base import record_one
from recycle.clock import clock
from recycle.inventory import DISKS_ALONE, LISTINGS, Entry, Listing, Notes, Problem, Topic, kept
from recycle.lifecycle import LIVING, ResourceAction, State
from recycle.models import (
    Account,
    ElasticIP,
    Instance,
    InstanceTag,
    Kind,
    Listener,
    LoadBalancer,
    Project,
    RealServer,
    Tag,
    Volume,
    Zone,
)
from recycle.models.sql import insert_rows
from recycle.policy import DEFAULT_PROJECT, MOST_TAGS, Refusal, deletable_from, end_of_expired

T = TypeVar("T")

WRITTEN_AT_ONCE = 1_000
# So many ends are looked up at once.
RENEWED_AT_ONCE = 20 * WRITTEN_AT_ONCE
# The reason in the events: a program's name, the same in every language.
BY_IMPORT = "import_inventory"
USED_ALREADY = "is already in use"
# An answer may be old: who imports an expired subscription has at least so long to renew it.
LEAST_LEFT = timedelta(days=1)

NOT_HERE = "that are not here"
ENDED = "subscriptions whose time was over before they were imported; --accept-ended takes them in"
EXPIRED = "subscriptions that have expired, imported as such"
OVERDUE = "scheduled deletions whose moment had passed, imported with a day's time"
RENEWED = "subscriptions that run longer in these files"
NOT_RENEWED = "subscriptions that run longer in these files, but whose time is over here"
GONE = "deleted for good here, but not in these files"
TAKEN_OFF = "taken off here, but not in these files"
UNBOUND_HERE = "that are here already, and unbound"
NOT_INSTANCES = tuple(kind.key for kind in LISTINGS if kind.model is not Instance)


def batches(things: Iterable[T], size: int | None = None) -> Iterator[list[T]]:
    rest = iter(things)
    while batch := list(islice(rest, size or WRITTEN_AT_ONCE)):
        yield batch


@dataclass(frozen=True, slots=True)
class Target:
    """The instance that something refers to."""

    id: UUID
    state: str
    zone: str = ""
    region: str = ""
    # False: its relationships were cancelled here, so it gets none.
    bindable: bool = False


class Import:
    """One import: `lock`, `take` each batch in the order of LISTINGS, then `conclude`."""

    def __init__(
        self,
        account: Account,
        region: str,
        context: Context,
        notes: Notes,
        imported: Imported,
        *,
        accept_ended: bool,
    ) -> None:
        self.account, self.region, self.notes, self.imported = account, region, notes, imported
        self.context, self.now = context, context.now
        self.accept_ended = accept_ended
        # Where the instances of these files stand; more than one cannot be guessed from.
        self.regions: set[str] = set()
        # The numbers of the projects that are known to be there.
        self.projects: set[int] = {DEFAULT_PROJECT}
        self.writers: dict[str, Callable[[Listing, list[Entry]], None]] = {
            "InstancesSet": self._instances,
            "LoadBalancerDescriptions": self._load_balancers,
            "ListenerSet": self._listeners,
            "RealServerSet": self._real_servers,
            "AddressesSet": self._elastic_ips,
            "Volumes": self._volumes,
            "Tags": self._tags,
        }

    def lock(self) -> None:
        """Lock the instances that are there and that this import will change or bind something to,
        so that nobody deletes them meanwhile.

        Before anything is written, and all in primary-key order, as every action does, or the two
        could deadlock.
        """
        if not Instance.objects.filter(account=self.account).exists():
            # Nothing to lock: the items need not be read once more for it.
            return
        for kind in LISTINGS:
            for batch in batches(kept(kind, self.notes)):
                entries = [entry for entry in batch if not entry.left_out]
                if kind.model is Instance:
                    self._follow(entries)
                elif bound := [entry for entry in entries if entry.instance or entry.interface]:
                    for entry in self._not_here(kind, bound):
                        self.notes.note_locked(self._candidates(entry))
        for ids in batches(self.notes.locked()):
            mine = Instance.objects.filter(account=self.account, pk__among=ids)
            list(mine.locked().values_list("pk"))

    def _not_here(self, kind: Listing, entries: list[Entry]) -> list[Entry]:
        ids = [entry.id for entry in entries]
        if kind.model is InstanceTag:
            tags = InstanceTag.objects.filter(instance__id__among=ids)
            attached = set(tags.values_list("instance_id", "tag__key", "tag__value"))
            return [
                entry
                for entry in entries
                if (entry.id, entry.values["key"], entry.values["value"]) not in attached
            ]
        rows = kind.model._default_manager.filter(pk__among=ids)
        here = set(rows.values_list("pk", flat=True))
        return [entry for entry in entries if entry.id not in here]

    def take(self, kind: Listing, batch: list[Entry]) -> None:
        self.regions |= {entry.region for entry in batch} - {""}
        entries = []
        for entry in batch:
            for said in entry.notes:
                self.notes.remark(Topic.NOTE, said, entry.id, entry.place)
            for what, things in entry.unread.items():
                self.notes.remark(Topic.LEFT_OUT, what, entry.id, entry.place, things=things)
            if entry.left_out:
                self._leave_out(entry, entry.left_out)
            else:
                entry.row = kind.model(**entry.values) if not kind.anonymous else None
                entries.append(entry)
        missing = self._missing(kind, entries)
        self._ensure_projects(missing)
        self.writers[kind.key](kind, missing)

    def _ensure_projects(self, entries: list[Entry]) -> None:
        """Make the projects that these are in. What is here already keeps its name."""
        wanted = {
            entry.row.project_number: entry.project
            for entry in entries
            if hasattr(entry.row, "project_number")
        }
        if not wanted.keys() - self.projects:
            return
        here = Project.objects.filter(account=self.account)
        self.projects |= set(here.values_list("number", flat=True))
        names = set(here.values_list("name", flat=True))
        for number in sorted(wanted.keys() - self.projects):
            # Two of one name would not be told apart.
            name = "" if wanted[number] in names else wanted[number]
            names.add(name)
            project = Project.objects.create(account=self.account, number=number, name=name)
            record_one(
                replace(self.context, reason=BY_IMPORT),
                ResourceAction.CREATE,
                Kind.PROJECT,
                project,
                account_id=self.account.pk,
            )
            self.projects.add(number)

    def conclude(self) -> None:
        """Move the ends of what was renewed, and tell what only the whole can tell."""
        for ends in batches(self.notes.ends(), RENEWED_AT_ONCE):
            self._renew(dict(ends))
        for disks in batches(self.notes.disks_alone()):
            known = Volume.objects.filter(account=self.account, pk__among=disks).values_list(
                "pk", flat=True
            )
            for pk in set(disks) - set(known):
                self.notes.remark(Topic.LEFT_OUT, DISKS_ALONE, pk)
        # An import may take a minute. A selection made in a list meanwhile must not reach what was
        # not in the list.
        Instance.objects.filter(account=self.account, changed_at=self.now).update(
            changed_at=clock.now()
        )

    def _renew(self, ends: dict[UUID, datetime]) -> None:
        instances = Instance.objects.filter(account=self.account, pk__among=list(ends))
        context = replace(self.context, reason=BY_IMPORT)
        outcome = carry_out(RenewUntil(instances, context, ends=ends), dry_run=False)
        for done in outcome.done:
            until = ends[UUID(str(done.id))]
            self.notes.remark(
                Topic.RENEWED, RENEWED, f"{done.id} until {until:%Y-%m-%d %H:%M} UTC", done.name
            )
        for refused in outcome.refused:
            # Somebody may just have renewed it here.
            if refused.refusal is not Refusal.ALREADY:
                self.notes.remark(Topic.GONE, NOT_RENEWED, refused.id, refused.name)
        for failed in outcome.failed:
            self.imported.fail(Problem(f"instance {failed.id}", failed.error.strip()))

    # What is common to all kinds

    def _leave_out(self, entry: Entry, what: str) -> None:
        self.notes.remark(Topic.LEFT_OUT, what, entry.id, entry.place)

    def _missing(self, kind: Listing, entries: list[Entry]) -> list[Entry]:
        """The items that nobody has yet."""
        if kind.anonymous:
            return entries
        rows = kind.model._default_manager.filter(pk__among=[entry.id for entry in entries])
        owners = dict(rows.values_list("pk", kind.owner))
        if kind.model in (ElasticIP, Volume):
            self._tell_of_bindings(kind, entries)
        gone = self._gone(kind, [entry for entry in entries if entry.id not in owners])
        missing = []
        for entry in entries:
            if entry.id in gone:
                label = TAKEN_OFF if kind.model is RealServer else GONE
                self.notes.remark(Topic.GONE, label, entry.id, entry.place)
            elif entry.id not in owners:
                missing.append(entry)
            elif owners[entry.id] == self.account.pk:
                self.imported.already[kind.nouns] += 1
            else:
                # Whose it is, is nobody else's business.
                self._wrong(entry, kind.id_field, f"{entry.id} {USED_ALREADY}")
        return missing

    def _gone(self, kind: Listing, missing: list[Entry]) -> set[UUID]:
        """Those that were here, and were deleted."""
        if kind.model is Instance:
            return set()
        ids = [entry.id for entry in missing]
        end = ResourceAction.UNBIND if kind.model is RealServer else ResourceAction.REMOVE
        gone = history.removed(self.account, end, ids)
        if kind.model is Volume:
            on = {pk for entry in missing for pk in self._candidates(entry)}
            gone |= history.released_with(self.account, on, ids)
        return gone

    def _tell_of_bindings(self, kind: Listing, entries: list[Entry]) -> None:
        """What is here is left alone, also where these files have it bound and it is not bound
        here.
        """
        bound = {
            entry.id: entry
            for entry in entries
            if entry.instance or entry.interface or entry.values.get("load_balancer_id")
        }
        here = kind.model._default_manager.filter(
            account=self.account, pk__among=list(bound), instance=None
        )
        if kind.model is ElasticIP:
            here = here.filter(load_balancer=None)
        for pk in here.order_by("pk").values_list("pk", flat=True):
            what = f"bindings of {kind.nouns[1]} {UNBOUND_HERE}"
            self._leave_out(bound[pk], what)

    def _create(self, kind: Listing, rows: Sequence[models.Model]) -> None:
        insert_rows(rows)
        self.imported.created[kind.nouns] += len(rows)

    def _wrong(self, entry: Entry, field_: str, sentence: str) -> None:
        self.imported.fail(entry.wrong(field_, sentence))

    def _free(
        self, entries: list[Entry], field_: str, taken: dict[Any, str], of: Callable[[Any], Any]
    ) -> list[Entry]:
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

    def _instances(self, kind: Listing, entries: list[Entry]) -> None:
        gone = history.cancelled(self.account, (entry.id for entry in entries))
        for entry in entries:
            if entry.id in gone:
                # Their rows are forgotten, their end is not.
                self.imported.already[kind.nouns] += 1
                self._tell_if_alive(entry)
        entries = [entry for entry in entries if entry.id not in gone and not self._ended(entry)]
        living = Instance.objects.exclude(state=State.PURGED).filter(
            subnet_id__in={entry.row.subnet_id for entry in entries},
            private_ip__in={entry.row.private_ip for entry in entries},
        )
        taken: dict[Any, str] = {
            (subnet, ip): f"{ip} is taken in this subnet"
            for subnet, ip in living.values_list("subnet_id", "private_ip")
        }
        entries = self._free(
            entries, "PrivateIpAddress", taken, lambda row: (row.subnet_id, row.private_ip)
        )
        ensure_zones({entry.row.zone_id for entry in entries}, self.imported)
        entries = self._shaped(entries)
        for entry in entries:
            entry.row.account_id = self.account.pk
            entry.row.changed_at = self.now
            self._postpone_deletion(entry)
        self._create(kind, [entry.row for entry in entries])

    def _ended(self, entry: Entry) -> bool:
        """Whether it is left out because its time was over. What has expired comes as expired, with
        time to renew it.

        No deadline that had passed before the import ever purges what the import brought.
        """
        row = entry.row
        if row.expires_at is None or row.expires_at > self.now:
            return False
        if self._is_over(entry) and not self.accept_ended:
            self._leave_out(entry, ENDED)
            return True
        end = end_of_expired(row)
        assert end is not None
        row.state, row.purge_at = State.EXPIRED, max(end, self.now + LEAST_LEFT)
        until = f"{entry.id} until {row.purge_at:%Y-%m-%d %H:%M} UTC"
        self.notes.remark(Topic.NOTE, EXPIRED, until, entry.place)
        return False

    def _postpone_deletion(self, entry: Entry) -> None:
        """As with what has expired: a moment that had passed leaves time to cancel it."""
        row = entry.row
        if row.delete_at is None:
            return
        if row.delete_at <= self.now:
            row.delete_at = self.now + LEAST_LEFT
            until = f"{entry.id} until {row.delete_at:%Y-%m-%d %H:%M} UTC"
            self.notes.remark(Topic.NOTE, OVERDUE, until, entry.place)
        # From then on its age does not stand in the way.
        row.delete_at = max(row.delete_at, deletable_from(row) + timedelta(seconds=1))

    def _is_over(self, entry: Entry) -> bool:
        """Whether it is a subscription that is deleted for good by now."""
        end = end_of_expired(
            Instance(**{name: entry.values[name] for name in ("billing_mode", "expires_at")})
        )
        return end is not None and end <= self.now

    def _follow(self, entries: list[Entry]) -> None:
        """What these files say of instances that are there: a later end is a renewal, and a life
        here ended is told.
        """
        there = Instance.objects.filter(
            account=self.account, pk__among=[entry.id for entry in entries]
        )
        known = {
            pk: (state, ends) for pk, state, ends in there.values_list("pk", "state", "expires_at")
        }
        renewed = []
        for entry in entries:
            if entry.id not in known:
                continue
            state, here = known[entry.id]
            ends = entry.values["expires_at"]
            if state == State.PURGED:
                self._tell_if_alive(entry)
            elif state in LIVING and here and ends and ends > here and not self._is_over(entry):
                self.notes.note_end(entry.id, ends)
                renewed.append(entry.id)
        self.notes.note_locked(renewed)

    def _tell_if_alive(self, entry: Entry) -> None:
        if not self._is_over(entry):
            self.notes.remark(Topic.GONE, GONE, entry.id, entry.place)

    def _shaped(self, entries: list[Entry]) -> list[Entry]:
        """The instances whose type is known, or could be made."""
        known = ensure_types(entries, self.imported)
        for entry in entries:
            if (name := entry.row.instance_type_id) not in known:
                lacks = "MemoryGb" if entry.shape[0] else "VCPU"
                self._wrong(
                    entry,
                    f"InstanceConfigure.{lacks}",
                    f"is missing, and the type {name} is not known yet",
                )
        return [entry for entry in entries if entry.row.instance_type_id in known]

    @cached_property
    def _only_region(self) -> str:
        """The region given, or the only one of the instances of these files, or of the account;
        else empty.
        """
        if not self.region and not self.regions:
            zones = Zone.objects.filter(instances__account=self.account)
            self.regions = set(zones.values_list("region_id", flat=True).distinct())
        regions = {self.region} if self.region else self.regions
        if len(regions) != 1:
            return ""
        # Its instances may all have been left out.
        ensure_regions(regions, self.imported)
        return next(iter(regions))

    def _placed(self, entry: Entry, region: str) -> bool:
        entry.row.account_id, entry.row.region_id = self.account.pk, region or self._only_region
        if not entry.row.region_id:
            self._wrong(entry, "", "nothing tells its region; say it with --region")
        return bool(entry.row.region_id)

    # What is bound to instances

    def _targets(self, entries: list[Entry], what: str) -> Iterator[tuple[Entry, Target | None]]:
        """Each item with the instance it refers to; None where it refers to none, or to one that is
        not here.

        The latter is told as `what` was left out. It may be of another project, or of a kind that
        has no rules here.
        """
        named = [(entry, self._candidates(entry)) for entry in entries]
        ids = {pk for _, candidates in named for pk in candidates}
        cancelled = history.cancelled(self.account, ids)
        rows = Instance.objects.filter(account=self.account, pk__among=list(ids))
        targets = {
            pk: Target(pk, state, zone, region, bindable=state in LIVING and pk not in cancelled)
            for pk, state, zone, region in rows.values_list(
                "pk", "state", "zone_id", "zone__region_id"
            )
        }
        # Forgotten ones.
        targets = {pk: Target(pk, State.PURGED) for pk in cancelled} | targets
        for entry, candidates in named:
            target = next((targets[pk] for pk in candidates if pk in targets), None)
            if target is None and (entry.instance or entry.interface):
                self._leave_out(entry, f"{what} {NOT_HERE}")
            yield entry, target

    def _candidates(self, entry: Entry) -> list[UUID]:
        owner = self.notes.instance_of(entry.interface) if entry.interface else None
        return [pk for pk in (entry.instance, owner) if pk]

    def _elastic_ips(self, kind: Listing, entries: list[Entry]) -> None:
        rows = ElasticIP.objects.filter(address__in=[entry.row.address for entry in entries])
        taken: dict[Any, str] = {
            (address,): f"{address} is already known as {pk}"
            if account == self.account.pk
            else f"{address} {USED_ALREADY}"
            for address, pk, account in rows.values_list("address", "pk", "account_id")
        }
        entries = self._free(entries, "PublicIp", taken, lambda row: (row.address,))
        balancers = self._regions_of_load_balancers(
            {entry.row.load_balancer_id for entry in entries}
        )
        create = []
        for entry, target in self._targets(entries, "bindings of EIPs to instances"):
            balancer = entry.row.load_balancer_id
            if balancer and balancer not in balancers:
                self._leave_out(entry, f"bindings of EIPs to load balancers {NOT_HERE}")
                entry.row.load_balancer_id = None
            if target and target.bindable:
                entry.row.instance_id, entry.row.zone_id = target.id, target.zone
            region = target.region if target else balancers.get(balancer, "")
            if self._placed(entry, region or self._region_of_left_out(entry)):
                create.append(entry.row)
        ensure_regions({row.region_id for row in create}, self.imported)
        self._write_bound(kind, create)

    def _region_of_left_out(self, entry: Entry) -> str:
        """That of the instance it is bound to in these files, which did not come or is gone."""
        regions = (self.notes.region_of(pk) for pk in self._candidates(entry))
        return next(filter(None, regions), "")

    def _regions_of_load_balancers(self, ids: set[UUID | None]) -> dict[UUID, str]:
        rows = LoadBalancer.objects.filter(account=self.account, pk__among=[pk for pk in ids if pk])
        return dict(rows.values_list("pk", "region_id"))

    def _volumes(self, kind: Listing, entries: list[Entry]) -> None:
        create = []
        for entry, target in self._targets(entries, "attachments of EBS volumes to instances"):
            row = entry.row
            goes = self.notes.goes_with_instance(entry.id) if entry.goes is None else entry.goes
            if target and target.state == State.PURGED and goes:
                # It went with its instance.
                self.imported.already[kind.nouns] += 1
                continue
            if target and target.zone not in ("", row.zone_id):
                self._leave_out(entry, "attachments of EBS volumes to instances in another zone")
                target = None
            bound = target is not None and target.bindable
            row.account_id = self.account.pk
            row.instance_id = target.id if target and bound else None
            row.delete_with_instance = bound and goes
            row.mount_point = row.mount_point if bound else ""
            create.append(row)
        ensure_zones({row.zone_id for row in create}, self.imported)
        self._write_bound(kind, create)

    def _write_bound(self, kind: Listing, rows: list[Any]) -> None:
        """Make rows that may be bound to an instance, once more asked under its lock, which nearly
        always is held by now.
        """
        ids = {row.instance_id for row in rows} - {None}
        instances = Instance.objects.filter(pk__among=list(ids), state__in=LIVING).locked()
        living = set(instances.values_list("pk", flat=True))
        for pk in ids - (living - history.cancelled(self.account, ids)):
            self.imported.fail(
                Problem(f"instance {pk}", "was deleted during the import; import once more")
            )
        self._create(kind, rows)

    # Load balancers

    def _load_balancers(self, kind: Listing, entries: list[Entry]) -> None:
        vpcs = [entry.row.vpc_id for entry in entries if entry.row.vpc_id]
        instances = Instance.objects.filter(account=self.account, vpc_id__among=vpcs)
        regions = dict(instances.values_list("vpc_id", "zone__region_id").distinct())
        self._create(
            kind,
            [
                entry.row
                for entry in entries
                if self._placed(entry, regions.get(entry.row.vpc_id, ""))
            ],
        )

    def _listeners(self, kind: Listing, entries: list[Entry]) -> None:
        balancers = self._regions_of_load_balancers(
            {entry.row.load_balancer_id for entry in entries}
        )
        entries = self._known(
            entries, "listeners of load balancers", balancers, lambda row: row.load_balancer_id
        )
        rows = Listener.objects.filter(load_balancer__id__among=list(balancers))
        taken: dict[Any, str] = {
            (balancer, protocol, port): f"{protocol}:{port} is taken on this load balancer"
            for balancer, protocol, port in rows.values_list("load_balancer_id", "protocol", "port")
        }
        free = self._free(
            entries,
            "ListenerPort",
            taken,
            lambda row: (row.load_balancer_id, str(row.protocol), row.port),
        )
        for entry in free:
            entry.row.account_id = self.account.pk
            entry.row.region_id = balancers[entry.row.load_balancer_id]
        self._create(kind, [entry.row for entry in free])

    def _real_servers(self, kind: Listing, entries: list[Entry]) -> None:
        ids = list({entry.row.listener_id for entry in entries})
        listeners = dict(
            Listener.objects.filter(account=self.account, pk__among=ids).values_list(
                "pk", "region_id"
            )
        )
        entries = self._known(
            entries, "real servers of listeners", listeners, lambda row: row.listener_id
        )
        rows = RealServer.objects.filter(
            listener__id__among=list(listeners),
            address__in={entry.row.address for entry in entries},
        )
        taken: dict[Any, str] = {
            (listener, address, port): f"{address}:{port} is already behind this listener"
            for listener, address, port in rows.values_list("listener_id", "address", "port")
        }
        free = self._free(
            entries, "RealServerPort", taken, lambda row: (row.listener_id, row.address, row.port)
        )
        create = []
        for entry, target in self._targets(free, "real servers on instances"):
            region = listeners[entry.row.listener_id]
            if target is None:
                continue
            if not target.bindable:
                self.imported.already[kind.nouns] += 1
            elif target.region != region:
                self._leave_out(entry, "real servers in another region than their load balancer")
            else:
                entry.row.instance_id, entry.row.account_id = target.id, self.account.pk
                entry.row.zone_id, entry.row.region_id = target.zone, region
                create.append(entry.row)
        self._write_bound(kind, create)

    def _known(
        self, entries: list[Entry], what: str, known: dict[UUID, Any], of: Callable[[Any], UUID]
    ) -> list[Entry]:
        """The items whose parent is here. The others are told as `what` was left out."""
        for entry in entries:
            if of(entry.row) not in known:
                self._leave_out(entry, f"{what} {NOT_HERE}")
        return [entry for entry in entries if of(entry.row) in known]

    # Tags

    def _tags(self, kind: Listing, entries: list[Entry]) -> None:
        wanted: dict[tuple[UUID, str, str], tuple[Entry, Target]] = {}
        for entry, target in self._targets(self._of_instances(entries), "tags of instances"):
            if target and target.bindable:
                wanted[target.id, entry.values["key"], entry.values["value"]] = entry, target
            elif target:
                self.imported.already[kind.nouns] += 1
        rows = InstanceTag.objects.filter(instance__id__among=list({pk for pk, _, _ in wanted}))
        attached = set(rows.values_list("instance_id", "tag__key", "tag__value"))
        has = Counter(pk for pk, _, _ in attached)
        self.imported.already[kind.nouns] += len(wanted.keys() & attached)
        missing = {each: wanted[each] for each in wanted if each not in attached}
        taken_off = history.tags_taken_off({pk for pk, _, _ in missing})
        for each, (entry, _) in list(missing.items()):
            pk, key, value = each
            if (pk, str(Tag(key=key, value=value))) in taken_off:
                self.notes.remark(Topic.GONE, TAKEN_OFF, pk, entry.place)
                del missing[each]
            elif has[pk] >= MOST_TAGS:
                self._leave_out(entry, f"tags beyond {MOST_TAGS} on an instance")
                del missing[each]
            else:
                has[pk] += 1
        tags = self._tags_named({(key, value) for _, key, value in missing})
        create = [
            InstanceTag(
                instance_id=pk, tag_id=tags[key, value], account=self.account, zone_id=target.zone
            )
            for (pk, key, value), (_, target) in missing.items()
        ]
        self._write_bound(kind, create)

    def _of_instances(self, entries: list[Entry]) -> list[Entry]:
        """The tags without those of EIPs, volumes and load balancers."""
        ids = [entry.id for entry in entries]
        others = {pk for pk in ids if self.notes.seen(pk, *NOT_INSTANCES)}
        for model in (ElasticIP, Volume, LoadBalancer):
            rows: models.QuerySet[Any] = model._default_manager.filter(
                account=self.account, pk__among=ids
            )
            others |= set(rows.values_list("pk", flat=True))
        for entry in entries:
            if entry.id in others:
                self._leave_out(entry, "tags of what is not an instance")
        return [entry for entry in entries if entry.id not in others]

    def _tags_named(self, names: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """The ids of the account's tags with these keys and values, made where they are missing."""
        of_account = Tag.objects.filter(account=self.account, key__in={key for key, _ in names})
        tags = {(key, value): pk for key, value, pk in of_account.values_list("key", "value", "pk")}
        made = [
            Tag(account=self.account, key=key, value=value)
            for key, value in sorted(names - tags.keys())
        ]
        tags |= {(tag.key, tag.value): tag.pk for tag in Tag.objects.bulk_create(made)}
        return tags
