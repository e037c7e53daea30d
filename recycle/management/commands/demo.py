"""An account worth looking at: every billing mode and status, bindings of all kinds, a bin about to
empty, a history.

Instances are born here, in use and bound; everything that happens to them afterwards is done by the
actions, in the past.
"""

import random
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from tqdm import tqdm

from console import env
from recycle import actions
from recycle.actions import Context
from recycle.actions.keeping import add_rule
from recycle.actions.limits import Limit, uses, with_account_use, with_zone_use
from recycle.clock import clock
from recycle.lifecycle import Action, State
from recycle.models import (
    Account,
    Edge,
    ElasticIP,
    Instance,
    InstanceQuerySet,
    InstanceTag,
    InstanceType,
    Listener,
    LoadBalancer,
    Membership,
    Project,
    RealServer,
    Region,
    RetentionRule,
    Tag,
    User,
    Volume,
    Zone,
)
from recycle.policy import (
    DEFAULT_PROJECT,
    NO_FEES_FAMILIES,
    POLICIES,
    BillingMode,
    Role,
    may,
)

NAME = "Acme Research"
# Beside the Default Project.
PROJECTS = ("Online shop", "Research")
REGIONS = {
    "cn-beijing-6": "abc",
    "cn-shanghai-2": "ab",
    "cn-guangzhou-1": "a",
}
# Family: memory in GB for each vCPU. The vendor's own figures are not public; these are ours.
FAMILIES = {"N3": 4, "C4": 2, "S4": 4, "E1": 8, "I3": 4}
DEMO_SIZES = (1, 2, 4, 8, 16)
DEMO_IMAGES = ("Debian 12", "Ubuntu 22.04", "CentOS 7.9", "Rocky Linux 9.4")
PURPOSES = (
    "web-frontend",
    "batch-worker",
    "ledger-replica",
    "search-node",
    "build-agent",
    "api-gateway",
    "cache",
)
DEMO_REASONS = ("wrong stack", "scale-in", "replaced by a larger one", "end of the experiment", "")
TAGS = (
    ("env", "prod"),
    ("env", "test"),
    ("team", "search"),
    ("team", "ledger"),
    ("cost-center", "4711"),
)
# Minutes that the entries in the bin still have; the time of one of them is suspended by a legal
# hold.
ENDS_IN = (2, 20, 35, 62, 77, 95, 110)
HELD = 77
# A rule for a tag is this many minutes old, and keeps one more entry for a day.
RULE_SET, RULE_USED = 20, 15
RULE = ("env", "prod")


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--instances", type=int, default=60, help="how many instances (at least 20)"
        )
        parser.add_argument(
            "--seed", type=int, default=1, help="the same seed makes the same account"
        )
        parser.add_argument(
            "--if-empty", action="store_true", help="do nothing when there is an account already"
        )
        parser.add_argument(
            "--open", action="store_true", help="other machines can reach the console"
        )

    def handle(self, *args: Any, instances: int, seed: int, if_empty: bool, **options: Any) -> None:
        makes = not (if_empty and Account.objects.exists())
        if options["open"] or env.is_open(settings.ALLOWED_HOSTS):
            _refuse_weak_password(makes=makes)
        if not makes:
            return
        if instances < 20:
            raise CommandError("At least 20 instances are needed to show every status.")
        if Account.objects.filter(name=NAME).exists():
            raise CommandError(f"The demo account, {NAME}, is there already.")
        with transaction.atomic():
            Demo(instances, random.Random(seed), clock.now()).make()  # noqa: S311 (not a secret)
        self.stdout.write(f"Made the account {NAME} with {instances} instances.")


def _password() -> str:
    return env.secret("CONSOLE_DEMO_PASSWORD", kept_in=settings.DATA_DIR / "demo-password", size=12)


def _refuse_weak_password(*, makes: bool) -> None:
    """The demo user is a superuser whose name everybody knows: with a weak password
    anybody is one.
    """
    password = _password()
    try:
        validate_password(password, User(username="demo"))
    except ValidationError as error:
        reasons = " ".join(error.messages)
    else:
        return
    if makes:
        raise CommandError(
            "CONSOLE_DEMO_PASSWORD is too weak for a console that other machines can reach: "
            f"{reasons} "
            "Leave it unset, and a good one is made."
        )
    # An older start may have been content with it.
    demo = User.objects.filter(username="demo", is_active=True).first()
    if demo and demo.check_password(password):
        raise CommandError(
            "The password of the user demo is too weak for a console that other machines can "
            f"reach: {reasons} "
            "Start it with --host 127.0.0.1 and change the password, or deactivate the user."
        )


class Demo:
    def __init__(self, count: int, chance: random.Random, now: datetime) -> None:
        self.count, self.chance, self.now = count, chance, now
        self.account = Account.objects.create(name=NAME)
        self.numbers: dict[str, int] = {}
        for number, name in enumerate(PROJECTS, start=1):
            Project.objects.create(account=self.account, number=number, name=name)

    def make(self) -> None:
        self._people()
        self._catalogue()
        self._network()
        instances = [self._instance(number) for number in range(self.count)]
        Instance.objects.bulk_create(instances)
        self._bind(instances)
        self._live(instances)
        self._limit()

    def _uuid(self) -> UUID:
        return UUID(int=self.chance.getrandbits(128), version=4)

    def _people(self) -> None:
        demo = User.objects.create_superuser("demo", password=_password())
        self.people = [demo]
        Membership.objects.create(user=demo, account=self.account, role=Role.ADMINISTRATOR)
        for name, role in (
            ("li.wei", Role.OPERATOR),
            ("chen.yu", Role.OPERATOR),
            ("wang.fang", Role.VIEWER),
        ):
            user, _ = User.objects.get_or_create(username=name)
            Membership.objects.create(user=user, account=self.account, role=role)
            if may(role, Action.DELETE):
                self.people.append(user)

    def _catalogue(self) -> None:
        self.zones = []
        for code, letters in REGIONS.items():
            region, _ = Region.objects.get_or_create(code=code, defaults={"name": code})
            for letter in letters:
                zone, _ = Zone.objects.get_or_create(
                    code=f"{code}{letter}", defaults={"region": region}
                )
                self.zones.append(zone)
        self.types = []
        for family, memory in FAMILIES.items():
            for size in DEMO_SIZES:
                shape = {"family": family, "vcpu": size, "memory_gb": size * memory}
                made, _ = InstanceType.objects.get_or_create(
                    name=f"{family}.{size}B", defaults=shape
                )
                self.types.append(made)

    def _network(self) -> None:
        self.vpcs = {code: self._uuid() for code in REGIONS}
        self.subnets = {zone.pk: self._uuid() for zone in self.zones}
        self.listeners: dict[str, list[Listener]] = {}
        for code in REGIONS:
            balancer = LoadBalancer.objects.create(
                id=self._uuid(),
                account=self.account,
                region_id=code,
                name=f"front-{code}",
                vpc_id=self.vpcs[code],
                created_at=self.now - timedelta(days=80),
            )
            self.listeners[code] = [
                Listener.objects.create(
                    id=self._uuid(),
                    load_balancer=balancer,
                    name=protocol.lower(),
                    protocol=protocol,
                    port=port,
                    created_at=balancer.created_at,
                )
                for protocol, port in (("HTTP", 80), ("HTTPS", 443))
            ]
        self.tags = [
            Tag.objects.create(account=self.account, key=key, value=value) for key, value in TAGS
        ]

    def _instance(self, number: int) -> Instance:
        chance = self.chance
        # Half by the day, and a quarter each of the others.
        mode = (BillingMode.DAILY, BillingMode.HOURLY, BillingMode.DAILY, BillingMode.MONTHLY)[
            number % 4
        ]
        zone = chance.choices(self.zones, weights=[4, 3, 2, 2, 1, 1])[0]
        purpose = chance.choice(PURPOSES)
        self.numbers[purpose] = self.numbers.get(purpose, 0) + 1
        created = self.now - timedelta(days=chance.uniform(2, 75))
        expires = None
        if POLICIES[mode].expires:
            # Some ran out lately, the others go on for a while.
            gone = number % 16 == 3
            expires = self.now + timedelta(
                days=-chance.uniform(0.2, 6.6) if gone else chance.uniform(1, 160)
            )
        kind = chance.choice(self.types)
        if mode == BillingMode.HOURLY and number % 8 == 1:
            kind = chance.choice(
                [shape for shape in self.types if shape.family in NO_FEES_FAMILIES]
            )
        subnet = 1 + self.zones.index(zone)
        return Instance(
            id=self._uuid(),
            account=self.account,
            project_number=number % (len(PROJECTS) + 1),
            zone=zone,
            instance_type=kind,
            name=f"{purpose}-{self.numbers[purpose]:02}",
            state=State.ACTIVE,
            billing_mode=mode,
            image_name=chance.choice(DEMO_IMAGES),
            image_id=str(self._uuid()),
            system_disk_type="SSD3.0",
            system_disk_gb=40,
            private_ip=f"10.0.{subnet + 10 * (number // 240)}.{10 + number % 240}",
            subnet_id=self.subnets[zone.pk],
            vpc_id=self.vpcs[zone.region_id],
            security_group_ids=[str(self.vpcs[zone.region_id])],
            created_at=created,
            changed_at=created,
            expires_at=expires,
        )

    def _bind(self, instances: list[Instance]) -> None:
        chance = self.chance
        servers, eips, volumes, tags = [], [], [], []
        for number, instance in enumerate(instances):
            region = instance.zone.region_id
            if instance.name.startswith(("web", "api")):
                servers += [
                    RealServer(
                        id=self._uuid(),
                        listener=listener,
                        instance=instance,
                        address=instance.private_ip,
                        port=8080,
                    )
                    for listener in self.listeners[region]
                ]
            if chance.random() < 0.45:
                eips.append(self._eip(number, region, instance))
            volumes += [
                self._volume(instance.zone, instance.name, disk, instance)
                for disk in range(chance.choice((0, 1, 1, 2)))
            ]
            tags += [
                InstanceTag(instance=instance, tag=tag)
                for tag in chance.sample(self.tags, chance.randint(0, 3))
            ]
        for number in range(4):
            eips.append(self._eip(len(instances) + number, chance.choice(list(REGIONS)), None))
            volumes.append(self._volume(chance.choice(self.zones), "spare", number, None))
        RealServer.objects.bulk_create(servers)
        ElasticIP.objects.bulk_create(eips)
        Volume.objects.bulk_create(volumes)
        InstanceTag.objects.bulk_create(tags)

    def _eip(self, number: int, region: str, instance: Instance | None) -> ElasticIP:
        return ElasticIP(
            id=self._uuid(),
            account=self.account,
            project_number=instance.project_number if instance else DEFAULT_PROJECT,
            region_id=region,
            address=f"120.92.{number // 250}.{1 + number % 250}",
            bandwidth_mbps=self.chance.choice((1, 5, 10, 100)),
            instance=instance,
            created_at=self.now - timedelta(days=40),
        )

    def _volume(self, zone: Zone, name: str, disk: int, instance: Instance | None) -> Volume:
        return Volume(
            id=self._uuid(),
            account=self.account,
            project_number=instance.project_number if instance else DEFAULT_PROJECT,
            zone=zone,
            name=f"{name}-data-{disk + 1}",
            type=self.chance.choice(("SSD3.0", "EHDD", "ESSD_PL1")),
            size_gb=self.chance.choice((40, 100, 200, 500)),
            instance=instance,
            mount_point=f"/dev/vd{'bcdefg'[disk]}" if instance else "",
            delete_with_instance=bool(instance) and self.chance.random() < 0.2,
            created_at=self.now - timedelta(days=40),
        )

    def _live(self, instances: list[Instance]) -> None:
        """What happened to them, oldest first."""
        chance, now = self.chance, self.now
        daily = [instance for instance in instances if instance.billing_mode == BillingMode.DAILY]
        hourly = [instance for instance in instances if instance.billing_mode == BillingMode.HOURLY]
        chance.shuffle(daily)
        gone, back, binned, used = (
            daily[:2],
            daily[2:4],
            daily[4 : 4 + len(ENDS_IN)],
            daily[4 + len(ENDS_IN) :],
        )
        ruled, used = used[:1], used[1:]
        self._tag_for_rule(ruled, binned)

        steps: list[tuple[datetime, Callable[[datetime], object]]] = []

        def then(ago: timedelta, step: Callable[[datetime], object]) -> None:
            steps.append((now - ago, step))

        for days, instance in enumerate((*used, *hourly)):
            then(timedelta(hours=30 + days), partial(self._stop, instance))
            if days % 3:
                then(timedelta(hours=29 + days, minutes=48), partial(self._start, instance))
        for hours, instance in enumerate(back):
            then(timedelta(hours=20 + hours), partial(self._delete, instance))
            then(timedelta(hours=19 + hours, minutes=35), partial(self._restore, instance))
        for instance in gone:
            then(timedelta(hours=7), partial(self._delete, instance))
        then(timedelta(hours=5), lambda moment: actions.purge_due(context=_acting(None, moment)))
        for instance in hourly[:1]:
            then(timedelta(hours=4), partial(self._delete, instance))
        for minutes, instance in zip(ENDS_IN, binned, strict=False):
            then(timedelta(minutes=120 - minutes), partial(self._delete, instance))
            if minutes == HELD:
                then(timedelta(minutes=30), partial(self._hold, instance))
        then(timedelta(minutes=RULE_SET), self._set_rule)
        for instance in ruled:
            then(timedelta(minutes=RULE_USED), partial(self._delete, instance))
        for instance in used[:1]:
            then(timedelta(days=1), partial(self._protect, instance))
        first = next(iter(REGIONS))
        shown = [instance for instance in used[1:] if instance.zone.region_id == first]
        for instance in shown[:1]:
            then(timedelta(hours=2), partial(self._schedule_deletion, instance))
        no_fees = [instance for instance in hourly[1:] if instance.family in NO_FEES_FAMILIES]
        for instance in no_fees[: max(1, len(no_fees) // 3)]:
            then(timedelta(hours=3), partial(self._start, instance))
            then(timedelta(hours=1), partial(self._stop, instance, no_fees=True))
        then(timedelta(0), lambda moment: actions.expire_due(context=_acting(None, moment)))
        in_order = sorted(steps, key=lambda pair: pair[0])
        # None: no bar unless the standard error is a terminal.
        for moment, step in tqdm(in_order, "History", unit=" actions", disable=None):
            step(moment)

    def _schedule_deletion(self, instance: Instance, moment: datetime) -> None:
        actions.schedule_deletion(
            _only(instance),
            delete_at=self.now + timedelta(hours=9),
            context=_acting(self._someone(), moment),
        )

    def _start(self, instance: Instance, moment: datetime) -> None:
        actions.start(_only(instance), context=_acting(self._someone(), moment))

    def _stop(self, instance: Instance, moment: datetime, *, no_fees: bool = False) -> None:
        actions.stop(_only(instance), no_fees=no_fees, context=_acting(self._someone(), moment))

    def _restore(self, instance: Instance, moment: datetime) -> None:
        actions.restore(_only(instance), context=_acting(self._someone(), moment))

    def _delete(self, instance: Instance, moment: datetime) -> None:
        reason = self.chance.choice(DEMO_REASONS)
        actions.delete(
            _only(instance), may_release=True, context=_acting(self._someone(), moment, reason)
        )

    def _hold(self, instance: Instance, moment: datetime) -> None:
        review = (self.now + timedelta(days=30)).date()
        reason = "Case 2026-114: preserve the disk"
        actions.hold(
            _only(instance), review_on=review, context=_acting(self.people[0], moment, reason)
        )

    def _protect(self, instance: Instance, moment: datetime) -> None:
        actions.protect(
            _only(instance), context=_acting(self.people[0], moment, "database of the ledger")
        )

    def _tag_for_rule(self, ruled: list[Instance], binned: list[Instance]) -> None:
        """What is deleted once there is the rule: one entry that it keeps, and none that ends in 2
        hours.
        """
        tag = next(tag for tag in self.tags if (tag.key, tag.value) == RULE)
        for instance in ruled:
            InstanceTag.objects.get_or_create(instance=instance, tag=tag)
        later = [
            instance
            for minutes, instance in zip(ENDS_IN, binned, strict=False)
            if 120 - minutes < RULE_SET
        ]
        InstanceTag.objects.filter(instance__in=later, tag=tag).delete()

    def _set_rule(self, moment: datetime) -> None:
        key, value = RULE
        rule = RetentionRule(account=self.account, key=key, value=value, keep_for=timedelta(days=1))
        add_rule(rule, context=_acting(self.people[0], moment))

    def _limit(self) -> None:
        """Quotas with room for some more, and zones of which the last one is all but sold out."""
        account = with_account_use(Account.objects.filter(pk=self.account.pk)).get()
        for use in uses(account):
            setattr(account, use.limit, max(20, -(-use.used * 5 // 4 // 10) * 10))
        account.save()
        zones = [
            zone
            for zone in self.zones
            if zone.vcpu_capacity is None and zone.memory_gb_capacity is None
        ]
        for zone in with_zone_use(
            Zone.objects.filter(pk__in=[zone.pk for zone in zones]).order_by("pk")
        ):
            spare = 1 if zone.pk == self.zones[-1].pk else 60
            for use in uses(zone):
                setattr(
                    zone, use.limit, use.used + spare * (4 if use.limit is Limit.MEMORY_GB else 1)
                )
            zone.save()

    def _someone(self) -> User:
        return self.chance.choice(self.people)


def _acting(by: User | None, now: datetime, reason: str = "") -> Context:
    """As if `by` had asked for it on a page, or the schedule had come by where that is None."""
    edge = Edge.PAGE if by else Edge.SCHEDULE
    return Context(by=by, now=now, edge=edge, reason=reason)


def _only(instance: Instance) -> InstanceQuerySet:
    return Instance.objects.filter(pk=instance.pk)
