"""Instances: people may put a name right; what happens to them, only the actions do."""

from dataclasses import replace
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from recycle import actions
from recycle.actions import Outcome
from recycle.admin.base import ConsoleAdmin
from recycle.logged import context_of
from recycle.models import Instance, InstanceQuerySet
from recycle.models.folded import with_folded
from recycle.outcomes import INSTANCES_FAILED, INSTANCES_LEFT, say


@admin.register(Instance)
class InstanceAdmin(ConsoleAdmin):
    list_display = (
        "name",
        "id",
        "account",
        "status",
        "billing_mode",
        "instance_type",
        "zone",
        "private_ip",
        "purge_at",
        "attempts",
        "created_at",
    )
    list_filter = ("state", "billing_mode", "zone", "account")
    search_fields = ("name_folded__contains", "id", "private_ip")
    search_help_text = gettext_lazy("Name, ID or private IP")
    list_select_related = ("account", "zone", "instance_type")
    actions = ("recycle", "restore", "purge")
    # People may put a name right; what happens to an instance is not edited but done.
    fields = (
        ("name", "id"),
        ("account", "zone", "instance_type"),
        ("state", "billing_mode", "no_fees"),
        ("image_name", "image_id"),
        ("system_disk_type", "system_disk_gb"),
        ("private_ip", "subnet_id", "vpc_id", "security_group_ids"),
        ("created_at", "changed_at", "expires_at"),
        ("recycled_at", "recycled_by_name", "purge_at", "kept", "purged_at"),
        ("protected", "held_at", "held_by", "hold_reason", "hold_review_on"),
        ("attempts", "retry_at", "last_error"),
    )
    editable = ("name", "image_name")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        fields = [field.name for field in Instance._meta.fields]
        return [*(name for name in fields if name not in self.editable), "kept"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Instance, form: Any, change: bool) -> None:
        # Only what may be edited is written: whatever happened to the instance while the form was
        # open stays.
        obj.changed_at = context_of(request).now
        obj.save(update_fields=with_folded(Instance, [*self.editable, "changed_at"]))

    @admin.display(description=gettext_lazy("status"), ordering="state")
    def status(self, instance: Instance) -> str:
        return instance.get_status_display()

    @admin.display(description=gettext_lazy("time in the recycle bin"))
    def kept(self, instance: Instance) -> str:
        return instance.kept

    @admin.action(description=gettext_lazy("Move the selected instances to the recycle bin"))
    def recycle(self, request: HttpRequest, instances: InstanceQuerySet) -> None:
        """Releases nothing: where there is no bin, the instance is refused."""
        self._act(request, instances, actions.delete, may_release=False)

    @admin.action(description=gettext_lazy("Restore the selected instances from the recycle bin"))
    def restore(self, request: HttpRequest, instances: InstanceQuerySet) -> None:
        self._act(request, instances, actions.restore)

    @admin.action(
        description=gettext_lazy("Delete the selected instances in the recycle bin for good")
    )
    def purge(self, request: HttpRequest, instances: InstanceQuerySet) -> None:
        self._act(request, instances, actions.purge)

    def _act(
        self, request: HttpRequest, instances: InstanceQuerySet, action: Any, **parameters: Any
    ) -> None:
        # The selection may come with joins and an order of its own; the action locks by key.
        chosen = Instance.objects.filter(pk__in=instances.order_by().values("pk"))
        outcome: Outcome = action(
            chosen, context=replace(context_of(request), reason=_("In the admin")), **parameters
        )
        n = len(outcome.done)
        done = ngettext("Done for %(n)d instance.", "Done for %(n)d instances.", n) % {"n": n}
        say(request, outcome, done, left=INSTANCES_LEFT, failed=INSTANCES_FAILED, errors=True)
