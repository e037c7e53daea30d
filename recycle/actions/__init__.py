"""The verbs: the only code that writes the state of an instance or a binding."""

from recycle.actions.outcome import Done, Failed, Outcome, Refused
from recycle.actions.schedule import expire_due, forget_tombstones, purge_due
from recycle.actions.verbs import delete, purge, renew, restart, restore, start, stop

__all__ = [
    "Done",
    "Failed",
    "Outcome",
    "Refused",
    "delete",
    "expire_due",
    "forget_tombstones",
    "purge",
    "purge_due",
    "renew",
    "restart",
    "restore",
    "start",
    "stop",
]
