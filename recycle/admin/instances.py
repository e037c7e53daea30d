"""Instances: people may put a name right; what happens to them, only the actions do."""

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import uuid4

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model
from django.http import HttpRequest, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from recycle import actions
from recycle.actions import Context, JobOrder
from recycle.admin.base import ConsoleAdmin
from recycle.forms import VERBS, SelectionForm, WholeScope
from recycle.lifecycle import Action
from recycle.logged import context_of
from recycle.models import Account, Instance, InstanceQuerySet
from recycle.models.folded import with_folded
from recycle.outcomes import INSTANCES_FAILED, INSTANCES_LEFT, say_outcome, what_was_done

# Accounts that one selection may reach into: each gets a batch job of its own.
MAX_ACCOUNTS = 50
# How the list here calls each verb of `VERBS`; None: only the pages do it, in a dialog.
OFFERED: dict[Action, str | None] = {
    Action.START: None,
    Action.STOP: None,
    Action.RESTART: None,
    # It retypes nothing, so it releases nothing: where there is no bin, the verb refuses.
    Action.DELETE: "recycle",
    Action.RENEW: None,
    Action.RESTORE: "restore",
    Action.PURGE: "purge",
    Action.EXTEND: None,
    Action.RENAME: None,
    Action.RESIZE: None,
    Action.RESET_PASSWORD: None,
    Action.SCHEDULE: None,
    Action.UNSCHEDULE: None,
    Action.PROTECT: None,
    Action.UNPROTECT: None,
    Action.HOLD: None,
    Action.UNHOLD: None,
    Action.RETRY: None,
}


@dataclass
class Changelist:
    """What the admin's list showed, as a filter for "all that match"."""

    rows: InstanceQuerySet
    now: datetime

    def is_valid(self) -> bool:
        return True

    def narrow(self, rows: InstanceQuerySet) -> InstanceQuerySet:
        # The list may come with joins and an order of its own; the action locks by key.
        return rows.filter(pk__in=self.rows.order_by().values("pk"))


def asked(request: HttpRequest, now: datetime) -> QueryDict:
    """What the admin's list sends, in the words of a selection on the pages."""
    data = QueryDict(mutable=True)
    data["reason"] = _("In the admin")
    if request.POST.get("select_across") == "1":
        data["all"], data["as_of"] = "1", now.isoformat()
    else:
        data.setlist("ids", request.POST.getlist(ACTION_CHECKBOX_NAME))
    return data


class ConfirmForm(forms.Form):
    """How many go for good, retyped."""

    confirm = forms.CharField(required=False, max_length=20)


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
    actions = tuple(name for name in OFFERED.values() if name)
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
        ("protected", "delete_at", "held_at", "held_by", "hold_reason", "hold_review_on"),
        ("attempts", "retry_at", "last_error", "quarantined_at"),
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
        self._act(request, Action.DELETE, instances)

    @admin.action(description=gettext_lazy("Restore the selected instances from the recycle bin"))
    def restore(self, request: HttpRequest, instances: InstanceQuerySet) -> None:
        self._act(request, Action.RESTORE, instances)

    @admin.action(
        description=gettext_lazy("Delete the selected instances in the recycle bin for good")
    )
    def purge(self, request: HttpRequest, instances: InstanceQuerySet) -> TemplateResponse | None:
        total = str(instances.order_by().count())
        form = ConfirmForm(request.POST)
        if form.is_valid() and form.cleaned_data["confirm"].strip() == total:
            self._act(request, Action.PURGE, instances)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": _("Delete for good"),
            "opts": self.opts,
            "total": total,
            "answered": "confirm" in request.POST,
            "box": ACTION_CHECKBOX_NAME,
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "across": request.POST.get("select_across") == "1",
        }
        return TemplateResponse(request, "admin/recycle/instance/purge.html", context)

    def _act(self, request: HttpRequest, action: Action, listed: InstanceQuerySet) -> None:
        form_class, carry_out = VERBS[action]
        context = context_of(request)
        form = form_class(
            asked(request, context.now),
            scope=WholeScope(context.person, None, context.now),
            shown=Changelist(listed, context.now),
        )
        if not form.is_valid():
            for sentence in chain.from_iterable(form.errors.values()):
                messages.error(request, str(sentence))
            return
        context = replace(context, reason=form.cleaned_data["reason"])
        if form.is_large:
            self._request_jobs(request, action, form, context)
            return
        outcome = carry_out(
            form.cleaned_data["instances"], context=context, **form.parameters(retyped=False)
        )
        done = what_was_done(outcome)
        say_outcome(
            request, outcome, done, left=INSTANCES_LEFT, failed=INSTANCES_FAILED, errors=True
        )

    def _request_jobs(
        self, request: HttpRequest, action: Action, form: SelectionForm, context: Context
    ) -> None:
        """A batch job for each account: it stands in that account's list of jobs."""
        instances = form.cleaned_data["instances"]
        in_them = Account.objects.filter(pk__in=instances.order_by().values("account"))
        accounts = list(in_them.order_by("name", "pk")[: MAX_ACCOUNTS + 1])
        if len(accounts) > MAX_ACCOUNTS:
            sentence = _("These are instances of more than %(max)d accounts. Filter by account.")
            messages.error(request, sentence % {"max": MAX_ACCOUNTS})
            return
        for account in accounts:
            order = JobOrder(
                account=account, action=action, parameters=form.parameters(retyped=False)
            )
            outcome = actions.request_job(
                instances.filter(account=account), order, context=replace(context, batch=uuid4())
            )
            for job in outcome.done:
                address = reverse("admin:recycle_batchjob_change", args=[job.id])
                sentence = _("%(account)s: this goes on as a batch job.") % {"account": account}
                messages.success(request, format_html('<a href="{}">{}</a>', address, sentence))
