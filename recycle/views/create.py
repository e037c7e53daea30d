"""Create Instance: one page, and beside it what would be made and what stands in the way, by the
action itself.
"""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from recycle import actions
from recycle.actions import Outcome
from recycle.actions.create import UNNAMED, Order
from recycle.actions.limits import Limit, Use, uses, with_account_use
from recycle.forms import CreateForm, filled_in, offered
from recycle.http import Request, pick, sent
from recycle.lifecycle import ResourceAction
from recycle.models import Account
from recycle.policy import BillingMode, Refusal
from recycle.views.answers import needs

# Buttons that ask for the page again, with one thing changed.
ASKING = frozenset({"check", "add_disk", "remove_disk"})


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.CREATE, "recycle:instances")
def create(request: Request) -> HttpResponse:
    orders = request.method == "POST" and not ASKING & request.POST.keys()
    data, scope = sent(request), request.shell.scope
    offer = offered(scope, data.get("zone"))
    if request.method == "GET" and "token" not in data:
        data = filled_in(data, scope, offer)
    form = CreateForm(data, scope=scope, offer=offer)
    if orders and form.zone_changed:
        form.add_error("zone", _("The zone has changed. Look at the network again."))
    outcome = order = None
    if form.is_valid():
        order = form.order()
        outcome = actions.create(order, context=request.context, dry_run=not orders)
        if orders and (response := _answer(request, order, outcome)):
            return response
    partial = "instances/_create_summary.html"
    template = pick(request, page="instances/create.html", partial=partial)
    context = {
        "form": form,
        "partial": partial,
        "piece": template == partial,
        # Which other parts of the page a piece brings along.
        "disks_changed": bool({"add_disk", "remove_disk"} & form.data.keys()),
        "orders": orders,
        "outcome": outcome,
        "order": order,
        "now": request.now,
        **(_amounts(order, whole=request.shell.sees_all) if order else {}),
    }
    return render(request, template, context, status=422 if orders else 200)


def _answer(request: Request, order: Order, outcome: Outcome) -> HttpResponse | None:
    """Lead to the instances that were made; None when none were made."""
    where = f"{reverse('recycle:instances')}?batch={order.token}&region="
    if outcome.done:
        count = len(outcome.done)
        sentence = ngettext(
            "Created %(n)d instance. It is running.",
            "Created %(n)d instances. They are running.",
            count,
        )
        messages.success(
            request,
            format_html('{} <a href="{}">{}</a>', sentence % {"n": count}, where, _("Show them")),
        )
        return HttpResponseRedirect(reverse("recycle:instances"))
    if any(refused.refusal is Refusal.ALREADY for refused in outcome.refused):
        messages.info(request, _("These instances have been created already. Here they are."))
        return HttpResponseRedirect(where)
    return None


def _amounts(order: Order, *, whole: bool) -> dict[str, Any]:
    """What the order takes of the account's quota, beside what is used already."""
    account = with_account_use(Account.objects.filter(pk=order.account.pk)).get()
    disks = sum(disk.size_gb for disk in order.disks)
    taken = {
        Limit.INSTANCES: order.count,
        Limit.ELASTIC_IPS: order.count if order.bandwidth_mbps else 0,
        Limit.VOLUMES: order.count * len(order.disks),
        Limit.VOLUME_GB: order.count * disks,
        Limit.TAGS: len(order.new_tags),
    }
    names = order.names()
    return {
        "billing_mode": BillingMode(order.billing_mode).label,
        # What all projects use together would tell somebody what those of others do.
        "quota": [_line(use, taken.get(use.limit, 0)) for use in uses(account)] if whole else [],
        "first_name": names[0] if order.name else f"{UNNAMED}…",
        "last_name": names[-1] if order.name and order.count > 1 else "",
        "volumes": order.count * len(order.disks),
        "volume_gb": order.count * disks,
    }


def _line(use: Use, more: int) -> dict[str, Any]:
    after = use.used + more
    return {
        "use": use,
        "more": more,
        "after": after,
        "short": bool(more) and use.most is not None and after > use.most,
    }
