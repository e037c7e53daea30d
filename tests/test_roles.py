"""Roles are asked of one table, through every edge."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.sites import site
from django.urls import reverse

from recycle import policy, urls
from recycle.admin.instances import OFFERED
from recycle.forms import VERBS
from recycle.lifecycle import Action, AnyAction, ResourceAction, Right
from recycle.models import Account, Edge, Instance, LoadBalancer, RetentionRule, User
from recycle.policy import NEEDED, Refusal, Role
from tests.client import Client
from tests.conftest import acting
from tests.deeds import ACTIONS, DEEDS, World

BASE: Path = settings.BASE_DIR

# --- Nobody else compares a role ------------------------------------------------------------------


def compared_roles(source: str, *, orders_only: bool) -> Iterator[int]:
    """The lines that compare a role with anything, or only those that say which one is higher."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(map(is_role, [node.left, *node.comparators])):
            orders = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
            if not orders_only or any(isinstance(each, orders) for each in node.ops):
                yield node.lineno


def is_role(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="Role")) | ast.Attribute(attr="role"):
            return True
        case ast.Name(id="role") | ast.Subscript(value=ast.Name(id="NEEDED")):
            return True
        case ast.Call(func=ast.Attribute(attr="role_in")):
            return True
    return False


@pytest.mark.parametrize(
    "line",
    [
        "shell.role >= 30",
        "context.role_in(account) < Role.OPERATOR",
        "role is Role.SYSTEM",
        "20 <= role",
        "shell.role < NEEDED[action]",
        "user.role in (Role.VIEWER,)",
    ],
)
def test_a_compared_role_is_found(line):
    assert list(compared_roles(line, orders_only=False)) == [1]


@pytest.mark.parametrize(("place", "orders_only"), [("recycle", False), ("tests", True)])
def test_nobody_but_the_policy_compares_a_role(place, orders_only):
    found = [
        f"{path.relative_to(BASE)}:{line}"
        for path in sorted((BASE / place).rglob("*.py"))
        if path.name not in ("policy.py", "test_policy.py")
        for line in compared_roles(path.read_text("utf-8"), orders_only=orders_only)
    ]

    assert found == []


def test_no_template_asks_for_a_role_and_each_action_it_names_is_one():
    for path in sorted((BASE / "templates").rglob("*.*")):
        source = path.read_text("utf-8")
        named = re.findall(r"shell\.may\.(\w+)|{% (?:dialog|operation \w+) \"(\w+)\"", source)
        named += re.findall(r"(dialog|operation)\((?:\w+, )?\"(\w+)\"", source)

        assert re.findall(r"{[{%][^%}]*\.role\b", source) == [], path
        assert {b or a for a, b in named} <= {str(each) for each in NEEDED}, path


# --- Every action, every role, every edge ---------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """A way in: what it offers, with what that needs, and whether it refuses somebody for their
    role.
    """

    offers: Mapping[str, AnyAction]
    refuses: Callable[[str, User, World], bool]
    # Whom it lets in at all.
    lets_in: Callable[[User], bool] = lambda user: True


def refused_by_action(name: str, user: User, world: World) -> bool:
    """A try is enough: it answers as the deed does."""
    deed = DEEDS[name]
    context = acting(user, reason=deed.reason)
    outcome = ACTIONS[name](*deed.about(world), **deed.options, context=context, dry_run=True)
    # What is not to be seen is not there.
    return not outcome.items or any(
        each.refusal in (Refusal.ROLE, Refusal.NOT_YOURS) for each in outcome.refused
    )


def address(name: str, world: World) -> str:
    jobs = {"cancel_job": world.job, "retry_job": world.failed_job}
    if name in jobs:
        return reverse(f"recycle:{name}", args=[jobs[name].pk])
    about: dict[str, Any] = {"create_listener": LoadBalancer, "remove_rule": RetentionRule}
    args = [about[name].objects.values_list("pk", flat=True)[0]] if name in about else []
    return reverse(f"recycle:{name}", args=args)


def refused_by_page(name: str, user: User, world: World) -> bool:
    """Both when it is only asked what it would do, and when it is to do it."""
    client = Client()
    client.force_login(user)
    where = address(name, world)
    what = {"batch": world.batch} if name == "undo" else {}
    codes = {client.post(where, what).status_code, client.get(where, what).status_code} - {405}
    # What somebody does not see is not there.
    refused = {403, 404}
    assert codes <= refused or not codes & refused, (name, codes)
    return codes <= refused


def refused_by_admin(name: str, user: User, world: World) -> bool:
    client = Client()
    client.force_login(user)
    if name in ON_INSTANCES:
        where = reverse("admin:recycle_instance_changelist")
        what: dict[str, Any] = {"action": name, "_selected_action": [world.full.pk]}
    elif name == "add_rule":
        where, what = reverse("admin:recycle_retentionrule_add"), {}
    else:
        account = Account.objects.earliest("pk")
        where, what = reverse("admin:recycle_account_change", args=[account.pk]), {}
    # On the way the login says so, which the admin shares with the console.
    answer: Any = client.post(where, what, follow=True)
    return bool(answer.status_code == 403)


PAGES: dict[str, AnyAction] = {
    "start": Action.START,
    "stop": Action.STOP,
    "restart": Action.RESTART,
    "delete": Action.DELETE,
    "renew": Action.RENEW,
    "restore": Action.RESTORE,
    "purge": Action.PURGE,
    "extend": Action.EXTEND,
    "rename": Action.RENAME,
    "resize": Action.RESIZE,
    "reset_password": Action.RESET_PASSWORD,
    "schedule": Action.SCHEDULE,
    "unschedule": Action.UNSCHEDULE,
    "protect": Action.PROTECT,
    "unprotect": Action.UNPROTECT,
    "hold": Action.HOLD,
    "unhold": Action.UNHOLD,
    "retry": Action.RETRY,
    "undo": Right.UNDO_OTHERS,
    # Of jobs that somebody else has asked for.
    "cancel_job": Right.JOBS_OF_OTHERS,
    "retry_job": Right.JOBS_OF_OTHERS,
    "configure_again": ResourceAction.BIND,
    "enable_listeners": ResourceAction.ENABLE,
    "disable_listeners": ResourceAction.DISABLE,
    "weigh": ResourceAction.WEIGH,
    "retention": Right.RETENTION,
    "keep_for": Right.RETENTION,
    "add_rule": Right.RETENTION,
    "remove_rule": Right.RETENTION,
    **dict.fromkeys(
        (
            "create",
            "create_volume",
            "create_address",
            "create_balancer",
            "create_listener",
            "create_tag",
        ),
        ResourceAction.CREATE,
    ),
    **dict.fromkeys(
        ("create_project", "rename_project", "disable_projects", "enable_projects"),
        Right.PROJECTS,
    ),
    **dict.fromkeys(
        ("move_instances", "move_volumes", "move_addresses", "move_balancers"), ResourceAction.MOVE
    ),
    **dict.fromkeys(
        (
            "attach",
            "attach_volume",
            "associate",
            "associate_address",
            "associate_with_balancer",
            "register",
            "register_instances",
            "add_tag",
            "add_tags",
        ),
        ResourceAction.BIND,
    ),
    **dict.fromkeys(
        ("detach", "disassociate", "deregister", "remove_tags", "take_off_tags"),
        ResourceAction.UNBIND,
    ),
    **dict.fromkeys(
        (
            "delete_volumes",
            "delete_addresses",
            "delete_balancers",
            "delete_listeners",
            "delete_tags",
        ),
        ResourceAction.REMOVE,
    ),
}
# What only concerns the person, whatever their role.
OWN = {"password", "end_session", "account", "theme", "columns", "dismiss_tip"}

# Of what is done to instances, the admin's own table says what it offers.
ON_INSTANCES: dict[str, Action] = {name: action for action, name in OFFERED.items() if name}
ADMIN: dict[str, AnyAction] = {
    **ON_INSTANCES,
    "keep": Right.RETENTION,
    "add_rule": Right.RETENTION,
}

# A new edge is a new row.
EDGES = {
    "action": Way(
        {name: deed.needs for name, deed in DEEDS.items() if deed.needs}, refused_by_action
    ),
    "page": Way(PAGES, refused_by_page),
    "admin": Way(ADMIN, refused_by_admin, lambda user: user.is_superuser),
}


@pytest.mark.parametrize(
    ("edge", "role"),
    [
        (Edge.PAGE, Role.NONE),
        (Edge.ADMIN, Role.NONE),
        (Edge.API, Role.NONE),
        (Edge.SCHEDULE, Role.SYSTEM),
        (Edge.COMMAND, Role.SYSTEM),
    ],
)
def test_who_is_nobody_may_nothing_unless_no_login_stands_before_the_edge(edge, role):
    assert acting(None, edge=edge).role_in(1) is role


@pytest.fixture
def olga(account: Account) -> User:
    """Somebody who belongs to no account."""
    return User.objects.create_user("olga")


@pytest.fixture
def root(account: Account) -> User:
    user = User.objects.create_superuser("root")
    user.memberships.create(account=account, role=Role.VIEWER)
    return user


@pytest.mark.django_db
@pytest.mark.both
@pytest.mark.parametrize("who", ["olga", "victor", "oscar", "alice", "root"])
@pytest.mark.parametrize("edge", EDGES)
def test_a_role_is_refused_exactly_where_the_table_says(
    request, static_files, world, account, edge, who
):
    user, way = request.getfixturevalue(who), EDGES[edge]
    role = user.role_in(account.pk)

    refused = {name for name in way.offers if way.refuses(name, user, world)}

    expected = {
        name
        for name, action in way.offers.items()
        if not (way.lets_in(user) and policy.may(role, action))
    }
    assert refused == expected


@pytest.mark.django_db
def test_every_page_that_does_something_has_its_row(client, alice, world):
    """Whatever stands in no row here answers only to who looks."""
    client.force_login(alice)
    names = {str(pattern.name) for pattern in urls.urlpatterns}
    assert names >= PAGES.keys() | OWN
    args: dict[str, Any] = {
        "instance": [world.full.pk],
        "volume": [world.new_volume.pk],
        "address": [world.new_address.pk],
        "balancer": [world.new_balancer.pk],
        "listener": [world.new_balancer.pk, world.listener.pk],
        "tag": [world.tag.pk],
        "suggest": ["tags"],
        "event": [1],
        "former": [world.full.pk],
        "job": [world.job.pk],
        "job_results": [world.job.pk],
    }
    args |= {f"{name}_menu": args[name] for name in ("instance", "volume", "address", "tag")}

    for name in names - PAGES.keys() - OWN:
        response = client.post(reverse(f"recycle:{name}", args=args.get(name, [])))
        assert response.status_code == 405, name


def test_the_admin_says_of_every_verb_whether_it_does_it_and_does_no_other():
    edit = site._registry[Instance]

    assert OFFERED.keys() == VERBS.keys()
    assert edit.actions == tuple(ON_INSTANCES)
    assert all(callable(getattr(edit, name)) for name in ON_INSTANCES)
