"""Every action there is, found by walking `recycle.actions`, each with something to do it to.

An action is a function that is told a context, or answers with an outcome. One that stands in no
table here fails the tests that ask something of all of them.
"""

import inspect
import json
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import pytest
from django.apps import apps

from recycle import actions
from recycle.actions import Context, JobOrder, Outcome, again
from recycle.actions.create import Disk, Order
from recycle.actions.inventory import Options
from recycle.actions.resources.volumes import MOUNT_POINTS
from recycle.inventory import Notes, Progress, Source
from recycle.lifecycle import Action, AnyAction, ResourceAction, Right, State
from recycle.models import (
    Account,
    BatchJob,
    Edge,
    ElasticIP,
    Instance,
    InstanceTag,
    InstanceType,
    JobItem,
    JobState,
    Listener,
    LoadBalancer,
    Project,
    RealServer,
    RetentionRule,
    Session,
    Tag,
    User,
    Volume,
    Zone,
)
from recycle.models.job import ItemOutcome
from recycle.policy import BillingMode
from tests.inventory import an_instance

DAY = timedelta(days=1)
NEXT_YEAR = datetime.now(UTC) + 365 * DAY

# These are told a context as well, and are no actions: what is written of an action, what carries
# others out, and what only looks.
OTHERS = frozenset(
    {
        "again.plan",
        "audit.failed_login",
        "audit.record",
        "audit.record_in_installation",
        "move.carry_out",
        "counting.tallied",
        "move.work_off",
        "resources.base.each",
    }
)


def found() -> dict[str, Callable[..., Any]]:
    """Every function under `recycle.actions` that is told a context by its name, or answers with an
    outcome.
    """
    package = actions
    functions: dict[str, Callable[..., Any]] = {}
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        for name, member in inspect.getmembers(import_module(module.name), inspect.isfunction):
            context = inspect.signature(member).parameters.get("context")
            told = context is not None and context.kind is context.KEYWORD_ONLY
            if (
                (told or answers_with(member, Outcome))
                and not name.startswith("_")
                and member.__module__ == module.name
            ):
                short = module.name.removeprefix(f"{package.__name__}.")
                functions[f"{short}.{name}"] = member
    return functions


def answers_with(function: Callable[..., Any], kind: type) -> bool:
    answer = get_type_hints(function).get("return")
    return isinstance(answer, type) and issubclass(answer, kind)


ACTIONS = {name: each for name, each in found().items() if name not in OTHERS}

World = SimpleNamespace


@dataclass(frozen=True)
class Deed:
    """What an action is tried with."""

    # What the role is asked for; None: the role is not asked.
    needs: AnyAction | None
    # The positional arguments, made of the world, and the others.
    about: Callable[[World], tuple[Any, ...]]
    options: dict[str, Any]
    reason: str = ""


def _deed(
    needs: AnyAction | None, about: Callable[[World], Any], reason: str = "", **options: Any
) -> Deed:
    return Deed(needs, lambda world: (about(world),), options, reason)


def _instances(_world: World) -> Any:
    return Instance.objects.order_by("pk")


def _verb(needs: Action, reason: str = "", **options: Any) -> Deed:
    return _deed(needs, _instances, reason, **options)


def _inventory(world: World) -> tuple[Any, ...]:
    return [Source(world.file)], world.notes(), Options(account_name="Acme"), Progress()


CREATE, BIND, UNBIND, REMOVE = (
    ResourceAction.CREATE,
    ResourceAction.BIND,
    ResourceAction.UNBIND,
    ResourceAction.REMOVE,
)

DEEDS: dict[str, Deed] = {
    "verbs.start": _verb(Action.START),
    "verbs.stop": _verb(Action.STOP, no_fees=False),
    "verbs.restart": _verb(Action.RESTART),
    "verbs.delete": _verb(Action.DELETE, may_release=True),
    "verbs.renew": _verb(Action.RENEW, months=1),
    "verbs.restore": _verb(Action.RESTORE),
    "verbs.purge": _verb(Action.PURGE),
    "verbs.extend": _verb(Action.EXTEND, longer=timedelta(hours=1)),
    "machine.rename": _verb(Action.RENAME, name="db", number=7, count=100),
    "machine.resize": _verb(Action.RESIZE, instance_type="N3.4B"),
    "machine.reset_password": _verb(Action.RESET_PASSWORD),
    "machine.schedule_deletion": _verb(Action.SCHEDULE, delete_at=NEXT_YEAR),
    "machine.cancel_deletion": _verb(Action.UNSCHEDULE),
    "verbs.protect": _verb(Action.PROTECT),
    "verbs.unprotect": _verb(Action.UNPROTECT),
    "verbs.hold": _verb(Action.HOLD, reason="case 12"),
    "verbs.unhold": _verb(Action.UNHOLD),
    "verbs.retry": _verb(Action.RETRY),
    "create.create": _deed(CREATE, lambda world: world.order),
    "again.configure": _deed(BIND, lambda world: world.lines),
    "undo.undo": _deed(Right.UNDO_OTHERS, lambda world: world.batch),
    "inventory.import_inventory": Deed(None, _inventory, {}),
    "schedule.expire_due": Deed(Action.EXPIRE, lambda world: (), {}),
    "schedule.delete_due": Deed(Action.DELETE, lambda world: (), {}),
    "schedule.purge_due": Deed(Action.PURGE, lambda world: (), {}),
    "schedule.forget_tombstones": Deed(None, lambda world: (), {}),
    "jobs.request_job": Deed(
        Action.RESTORE, lambda world: (_instances(world), world.job_order), {}
    ),
    "jobs.carry_out_jobs": Deed(None, lambda world: (), {}),
    "jobs.forget_job_items": Deed(None, lambda world: (), {}),
    "jobs.cancel": _deed(Right.JOBS_OF_OTHERS, lambda world: world.job),
    "jobs.retry_failed": _deed(Right.JOBS_OF_OTHERS, lambda world: world.failed_job),
    "sessions.clear_sessions": Deed(None, lambda world: (), {}),
    "sessions.end_sessions": _deed(None, lambda world: world.person, but=None),
    "audit.save_password": _deed(None, lambda world: world.person),
    "audit.deactivate": _deed(None, lambda world: User.objects.filter(pk=world.person.pk)),
    "keeping.keep": Deed(Right.RETENTION, lambda world: (Account.objects.all(), 2 * DAY), {}),
    "keeping.add_rule": _deed(Right.RETENTION, lambda world: world.new_rule),
    "keeping.remove_rules": _deed(
        Right.RETENTION, lambda world: RetentionRule.objects.order_by("pk")
    ),
    "projects.create": _deed(Right.PROJECTS, lambda world: world.new_project),
    "projects.rename": Deed(
        Right.PROJECTS, lambda world: (Project.objects.filter(name="Web"), "Mail"), {}
    ),
    "projects.disable": _deed(Right.PROJECTS, lambda world: Project.objects.order_by("pk")),
    "projects.enable": _deed(Right.PROJECTS, lambda world: Project.objects.order_by("pk")),
    "projects.move": Deed(
        ResourceAction.MOVE, lambda world: (_instances(world), Project.objects.get(name="Web")), {}
    ),
    "resources.volumes.create": _deed(CREATE, lambda world: world.new_volume),
    "resources.volumes.attach": Deed(
        BIND, lambda world: (Volume.objects.order_by("pk"), world.full), {}
    ),
    "resources.volumes.detach": _deed(UNBIND, lambda world: Volume.objects.order_by("pk")),
    "resources.volumes.remove": _deed(
        REMOVE, lambda world: Volume.objects.order_by("pk"), unbind=True
    ),
    "resources.addresses.create": _deed(CREATE, lambda world: world.new_address),
    "resources.addresses.associate": Deed(
        BIND, lambda world: (ElasticIP.objects.order_by("pk"), world.free), {}
    ),
    "resources.addresses.disassociate": _deed(
        UNBIND, lambda world: ElasticIP.objects.order_by("pk")
    ),
    "resources.addresses.remove": _deed(
        REMOVE, lambda world: ElasticIP.objects.order_by("pk"), unbind=True
    ),
    "resources.balancers.create": _deed(CREATE, lambda world: world.new_balancer),
    "resources.balancers.create_listener": _deed(CREATE, lambda world: world.new_listener),
    "resources.balancers.register": Deed(
        BIND, lambda world: (world.listener, _instances(world)), {"port": 9090}
    ),
    "resources.balancers.switch": _deed(
        ResourceAction.DISABLE, lambda world: Listener.objects.order_by("pk"), on=False
    ),
    "resources.balancers.weigh": _deed(
        ResourceAction.WEIGH, lambda world: RealServer.objects.order_by("pk"), weight=9
    ),
    "resources.balancers.deregister": _deed(
        UNBIND, lambda world: RealServer.objects.order_by("pk")
    ),
    "resources.balancers.remove_listeners": _deed(
        REMOVE, lambda world: Listener.objects.order_by("pk"), unbind=True
    ),
    "resources.balancers.remove": _deed(
        REMOVE, lambda world: LoadBalancer.objects.order_by("pk"), unbind=True
    ),
    "resources.tags.create": _deed(CREATE, lambda world: world.new_tag),
    "resources.tags.add": Deed(BIND, lambda world: (world.tag, _instances(world)), {}),
    "resources.tags.take_off": _deed(UNBIND, lambda world: InstanceTag.objects.order_by("pk")),
    "resources.tags.remove": _deed(REMOVE, lambda world: Tag.objects.order_by("pk"), unbind=True),
}


def everything() -> dict[str, list[dict[str, Any]]]:
    """The contents of all tables."""
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in apps.get_models()
    }


def outcomes_of(outcome: Outcome) -> Iterator[Any]:
    """What an action answers, item by item: what was done, what was refused and what failed."""
    yield [(done.name, done.action) for done in outcome.done]
    yield [(each.name, each.action, each.refusal, each.blocker) for each in outcome.refused]
    yield [(failed.id, failed.name, failed.action) for failed in outcome.failed]


@pytest.fixture
def world(
    make_instance: Any,
    bind: Any,
    make_volume: Any,
    make_address: Any,
    make_balancer: Any,
    make_listener: Any,
    make_tag: Any,
    alice: User,
    account: Account,
    zone: Zone,
    instance_type: InstanceType,
    now: datetime,
    tmp_path: Path,
) -> Iterator[World]:
    """Something that each action can be done to, and something that it cannot be done to."""
    for mode in BillingMode:
        for state in State:
            if state is not State.EXPIRED or mode == BillingMode.MONTHLY:
                make_instance(state, mode)
    InstanceType.objects.create(name="N3.4B", family="N3", vcpu=4, memory_gb=8)
    make_instance(protected=True)
    make_instance(delete_at=now - DAY)
    make_instance(held_at=now, held_by="alice", hold_reason="case 11")
    bind(make_instance(name="bound"))
    bind(make_instance(State.RECYCLED, name="bound-in-the-bin"))
    make_instance(State.RECYCLED, recycled_at=now - 2 * DAY, purge_at=now - DAY)
    make_instance(State.ACTIVE, BillingMode.MONTHLY, expires_at=now - DAY)
    make_instance(State.PURGED, purged_at=now - 100 * DAY)

    make_instance(State.RECYCLED, attempts=8, quarantined_at=now)
    full = make_instance(name="nearly-full")
    for point in MOUNT_POINTS[1:]:
        make_volume(instance=full, mount_point=point)
    for _number in range(2):
        make_volume()
        make_address()

    deleted, again_there = make_instance(name="deleted"), make_instance(name="again-there")
    bind(again_there)
    context = Context(by=alice, now=now, edge=Edge.PAGE)
    for instance in (deleted, again_there):
        only = Instance.objects.filter(pk=instance.pk)
        batch = replace(context, batch=instance.pk)
        actions.delete(only, may_release=False, context=batch)
    only = Instance.objects.filter(pk=again_there.pk)
    actions.restore(only, context=context)

    person = User.objects.create_user("person")
    by_person = {"by": person, "by_name": "person", "edge": Edge.PAGE, "created_at": now}
    about = {"account": account, "action": Action.RESTORE, "turn_at": now, **by_person}
    job = BatchJob.objects.create(total=1, **about)
    times = {"started_at": now, "finished_at": now}
    failed_job = BatchJob.objects.create(
        total=1, failed=1, state=JobState.FINISHED, **about, **times
    )
    old = {"started_at": now - 99 * DAY, "finished_at": now - 99 * DAY}
    old_job = BatchJob.objects.create(total=1, done=1, state=JobState.FINISHED, **about, **old)
    outcomes = {
        old_job: ItemOutcome.DONE, job: ItemOutcome.PENDING, failed_job: ItemOutcome.FAILED
    }  # fmt: skip
    for each, outcome in outcomes.items():
        JobItem.objects.create(
            job=each, instance_id=full.pk, name=full.name, changed_at=now, outcome=outcome
        )
    for number, end in enumerate((now + DAY, now - DAY)):
        Session.objects.create(
            session_key=f"key-{number}", session_data="", expire_date=end, user=person
        )
    RetentionRule.objects.create(account=account, key="env", keep_for=2 * DAY)
    Project.objects.create(account=account, number=1, name="Web")
    Project.objects.create(account=account, number=2, name="Old", disabled_at=now)
    file = tmp_path / "inventory.json"
    file.write_text(json.dumps({"InstancesSet": [an_instance()]}))
    with ExitStack() as stack:
        yield World(
            file=str(file),
            notes=lambda: stack.enter_context(Notes()),
            batch=deleted.pk,
            lines=again.plan(only, context=context),
            person=person,
            job=job,
            failed_job=failed_job,
            job_order=JobOrder(account=account, action=Action.RESTORE, parameters={}),
            full=full,
            free=make_instance(name="free"),
            listener=Listener.objects.first(),
            tag=make_tag("team", "red"),
            order=Order(
                account=account,
                zone=zone,
                instance_type=instance_type,
                billing_mode=BillingMode.HOURLY,
                disks=[Disk("SSD3.0", 40)],
                bandwidth_mbps=5,
                new_tags=[("cost", "42")],
                name="new",
                count=2,
            ),
            new_project=Project(account=account, name="New"),
            new_rule=RetentionRule(account=account, key="team", keep_for=3 * DAY),
            new_volume=make_volume(new=True),
            new_address=make_address(new=True, address=""),
            new_balancer=make_balancer(new=True),
            new_listener=make_listener(new=True),
            new_tag=make_tag("cost", "41", new=True),
        )
