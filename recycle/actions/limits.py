"""What an account may have and what a zone can give: summed up under a lock at the moment it
matters.

A recycled instance counts towards its account's quota, but gives its vCPU and memory back to the
zone, and so does one stopped with no fees; so a start or a restore can find the zone sold out. The
account charged is always the owner's.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import (
    Aggregate,
    Count,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    TextChoices,
)
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from recycle.actions.outcome import Refused
from recycle.lifecycle import LIVING, State
from recycle.models import (
    Account,
    ElasticIP,
    Instance,
    InstanceType,
    LoadBalancer,
    Tag,
    Volume,
    Zone,
)
from recycle.policy import Refusal

# Instances that use vCPU and memory of their zone.
USING = Q(state__in=LIVING, no_fees=False)
INFINITE = float("inf")


class Limit(TextChoices):
    """What is limited. The values are the fields of an account, and of a zone."""

    INSTANCES = "max_instances", _("Instances")
    ELASTIC_IPS = "max_elastic_ips", _("EIPs")
    VOLUMES = "max_volumes", _("EBS volumes")
    VOLUME_GB = "max_volume_gb", _("GB of EBS volumes")
    LOAD_BALANCERS = "max_load_balancers", _("Load balancers")
    TAGS = "max_tags", _("Tags")
    VCPU = "vcpu_capacity", _("vCPU")
    MEMORY_GB = "memory_gb_capacity", _("GB of memory")


@dataclass(frozen=True, slots=True)
class Short(Refused):
    """More is wanted of something than there is.

    `left` is None for what all accounts share: how much of it is free tells what the others use.
    """

    wanted: int = 0
    left: int | None = None


class Room:
    """The vCPU and memory that zones still have; `take` uses them up one instance after
    the other.
    """

    def __init__(self, zones: Iterable[str], *, lock: bool) -> None:
        limited = Zone.objects.filter(pk__in=set(zones)).exclude(
            vcpu_capacity=None, memory_gb_capacity=None
        )
        self.free: dict[str, tuple[float, float]] = {}
        for zone in (limited.select_for_update(no_key=True) if lock else limited).order_by("pk"):
            used = Instance.objects.filter(USING, zone=zone).aggregate(
                vcpu=Sum("instance_type__vcpu", default=0),
                memory=Sum("instance_type__memory_gb", default=0),
            )
            self.free[zone.pk] = (
                _left(zone.vcpu_capacity, used["vcpu"]),
                _left(zone.memory_gb_capacity, used["memory"]),
            )

    def take(self, zone: str, kind: InstanceType) -> Refusal | None:
        if self.shorts(zone, kind, 1):
            return Refusal.SOLD_OUT
        if zone in self.free:
            vcpu, memory = self.free[zone]
            self.free[zone] = (vcpu - kind.vcpu, memory - kind.memory_gb)
        return None

    def swap(self, zone: str, old: InstanceType, new: InstanceType) -> Refusal | None:
        """Give what one of a kind uses for what one of another does."""
        if zone not in self.free:
            return None
        vcpu, memory = self.free[zone]
        more_vcpu, more_memory = new.vcpu - old.vcpu, new.memory_gb - old.memory_gb
        # Where less is used afterwards, it does not matter that there is nothing left.
        if more_vcpu > max(vcpu, 0) or more_memory > max(memory, 0):
            return Refusal.SOLD_OUT
        self.free[zone] = (vcpu - more_vcpu, memory - more_memory)
        return None

    def shorts(self, zone: str, kind: InstanceType, count: int) -> list[Short]:
        """What the zone lacks for so many of a kind."""
        vcpu, memory = self.free.get(zone, (INFINITE, INFINITE))
        wanted = (
            (Limit.VCPU, kind.vcpu * count, vcpu),
            (Limit.MEMORY_GB, kind.memory_gb * count, memory),
        )
        return [
            Short(0, str(limit.label), Refusal.SOLD_OUT, wanted=n)
            for limit, n, left in wanted
            if n > left
        ]


def _left(capacity: int | None, used: int) -> float:
    return INFINITE if capacity is None else capacity - used


class Quota:
    """What an account may still make. With `lock`, nobody else makes anything there until the
    transaction ends.
    """

    def __init__(self, account_id: int, *, lock: bool) -> None:
        accounts = Account.objects.filter(pk=account_id)
        self.account = (accounts.select_for_update(no_key=True) if lock else accounts).get()

    def left_for(self, model: type[Instance | ElasticIP | Volume | LoadBalancer | Tag]) -> float:
        """How many more of this kind; infinite without a limit, negative where the limit was
        lowered below the use.
        """
        limit = {
            Instance: self.account.max_instances,
            ElasticIP: self.account.max_elastic_ips,
            Volume: self.account.max_volumes,
            LoadBalancer: self.account.max_load_balancers,
            Tag: self.account.max_tags,
        }[model]
        if limit is None:
            return INFINITE
        rows: QuerySet[Any] = model._default_manager.filter(account=self.account)
        if model is Instance:
            rows = rows.exclude(state=State.PURGED)
        return float(limit - rows.count())

    def gb_left(self) -> float:
        if self.account.max_volume_gb is None:
            return INFINITE
        used = Volume.objects.filter(account=self.account).aggregate(
            used=Sum("size_gb", default=0)
        )["used"]
        return float(self.account.max_volume_gb - used)

    def shorts(
        self,
        *,
        instances: int = 0,
        addresses: int = 0,
        volumes: int = 0,
        gb: int = 0,
        tags: int = 0,
    ) -> list[Short]:
        """What the account lacks for so many more of each."""
        wanted: tuple[tuple[Limit, int, Callable[[], float]], ...] = (
            (Limit.INSTANCES, instances, lambda: self.left_for(Instance)),
            (Limit.ELASTIC_IPS, addresses, lambda: self.left_for(ElasticIP)),
            (Limit.VOLUMES, volumes, lambda: self.left_for(Volume)),
            (Limit.VOLUME_GB, gb, self.gb_left),
            (Limit.TAGS, tags, lambda: self.left_for(Tag)),
        )
        # A limit that was lowered below the use leaves nothing, not less.
        return [
            Short(0, str(limit.label), Refusal.QUOTA, wanted=n, left=max(0, int(left)))
            for limit, n, ask in wanted
            if n and n > (left := ask())
        ]


# --- To look at -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Use:
    """How much of something is used, and how much there is at most; None is no limit."""

    limit: Limit
    used: int
    most: int | None

    @property
    def tight(self) -> bool:
        """Whether a tenth or less is left."""
        return self.most is not None and self.used * 10 >= self.most * 9


ACCOUNT_LIMITS = tuple(limit for limit in Limit if limit.startswith("max_"))
ZONE_LIMITS = tuple(limit for limit in Limit if limit not in ACCOUNT_LIMITS)


def with_account_use(accounts: QuerySet[Account]) -> QuerySet[Account]:
    """Annotate accounts with what they use of each limit, as `used_<limit>`."""
    # All that are not purged: each half of them has an index.
    living, binned = Instance.objects.living(), Instance.objects.in_bin()
    return accounts.annotate(
        used_max_instances=_summed(living, "account", Count("pk"))
        + _summed(binned, "account", Count("pk")),
        used_max_elastic_ips=_summed(ElasticIP.objects.all(), "account", Count("pk")),
        used_max_volumes=_summed(Volume.objects.all(), "account", Count("pk")),
        used_max_volume_gb=_summed(Volume.objects.all(), "account", Sum("size_gb")),
        used_max_load_balancers=_summed(LoadBalancer.objects.all(), "account", Count("pk")),
        used_max_tags=_summed(Tag.objects.all(), "account", Count("pk")),
    )


def with_zone_use(zones: QuerySet[Zone]) -> QuerySet[Zone]:
    """Annotate zones with the vCPU and memory that all accounts use, as `used_<limit>`."""
    using = Instance.objects.filter(USING)
    return zones.annotate(
        used_vcpu_capacity=_summed(using, "zone", Sum("instance_type__vcpu")),
        used_memory_gb_capacity=_summed(using, "zone", Sum("instance_type__memory_gb")),
    )


def _summed(rows: QuerySet[Any], owner: str, what: Aggregate) -> Coalesce:
    of_one = (
        rows.filter(**{owner: OuterRef("pk")})
        .order_by()
        .values(owner)
        .annotate(summed=what)
        .values("summed")
    )
    return Coalesce(Subquery(of_one, output_field=IntegerField()), 0)


def uses(row: Account | Zone) -> list[Use]:
    """What is used of each limit of an annotated account or zone."""
    limits = ACCOUNT_LIMITS if isinstance(row, Account) else ZONE_LIMITS
    return [Use(limit, getattr(row, f"used_{limit}"), getattr(row, limit)) for limit in limits]
