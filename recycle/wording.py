"""What dialogs and answers say of each action, by the name of the dialog's address. Counted words,
so that they can be declined.
"""

from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from recycle.lifecycle import Action

N = "n"

# The head of the dialog.
TITLES: dict[str, Any] = {
    # Instances
    Action.START: ngettext_lazy("Start %(n)d instance", "Start %(n)d instances", N),
    Action.STOP: ngettext_lazy("Stop %(n)d instance", "Stop %(n)d instances", N),
    Action.RESTART: ngettext_lazy("Restart %(n)d instance", "Restart %(n)d instances", N),
    Action.DELETE: ngettext_lazy("Delete %(n)d instance", "Delete %(n)d instances", N),
    Action.RENEW: ngettext_lazy("Renew %(n)d instance", "Renew %(n)d instances", N),
    Action.RESTORE: ngettext_lazy("Restore %(n)d instance", "Restore %(n)d instances", N),
    Action.PURGE: ngettext_lazy(
        "Delete %(n)d instance permanently", "Delete %(n)d instances permanently", N
    ),
    Action.EXTEND: ngettext_lazy("Keep %(n)d instance longer", "Keep %(n)d instances longer", N),
    Action.RENAME: ngettext_lazy("Rename %(n)d instance", "Rename %(n)d instances", N),
    Action.RESIZE: ngettext_lazy(
        "Change the configuration of %(n)d instance",
        "Change the configuration of %(n)d instances",
        N,
    ),
    Action.RESET_PASSWORD: ngettext_lazy(
        "Reset the password of %(n)d instance", "Reset the password of %(n)d instances", N
    ),
    Action.SCHEDULE: ngettext_lazy(
        "Schedule the deletion of %(n)d instance", "Schedule the deletion of %(n)d instances", N
    ),
    Action.UNSCHEDULE: ngettext_lazy(
        "Cancel the scheduled deletion of %(n)d instance",
        "Cancel the scheduled deletion of %(n)d instances",
        N,
    ),
    Action.PROTECT: ngettext_lazy("Protect %(n)d instance", "Protect %(n)d instances", N),
    Action.UNPROTECT: ngettext_lazy(
        "Switch the protection of %(n)d instance off",
        "Switch the protection of %(n)d instances off",
        N,
    ),
    Action.HOLD: ngettext_lazy(
        "Place %(n)d instance under legal hold", "Place %(n)d instances under legal hold", N
    ),
    Action.UNHOLD: ngettext_lazy(
        "End the legal hold of %(n)d instance", "End the legal hold of %(n)d instances", N
    ),
    Action.RETRY: ngettext_lazy(
        "Let %(n)d instance out of quarantine", "Let %(n)d instances out of quarantine", N
    ),
    # EBS volumes
    "create_volume": _("Create EBS volume"),
    "attach": ngettext_lazy("Attach %(n)d EBS volume", "Attach %(n)d EBS volumes", N),
    "attach_volume": _("Attach an EBS volume"),
    "detach": ngettext_lazy("Detach %(n)d EBS volume", "Detach %(n)d EBS volumes", N),
    "delete_volumes": ngettext_lazy("Delete %(n)d EBS volume", "Delete %(n)d EBS volumes", N),
    # EIPs
    "create_address": _("Create EIP"),
    "associate": ngettext_lazy("Bind %(n)d EIP", "Bind %(n)d EIPs", N),
    "associate_address": _("Bind an EIP"),
    "associate_with_balancer": _("Bind an EIP"),
    "disassociate": ngettext_lazy("Unbind %(n)d EIP", "Unbind %(n)d EIPs", N),
    "delete_addresses": ngettext_lazy("Delete %(n)d EIP", "Delete %(n)d EIPs", N),
    # Load balancers
    "create_balancer": _("Create load balancer"),
    "create_listener": _("Create listener"),
    "delete_balancers": ngettext_lazy(
        "Delete %(n)d load balancer", "Delete %(n)d load balancers", N
    ),
    "enable_listeners": ngettext_lazy("Enable %(n)d listener", "Enable %(n)d listeners", N),
    "disable_listeners": ngettext_lazy("Disable %(n)d listener", "Disable %(n)d listeners", N),
    "weigh": ngettext_lazy(
        "Change the weight of %(n)d backend server",
        "Change the weight of %(n)d backend servers",
        N,
    ),
    "delete_listeners": ngettext_lazy("Delete %(n)d listener", "Delete %(n)d listeners", N),
    "register": _("Register an instance"),
    "register_instances": ngettext_lazy(
        "Register %(n)d instance with a listener", "Register %(n)d instances with a listener", N
    ),
    "deregister": ngettext_lazy(
        "Deregister %(n)d backend server", "Deregister %(n)d backend servers", N
    ),
    # Tags
    "create_tag": _("Create tag"),
    "add_tags": ngettext_lazy("Bind %(n)d tag to an instance", "Bind %(n)d tags to an instance", N),
    "add_tag": ngettext_lazy("Bind a tag to %(n)d instance", "Bind a tag to %(n)d instances", N),
    "remove_tags": ngettext_lazy(
        "Unbind %(n)d tag from an instance", "Unbind %(n)d tags from an instance", N
    ),
    "take_off_tags": ngettext_lazy(
        "Unbind the tag from %(n)d instance", "Unbind the tag from %(n)d instances", N
    ),
    "delete_tags": ngettext_lazy("Delete %(n)d tag", "Delete %(n)d tags", N),
    # Projects
    "create_project": _("Create project"),
    "rename_project": _("Rename the project"),
    "disable_projects": ngettext_lazy("Disable %(n)d project", "Disable %(n)d projects", N),
    "enable_projects": ngettext_lazy("Enable %(n)d project", "Enable %(n)d projects", N),
    "move_instances": ngettext_lazy("Move %(n)d instance", "Move %(n)d instances", N),
    "move_volumes": ngettext_lazy("Move %(n)d EBS volume", "Move %(n)d EBS volumes", N),
    "move_addresses": ngettext_lazy("Move %(n)d EIP", "Move %(n)d EIPs", N),
    "move_balancers": ngettext_lazy("Move %(n)d load balancer", "Move %(n)d load balancers", N),
}

# The head of the group of instances that it will be done to.
PROSPECTS: dict[Action, Any] = {
    Action.START: _("Will be started"),
    Action.STOP: _("Will be stopped"),
    Action.RESTART: _("Will be restarted"),
    Action.DELETE: _("Will move to the recycle bin"),
    Action.RENEW: _("Will be renewed"),
    Action.RESTORE: _("Will be restored"),
    Action.PURGE: _("Will be deleted for good"),
    Action.EXTEND: _("Will be kept longer"),
    Action.RENAME: _("Will be renamed"),
    Action.RESIZE: _("Will get another configuration"),
    Action.RESET_PASSWORD: _("Will get the new password"),
    Action.SCHEDULE: _("Will be deleted at that moment"),
    Action.UNSCHEDULE: _("Will stay"),
    Action.PROTECT: _("Will be protected"),
    Action.UNPROTECT: _("Can be deleted again afterwards"),
    Action.HOLD: _("Will be held"),
    Action.UNHOLD: _("Will no longer be held"),
    Action.RETRY: _("Will be tried again"),
}

_ATTACHED = ngettext_lazy("Attached %(n)d EBS volume.", "Attached %(n)d EBS volumes.", N)
_ASSOCIATED = ngettext_lazy("Bound %(n)d EIP.", "Bound %(n)d EIPs.", N)
_REGISTERED = ngettext_lazy(
    "Registered %(n)d backend server.", "Registered %(n)d backend servers.", N
)

# What was done, in one sentence.
DONE: dict[str, Any] = {
    # Instances; what a delete meant is one of two.
    Action.START: ngettext_lazy("Started %(n)d instance.", "Started %(n)d instances.", N),
    Action.STOP: ngettext_lazy("Stopped %(n)d instance.", "Stopped %(n)d instances.", N),
    Action.RESTART: ngettext_lazy("Restarted %(n)d instance.", "Restarted %(n)d instances.", N),
    Action.RECYCLE: ngettext_lazy(
        "Moved %(n)d instance to the recycle bin.", "Moved %(n)d instances to the recycle bin.", N
    ),
    Action.RELEASE: ngettext_lazy(
        "Released %(n)d instance for good.", "Released %(n)d instances for good.", N
    ),
    Action.RENEW: ngettext_lazy("Renewed %(n)d instance.", "Renewed %(n)d instances.", N),
    Action.RESTORE: ngettext_lazy(
        "Restored %(n)d instance. It is stopped.", "Restored %(n)d instances. They are stopped.", N
    ),
    Action.PURGE: ngettext_lazy(
        "Deleted %(n)d instance for good.", "Deleted %(n)d instances for good.", N
    ),
    Action.EXTEND: ngettext_lazy(
        "%(n)d instance is kept longer.", "%(n)d instances are kept longer.", N
    ),
    Action.RENAME: ngettext_lazy("Renamed %(n)d instance.", "Renamed %(n)d instances.", N),
    Action.RESIZE: ngettext_lazy(
        "Changed the configuration of %(n)d instance.",
        "Changed the configuration of %(n)d instances.",
        N,
    ),
    Action.RESET_PASSWORD: ngettext_lazy(
        "Reset the password of %(n)d instance.", "Reset the password of %(n)d instances.", N
    ),
    Action.SCHEDULE: ngettext_lazy(
        "Scheduled the deletion of %(n)d instance.", "Scheduled the deletion of %(n)d instances.", N
    ),
    Action.UNSCHEDULE: ngettext_lazy(
        "Cancelled the scheduled deletion of %(n)d instance.",
        "Cancelled the scheduled deletion of %(n)d instances.",
        N,
    ),
    Action.PROTECT: ngettext_lazy("Protected %(n)d instance.", "Protected %(n)d instances.", N),
    Action.UNPROTECT: ngettext_lazy(
        "Switched the protection of %(n)d instance off.",
        "Switched the protection of %(n)d instances off.",
        N,
    ),
    Action.HOLD: ngettext_lazy(
        "%(n)d instance is under legal hold.", "%(n)d instances are under legal hold.", N
    ),
    Action.UNHOLD: ngettext_lazy(
        "Ended the hold of %(n)d instance.", "Ended the hold of %(n)d instances.", N
    ),
    Action.RETRY: ngettext_lazy(
        "%(n)d instance will be tried again.", "%(n)d instances will be tried again.", N
    ),
    # EBS volumes
    "create_volume": _("Created the EBS volume"),
    "attach": _ATTACHED,
    "attach_volume": _ATTACHED,
    "detach": ngettext_lazy("Detached %(n)d EBS volume.", "Detached %(n)d EBS volumes.", N),
    "delete_volumes": ngettext_lazy("Deleted %(n)d EBS volume.", "Deleted %(n)d EBS volumes.", N),
    # EIPs
    "create_address": _("Created the EIP"),
    "associate": _ASSOCIATED,
    "associate_address": _ASSOCIATED,
    "associate_with_balancer": _ASSOCIATED,
    "disassociate": ngettext_lazy("Unbound %(n)d EIP.", "Unbound %(n)d EIPs.", N),
    "delete_addresses": ngettext_lazy("Deleted %(n)d EIP.", "Deleted %(n)d EIPs.", N),
    # Load balancers
    "create_balancer": _("Created the load balancer"),
    "create_listener": _("Created the listener"),
    "delete_balancers": ngettext_lazy(
        "Deleted %(n)d load balancer.", "Deleted %(n)d load balancers.", N
    ),
    "delete_listeners": ngettext_lazy("Deleted %(n)d listener.", "Deleted %(n)d listeners.", N),
    "enable_listeners": ngettext_lazy("Enabled %(n)d listener.", "Enabled %(n)d listeners.", N),
    "disable_listeners": ngettext_lazy("Disabled %(n)d listener.", "Disabled %(n)d listeners.", N),
    "weigh": ngettext_lazy(
        "Changed the weight of %(n)d backend server.",
        "Changed the weight of %(n)d backend servers.",
        N,
    ),
    "register": _REGISTERED,
    "register_instances": _REGISTERED,
    "deregister": ngettext_lazy(
        "Deregistered %(n)d backend server.", "Deregistered %(n)d backend servers.", N
    ),
    # Tags
    "create_tag": _("Created the tag"),
    "add_tags": ngettext_lazy("Bound %(n)d tag.", "Bound %(n)d tags.", N),
    "add_tag": ngettext_lazy(
        "Bound the tag to %(n)d instance.", "Bound the tag to %(n)d instances.", N
    ),
    "remove_tags": ngettext_lazy("Unbound %(n)d tag.", "Unbound %(n)d tags.", N),
    "take_off_tags": ngettext_lazy(
        "Unbound the tag from %(n)d instance.", "Unbound the tag from %(n)d instances.", N
    ),
    "delete_tags": ngettext_lazy("Deleted %(n)d tag.", "Deleted %(n)d tags.", N),
    # Projects
    "create_project": _("Created the project"),
    "rename_project": _("Renamed the project."),
    "disable_projects": ngettext_lazy("Disabled %(n)d project.", "Disabled %(n)d projects.", N),
    "enable_projects": ngettext_lazy("Enabled %(n)d project.", "Enabled %(n)d projects.", N),
    "move_instances": ngettext_lazy("Moved %(n)d instance.", "Moved %(n)d instances.", N),
    "move_volumes": ngettext_lazy("Moved %(n)d EBS volume.", "Moved %(n)d EBS volumes.", N),
    "move_addresses": ngettext_lazy("Moved %(n)d EIP.", "Moved %(n)d EIPs.", N),
    "move_balancers": ngettext_lazy("Moved %(n)d load balancer.", "Moved %(n)d load balancers.", N),
}


def title(name: str, n: int) -> str:
    return str(TITLES[name] % {N: n})


def done(name: str, n: int) -> str:
    return str(DONE[name] % {N: n})
