"""The verbs: the only code that writes the state of an instance or a binding."""

from recycle.actions.again import configure, plan
from recycle.actions.context import Context
from recycle.actions.create import create
from recycle.actions.jobs import (
    JobOrder,
    cancel,
    carry_out_jobs,
    forget_job_items,
    request_job,
    retry_failed,
)
from recycle.actions.machine import (
    cancel_deletion,
    rename,
    reset_password,
    resize,
    schedule_deletion,
)
from recycle.actions.outcome import Became, Blocker, Done, Failed, Outcome, Refused
from recycle.actions.schedule import delete_due, expire_due, forget_tombstones, purge_due
from recycle.actions.sessions import clear_sessions, end_sessions
from recycle.actions.undo import undo
from recycle.actions.verbs import (
    delete,
    extend,
    hold,
    protect,
    purge,
    renew,
    restart,
    restore,
    retry,
    start,
    stop,
    unhold,
    unprotect,
)

__all__ = [
    "Became",
    "Blocker",
    "Context",
    "Done",
    "Failed",
    "JobOrder",
    "Outcome",
    "Refused",
    "cancel",
    "cancel_deletion",
    "carry_out_jobs",
    "clear_sessions",
    "configure",
    "create",
    "delete",
    "delete_due",
    "end_sessions",
    "expire_due",
    "extend",
    "forget_job_items",
    "forget_tombstones",
    "hold",
    "plan",
    "protect",
    "purge",
    "purge_due",
    "rename",
    "renew",
    "request_job",
    "reset_password",
    "resize",
    "restart",
    "restore",
    "retry",
    "retry_failed",
    "schedule_deletion",
    "start",
    "stop",
    "undo",
    "unhold",
    "unprotect",
]
