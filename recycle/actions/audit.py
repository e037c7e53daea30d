"""What is written about logins, people and edits.

What concerns one account goes into its Operation Log, everything else into the log of the
installation. Whoever edits a row writes this in the same transaction, so that neither is there
without the other.
"""

import logging
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, ip_address
from typing import Any

from django.db import OperationalError, transaction
from django.db.models import F, Model, QuerySet

from recycle.actions.context import Context
from recycle.actions.counting import tallied
from recycle.actions.outcome import Done, Outcome
from recycle.actions.resources.base import project_of
from recycle.actions.sessions import end_sessions
from recycle.lifecycle import ResourceAction
from recycle.models import (
    Account,
    AuditAction,
    AuditEvent,
    ElasticIP,
    Event,
    Instance,
    Kind,
    Listener,
    LoadBalancer,
    Membership,
    Project,
    ProjectRole,
    Tag,
    User,
    Volume,
)
from recycle.models.audit import FOLDED_FOR
from recycle.models.changes import SECRETS
from recycle.waiting import waiting_at_most

logger = logging.getLogger(__name__)

# A field's name, its value before and its value after.
FieldChanges = dict[str, tuple[Any, Any]]

# The fields of a membership that its event tells in columns of its own.
SAID = frozenset({"id", "user", "account", "project"})

# What belongs to one account: the kind of its events, and how its account is found. An event about
# an instance has no kind, because it has columns of its own for it.
OF_ACCOUNT: dict[type[Model], tuple[str, Callable[[Any], int]]] = {
    Instance: ("", lambda row: row.account_id),
    Volume: (Kind.VOLUME, lambda row: row.account_id),
    ElasticIP: (Kind.EIP, lambda row: row.account_id),
    LoadBalancer: (Kind.LOAD_BALANCER, lambda row: row.account_id),
    Listener: (Kind.LISTENER, lambda row: row.load_balancer.account_id),
    Tag: (Kind.TAG, lambda row: row.account_id),
    Membership: (Kind.MEMBER, lambda row: row.account_id),
    Project: (Kind.PROJECT, lambda row: row.account_id),
    ProjectRole: (Kind.MEMBER, lambda row: row.project.account_id),
    Account: (Kind.ACCOUNT, lambda row: row.pk),
}


def record(
    action: ResourceAction, row: Model, changes: FieldChanges | None = None, *, context: Context
) -> None:
    """Write that a row was made, changed or deleted, where it belongs.

    That an account came or went concerns the installation: its own log does not outlive it.
    """
    comes_or_goes = isinstance(row, Account) and action is not ResourceAction.UPDATE
    if type(row) in OF_ACCOUNT and not comes_or_goes:
        _record_in_account(action, row, changes, context)
    else:
        record_in_installation(AuditAction(action.value), row, changes, context=context)


def record_in_installation(
    action: AuditAction, row: Model, changes: FieldChanges | None = None, *, context: Context
) -> None:
    AuditEvent.objects.create(
        at=context.now,
        action=action,
        kind=row._meta.model_name or "",
        subject_id=str(row.pk),
        subject_name=str(row),
        detail=_detail(changes),
        **context.signature,
    )


def _record_in_account(
    action: ResourceAction, row: Model, changes: FieldChanges | None, context: Context
) -> None:
    kind, account_of = OF_ACCOUNT[type(row)]
    named: Model = row
    if isinstance(row, Membership):
        # A member is called by the name of the user; the account is the one whose log it is.
        named = row.user
        if action is ResourceAction.REMOVE:
            changes = {"role": (row.role, None)}
    said = str(named)
    if isinstance(row, ProjectRole):
        # So is one in a project, with the project's name.
        named, said = row.user, f"{row.user} · {row.project}"
        if action is ResourceAction.REMOVE:
            changes = {"role": (row.role, None)}
    about: dict[str, Any] = (
        {"instance_id": row.pk, "instance_name": row.name}
        if isinstance(row, Instance)
        else {"kind": kind, "resource_id": str(named.pk), "resource_name": said}
    )
    Event.objects.create(
        account_id=account_of(row),
        project_number=project_of(row),
        at=context.now,
        batch=context.batch,
        action=action,
        detail=_detail(changes),
        **about,
        **context.signature,
    )


def _detail(changes: FieldChanges | None) -> dict[str, Any]:
    told = {
        name: [_plain(before), _plain(after)] for name, (before, after) in (changes or {}).items()
    }
    return {"changes": told} if told else {}


def changes_of(
    model: type[Model], names: list[str], before: dict[str, Any], after: dict[str, Any]
) -> FieldChanges:
    """Return what a form changed in the fields that the model keeps, without any secret."""
    kept = {field.name for field in model._meta.concrete_fields} - SECRETS
    if model in (Membership, ProjectRole):
        kept -= SAID
    pairs = {name: (before.get(name), after.get(name)) for name in names if name in kept}
    return {name: (old, new) for name, (old, new) in pairs.items() if _plain(old) != _plain(new)}


def _plain(value: Any) -> Any:
    """Return a value as JSON keeps it; another row is told by its key."""
    if isinstance(value, Model):
        value = value.pk
    return value if value is None or isinstance(value, bool | int | float) else str(value)


# --- Logins ---------------------------------------------------------------------------------------


def failed_login(user: User | None, *, context: Context) -> None:
    """Write that somebody could not log in as `user`, which is None when nobody has the name.

    Such a name is not kept: it may be a password in the wrong field. And since nobody has to be
    known to fail, failures add up: what an address can make the log write is one row an hour, and
    one for each existing user it names.
    """
    about = {
        "action": AuditAction.LOGIN_FAILED,
        "kind": "user",
        "subject_id": str(user.pk) if user else "",
        "address": _network(context.origin.address),
    }
    try:
        # That is long enough for others who fail at the same time. Whoever guesses must not hold a
        # thread while somebody writes for long.
        with waiting_at_most(2), transaction.atomic():
            recent = AuditEvent.objects.filter(**about, at__gt=context.now - FOLDED_FOR).order_by(
                "-id"
            )
            last = recent.values_list("pk", flat=True).first()
            if last is not None:
                AuditEvent.objects.filter(pk=last).update(count=F("count") + 1, last_at=context.now)
            else:
                AuditEvent.objects.create(
                    at=context.now,
                    subject_name=user.get_username() if user else "",
                    request_id=context.origin.request_id,
                    edge=context.edge.value,
                    **about,
                )
    except OperationalError as error:
        logger.warning("a failed login from %s is not in the log: %s", about["address"], error)


def _network(address: str | None) -> str | None:
    """Return the /64 of an IPv6 address, because one subscriber has all the addresses in it."""
    if address and isinstance(ip := ip_address(address), IPv6Address):
        return str(IPv6Address(int(ip) >> 64 << 64))
    return address


# --- People ---------------------------------------------------------------------------------------


def save_password(
    user: User, *, keep: str | None = None, context: Context, dry_run: bool = False
) -> Outcome:
    """Keep a new password of `user`, and end their sessions but the one with the key `keep`.

    `set_password` has hashed it before: that takes half a second, in which nobody else could write
    on SQLite.
    """
    outcome = _updated([user], context)
    if dry_run:
        return outcome
    with transaction.atomic():
        user.save(update_fields=["password"])
        end_sessions(user, but=keep, context=context)
        record_in_installation(AuditAction.PASSWORD, user, context=context)
    return tallied(outcome, context.edge)


def deactivate(users: QuerySet[User], *, context: Context, dry_run: bool = False) -> Outcome:
    """End the sessions of users, and let them log in no more; what they did keeps their names.

    Only people who were active count as done.
    """
    # Everybody locks in one order, or two who deactivate the same people could deadlock.
    active = User.objects.filter(pk__in=users.order_by().values("pk"), is_active=True).order_by(
        "pk"
    )
    if dry_run:
        return _updated(active, context)
    with transaction.atomic():
        locked = list(active.select_for_update(no_key=True))
        for user in locked:
            user.is_active = False
            user.save(update_fields=["is_active"])
            end_sessions(user, but=None, context=context)
            record(ResourceAction.UPDATE, user, {"is_active": (True, False)}, context=context)
    return tallied(_updated(locked, context), context.edge)


def _updated(users: Iterable[User], context: Context) -> Outcome:
    done = [Done(user.pk, user.get_username(), ResourceAction.UPDATE) for user in users]
    return Outcome(ResourceAction.UPDATE, context.batch, done)
