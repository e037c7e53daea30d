"""The states of an instance, and the actions that lead from one to another. Pure data, no
queries.
"""

from enum import StrEnum

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class State(TextChoices):
    ACTIVE = "active", _("Running")
    STOPPED = "stopped", _("Stopped")
    EXPIRED = "expired", _("Expired")
    RECYCLED = "recycled", _("Recycled")
    PURGED = "purged", _("Deleted for good")


class Action(TextChoices):
    START = "start", _("Start")
    STOP = "stop", _("Stop")
    RESTART = "restart", _("Restart")
    # What an owner asks for. The billing mode decides whether it means RECYCLE, RELEASE or a
    # refusal.
    DELETE = "delete", _("Delete")
    RECYCLE = "recycle", _("Move to the recycle bin")
    RELEASE = "release", _("Release at once")
    EXPIRE = "expire", _("Expire")
    RENEW = "renew", _("Renew")
    RESTORE = "restore", _("Restore")
    PURGE = "purge", _("Delete permanently")
    EXTEND = "extend", _("Extend")
    RENAME = "rename", _("Rename")
    RESIZE = "resize", _("Change configuration")
    RESET_PASSWORD = "reset_password", _("Reset password")
    # At a moment that was set, the schedule deletes it as its owner would.
    SCHEDULE = "schedule", _("Schedule deletion")
    UNSCHEDULE = "unschedule", _("Cancel scheduled deletion")
    # A protected instance is not deleted until somebody switches the protection off.
    PROTECT = "protect", _("Protect")
    UNPROTECT = "unprotect", _("Switch protection off")
    # A held one is not deleted for good until an administrator ends the hold.
    HOLD = "hold", _("Place legal hold")
    UNHOLD = "unhold", _("End legal hold")
    # What the schedule has failed to do so often waits for a person, who has it tried again.
    QUARANTINE = "quarantine", _("Put in quarantine")
    RETRY = "retry", _("Try again")


class ResourceAction(TextChoices):
    """What is done to volumes, addresses, load balancers and tags, to instances by binding these,
    to settings and to batch jobs.
    """

    CREATE = "create", _("Create")
    UPDATE = "update", _("Change")
    BIND = "bind", _("Bind")
    UNBIND = "unbind", _("Unbind")
    REMOVE = "remove", _("Delete")
    # A listener.
    ENABLE = "enable", _("Enable")
    DISABLE = "disable", _("Disable")
    # What a listener sends to a backend server, beside the others.
    WEIGH = "weigh", _("Change weight")
    # To another project.
    MOVE = "move", _("Move to project")
    # A batch job.
    CANCEL = "cancel", _("Cancel")


class Right(StrEnum):
    """What a role allows beside what is done to instances and resources."""

    # The time of an account in the bin, and its rules.
    RETENTION = "retention"
    # The projects of an account: to make, to rename and to disable them.
    PROJECTS = "projects"
    # To undo what somebody else deleted.
    UNDO_OTHERS = "undo_others"
    # To cancel a batch job that somebody else has asked for, or to try again what failed in it.
    JOBS_OF_OTHERS = "jobs_of_others"


# What a role is asked for. Their values differ, so that a value alone names one.
AnyAction = Action | ResourceAction | Right

IN_USE = (State.ACTIVE, State.STOPPED)
LIVING = (*IN_USE, State.EXPIRED)
# Here an instance has a deadline, `purge_at`.
WAITING = (State.EXPIRED, State.RECYCLED)
# Whatever enters these loses its SLB, EIP, EBS and tag relationships.
UNBOUND = (State.RECYCLED, State.PURGED)

TRANSITIONS: dict[Action, dict[State, State]] = {
    Action.START: {State.STOPPED: State.ACTIVE},
    Action.STOP: {State.ACTIVE: State.STOPPED},
    Action.RESTART: {State.ACTIVE: State.ACTIVE},
    # Into the bin means a forced stop.
    Action.RECYCLE: {State.ACTIVE: State.RECYCLED, State.STOPPED: State.RECYCLED},
    Action.RELEASE: {State.ACTIVE: State.PURGED, State.STOPPED: State.PURGED},
    Action.EXPIRE: {State.ACTIVE: State.EXPIRED, State.STOPPED: State.EXPIRED},
    # Renewing an expired subscription starts it again by itself; a living one only gets more time.
    Action.RENEW: {
        State.ACTIVE: State.ACTIVE,
        State.STOPPED: State.STOPPED,
        State.EXPIRED: State.ACTIVE,
    },
    # A restored instance comes back stopped: starting it is the owner's call.
    Action.RESTORE: {State.RECYCLED: State.STOPPED},
    Action.PURGE: {State.RECYCLED: State.PURGED, State.EXPIRED: State.PURGED},
    Action.EXTEND: {State.RECYCLED: State.RECYCLED},
    Action.RENAME: {state: state for state in LIVING},
    Action.RESIZE: {State.STOPPED: State.STOPPED},
    Action.RESET_PASSWORD: {state: state for state in IN_USE},
    Action.SCHEDULE: {state: state for state in IN_USE},
    Action.UNSCHEDULE: {state: state for state in IN_USE},
    Action.PROTECT: {state: state for state in LIVING},
    Action.UNPROTECT: {state: state for state in LIVING},
    Action.HOLD: {state: state for state in (*LIVING, State.RECYCLED)},
    Action.UNHOLD: {state: state for state in (*LIVING, State.RECYCLED)},
    Action.QUARANTINE: {state: state for state in (*LIVING, State.RECYCLED)},
    Action.RETRY: {state: state for state in (*LIVING, State.RECYCLED)},
}


def diagram() -> str:
    """The table as a Mermaid state diagram, as the README shows it."""
    lines = ["stateDiagram-v2", "    [*] --> active"]
    lines += [
        f"    {source} --> {target}: {action}"
        for action, moves in TRANSITIONS.items()
        for source, target in moves.items()
        if source != target
    ]
    return "\n".join([*lines, f"    {State.PURGED} --> [*]"])
