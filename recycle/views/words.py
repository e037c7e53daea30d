"""What dialogs and answers say of each action. Counted words, so that they can be declined."""

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from recycle.lifecycle import Action, ResourceAction


def title(action: Action, n: int) -> str:
    """The head of the dialog."""
    titles = {
        Action.START: ngettext("Start %(n)d instance", "Start %(n)d instances", n),
        Action.STOP: ngettext("Stop %(n)d instance", "Stop %(n)d instances", n),
        Action.RESTART: ngettext("Restart %(n)d instance", "Restart %(n)d instances", n),
        Action.DELETE: ngettext("Delete %(n)d instance", "Delete %(n)d instances", n),
        Action.RENEW: ngettext("Renew %(n)d instance", "Renew %(n)d instances", n),
        Action.RESTORE: ngettext("Restore %(n)d instance", "Restore %(n)d instances", n),
        Action.PURGE: ngettext(
            "Delete %(n)d instance permanently", "Delete %(n)d instances permanently", n
        ),
        Action.EXTEND: ngettext("Keep %(n)d instance longer", "Keep %(n)d instances longer", n),
        Action.PROTECT: ngettext("Protect %(n)d instance", "Protect %(n)d instances", n),
        Action.UNPROTECT: ngettext(
            "Switch the protection of %(n)d instance off",
            "Switch the protection of %(n)d instances off",
            n,
        ),
        Action.HOLD: ngettext(
            "Place %(n)d instance under legal hold", "Place %(n)d instances under legal hold", n
        ),
        Action.UNHOLD: ngettext(
            "End the legal hold of %(n)d instance", "End the legal hold of %(n)d instances", n
        ),
    }
    return titles[action] % {"n": n}


def prospect(action: Action) -> str:
    """The head of the group of instances it will be done to."""
    return {
        Action.START: _("Will be started"),
        Action.STOP: _("Will be stopped"),
        Action.RESTART: _("Will be restarted"),
        Action.DELETE: _("Will move to the recycle bin"),
        Action.RENEW: _("Will be renewed"),
        Action.RESTORE: _("Will be restored"),
        Action.PURGE: _("Will be deleted for good"),
        Action.EXTEND: _("Will be kept longer"),
        Action.PROTECT: _("Will be protected"),
        Action.UNPROTECT: _("Can be deleted again afterwards"),
        Action.HOLD: _("Will be held"),
        Action.UNHOLD: _("Will no longer be held"),
    }[action]


def done(action: Action | ResourceAction, n: int) -> str:
    """What was done, in one sentence."""
    sentences: dict[Action | ResourceAction, str] = {
        Action.START: ngettext("Started %(n)d instance.", "Started %(n)d instances.", n),
        Action.STOP: ngettext("Stopped %(n)d instance.", "Stopped %(n)d instances.", n),
        Action.RESTART: ngettext("Restarted %(n)d instance.", "Restarted %(n)d instances.", n),
        Action.RECYCLE: ngettext(
            "Moved %(n)d instance to the recycle bin.",
            "Moved %(n)d instances to the recycle bin.",
            n,
        ),
        Action.RELEASE: ngettext(
            "Released %(n)d instance for good.", "Released %(n)d instances for good.", n
        ),
        Action.RENEW: ngettext("Renewed %(n)d instance.", "Renewed %(n)d instances.", n),
        Action.RESTORE: ngettext(
            "Restored %(n)d instance. It is stopped.",
            "Restored %(n)d instances. They are stopped.",
            n,
        ),
        Action.PURGE: ngettext(
            "Deleted %(n)d instance for good.", "Deleted %(n)d instances for good.", n
        ),
        Action.EXTEND: ngettext(
            "%(n)d instance is kept longer.", "%(n)d instances are kept longer.", n
        ),
        Action.PROTECT: ngettext("Protected %(n)d instance.", "Protected %(n)d instances.", n),
        Action.UNPROTECT: ngettext(
            "Switched the protection of %(n)d instance off.",
            "Switched the protection of %(n)d instances off.",
            n,
        ),
        Action.HOLD: ngettext(
            "%(n)d instance is under legal hold.", "%(n)d instances are under legal hold.", n
        ),
        Action.UNHOLD: ngettext(
            "Ended the hold of %(n)d instance.", "Ended the hold of %(n)d instances.", n
        ),
    }
    return sentences[action] % {"n": n}
