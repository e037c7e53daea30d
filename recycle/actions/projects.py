"""Projects: create, rename, disable and enable them, and move things from one to another."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Max, QuerySet

from recycle.actions.context import Context
from recycle.actions.outcome import Outcome
from recycle.actions.resources.base import No, each, look_up, record_all, record_one
from recycle.lifecycle import ResourceAction, Right, State
from recycle.models import (
    Account,
    ElasticIP,
    Event,
    Instance,
    Kind,
    LoadBalancer,
    Project,
    Volume,
)
from recycle.policy import DEFAULT_PROJECT, Refusal

Movable = Instance | Volume | ElasticIP | LoadBalancer

# The kind of the events about what can be moved. An instance has columns of its own there.
KINDS: dict[type, Kind] = {
    Volume: Kind.VOLUME,
    ElasticIP: Kind.EIP,
    LoadBalancer: Kind.LOAD_BALANCER,
}


def create(project: Project, *, context: Context, dry_run: bool = False) -> Outcome:
    """Make a project that has a name and is not saved yet; it gets the account's next number."""

    def step(project: Project) -> No | None:
        # Of two who create one, the second looks when the first is done.
        accounts = Account.objects.filter(pk=project.account_id)
        account = (accounts if dry_run else accounts.select_for_update(no_key=True)).get()
        if no := _why_not_name(project, project.name):
            return no
        if dry_run:
            return None
        last = account.projects.aggregate(last=Max("number"))["last"] or DEFAULT_PROJECT
        project.number = last + 1
        project.save(force_insert=True)
        _record(context, ResourceAction.CREATE, project)
        return None

    return _each(ResourceAction.CREATE, [project], step, context, dry_run)


def rename(
    projects: QuerySet[Project], name: str, *, context: Context, dry_run: bool = False
) -> Outcome:
    def step(project: Project) -> No | None:
        locked = look_up(Project.objects.all(), project.pk, lock=not dry_run)
        if locked is None:
            return No(Refusal.GONE)
        if no := _why_not_name(locked, name):
            return no
        if dry_run:
            return None
        before, locked.name = locked.name, name
        locked.save(update_fields=["name", "name_folded"])
        _record(context, ResourceAction.UPDATE, locked, name=[before, name])
        return None

    return _each(ResourceAction.UPDATE, projects, step, context, dry_run)


def disable(projects: QuerySet[Project], *, context: Context, dry_run: bool = False) -> Outcome:
    """Let projects take nothing new; what is in them stays there."""
    return _switch(projects, context, off=True, dry_run=dry_run)


def enable(projects: QuerySet[Project], *, context: Context, dry_run: bool = False) -> Outcome:
    return _switch(projects, context, off=False, dry_run=dry_run)


def _switch(projects: QuerySet[Project], context: Context, *, off: bool, dry_run: bool) -> Outcome:
    def step(project: Project) -> No | None:
        locked = look_up(Project.objects.all(), project.pk, lock=not dry_run)
        if locked is None:
            return No(Refusal.GONE)
        if off and locked.number == DEFAULT_PROJECT:
            return No(Refusal.DEFAULT_PROJECT)
        if off is bool(locked.disabled_at):
            return No(Refusal.ALREADY)
        if dry_run:
            return None
        before, locked.disabled_at = locked.disabled_at, context.now if off else None
        locked.save(update_fields=["disabled_at"])
        told = [bool(before), off]
        _record(context, ResourceAction.UPDATE, locked, disabled_at=told)
        return None

    return _each(ResourceAction.UPDATE, projects, step, context, dry_run)


def _why_not_name(project: Project, name: str) -> No | None:
    same = Project.objects.filter(account=project.account_id, name=name)
    other = same.first()
    return No(Refusal.ALREADY, other) if other else None


def _each(
    action: ResourceAction,
    projects: Iterable[Project],
    step: object,
    context: Context,
    dry_run: bool,
) -> Outcome:
    return each(
        action,
        projects,
        step,  # type: ignore[arg-type]
        context=context,
        dry_run=dry_run,
        needs=Right.PROJECTS,
    )


def _record(context: Context, action: ResourceAction, project: Project, **changes: Any) -> None:
    detail: dict[str, Any] = {"changes": changes} if changes else {}
    record_one(context, action, Kind.PROJECT, project, account_id=project.account_id, **detail)


# --- What is in them ------------------------------------------------------------------------------


def move(
    rows: QuerySet[Any], project: Project, *, context: Context, dry_run: bool = False
) -> Outcome:
    """Move rows of one kind to a project of their account. What is bound to them stays in its own.

    Who acts needs the role for it in both projects.
    """

    def step(row: Movable) -> No | None:
        # Whoever disables it waits.
        target = look_up(Project.objects.all(), project.pk, lock=not dry_run)
        locked: Movable | None = look_up(
            rows.model._default_manager.all(), row.pk, lock=not dry_run
        )
        if locked is None or target is None or target.account_id != locked.account_id:
            return No(Refusal.GONE)
        if isinstance(locked, Instance) and locked.state == State.PURGED:
            return No(Refusal.GONE)
        if locked.project_number == target.number:
            return No(Refusal.ALREADY)
        if target.disabled_at:
            return No(Refusal.DISABLED, target)
        if not context.may(ResourceAction.MOVE, target.account_id, target.number):
            return No(Refusal.ROLE)
        if dry_run:
            return None
        before = Project.objects.get(account=locked.account_id, number=locked.project_number)
        locked.project_number = target.number
        locked.save(update_fields=["project_number"])
        record_all(context, [_moved(context, locked, before, target)])
        return None

    return each(ResourceAction.MOVE, rows, step, context=context, dry_run=dry_run)


def _moved(context: Context, row: Movable, before: Project, target: Project) -> Event:
    """The event names two projects: who is restricted to some is not told."""
    number = [each.name or each.number for each in (before, target)]
    about = (
        {"instance_id": row.pk, "instance_name": row.name}
        if isinstance(row, Instance)
        else {"kind": KINDS[type(row)], "resource_id": str(row.pk), "resource_name": str(row)}
    )
    return Event(
        account_id=row.account_id,
        project_number=None,
        at=context.now,
        batch=context.batch,
        action=ResourceAction.MOVE,
        reason=context.reason,
        detail={"changes": {"project_number": number}},
        **about,
        **context.signature,
    )
