"""Batch jobs: the list of an account, the page of one with its progress, and what people do about
it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from recycle import actions, wording
from recycle.actions import Outcome
from recycle.forms import JobFilter, ResultFilter
from recycle.http import Request, pick
from recycle.lifecycle import Action
from recycle.models import BatchJob, JobItem
from recycle.models.job import BatchJobQuerySet, ItemOutcome
from recycle.outcomes import BROKEN, LEFT, because, say_left
from recycle.policy import Refusal
from recycle.views.answers import refuse
from recycle.views.lists import show_list, stream_csv
from recycle.views.scope import find

# Instances named under a reason why they were left alone.
NAMED = 200


def _what_became(item: JobItem) -> str:
    match item.outcome:
        case ItemOutcome.DONE:
            return str(Action(item.detail).label)
        case ItemOutcome.REFUSED:
            return str(Refusal(item.detail).label)
        case ItemOutcome.FAILED:
            return str(BROKEN)
    return ""


RESULTS = (
    (gettext_lazy("Instance ID"), "instance_id"),
    (gettext_lazy("Name"), "name"),
    (gettext_lazy("Outcome"), "get_outcome_display"),
    (gettext_lazy("Reason"), _what_became),
)


@dataclass(frozen=True)
class LeftAlone:
    """Why some instances were left alone, and the first of them."""

    reason: str
    # What the database said, for who runs the console.
    error: str
    tone: str
    count: int
    items: Sequence[JobItem]

    @property
    def more(self) -> int:
        return self.count - len(self.items)


@require_GET
def index(request: Request) -> HttpResponse:
    form = JobFilter(request.GET, scope=request.shell.scope)
    return show_list(request, "jobs", form, _jobs(request))


@require_GET
def detail(request: Request, pk: UUID) -> HttpResponse:
    """The page of a job. While it runs, its progress asks for itself again."""
    job = find(request, _jobs(request), pk)
    request.shell.address = reverse("recycle:job", args=[pk])
    template = pick(request, page="jobs/detail.html", partial="jobs/_progress.html")
    context = {
        "job": job,
        "title": wording.title(job.action, job.total),
        "left": list(_left_alone(job)) if job.is_over else [],
        "done": _what_was_done(job) if job.is_over else [],
        "again": BatchJob.objects.filter(retry_of=job).first() if job.failed else None,
        "onward": _onward(request, job),
        "piece": template == "jobs/_progress.html",
        "now": request.now,
    }
    return render(request, template, context)


@require_GET
def tray(request: Request) -> HttpResponse:
    """What runs, for the bar on top of every page."""
    return render(request, "jobs/_tray.html")


@require_GET
def export(request: Request, pk: UUID) -> HttpResponseBase:
    job = find(request, _jobs(request), pk)
    form = ResultFilter(request.GET, scope=request.shell.scope)
    return stream_csv(request, f"batch-job-{job.pk}", form, job.items.all(), RESULTS)


@require_POST
def cancel(request: Request, pk: UUID) -> HttpResponse:
    job = find(request, _jobs(request), pk)
    outcome = actions.cancel(job, context=request.context)
    return _report(request, job, outcome, _("The batch job is cancelled. What was done stays."))


@require_POST
def retry(request: Request, pk: UUID) -> HttpResponse:
    job = find(request, _jobs(request), pk)
    outcome = actions.retry_failed(job, context=request.context)
    return _report(request, job, outcome, _("What failed is being tried again."))


def _jobs(request: Request) -> BatchJobQuerySet:
    return BatchJob.objects.visible_to(request.user).of(request.shell.account)


def _report(request: Request, job: BatchJob, outcome: Outcome, done: str) -> HttpResponse:
    if any(each.refusal is Refusal.ROLE for each in outcome.refused):
        return refuse(request, [str(Refusal.ROLE.label)], "recycle:jobs", status=403)
    if outcome.done:
        messages.success(request, done)
        return HttpResponseRedirect(reverse("recycle:job", args=[outcome.done[0].id]))
    title = wording.title(job.action, job.total)
    say_left(request, LEFT, [(title, because(each)) for each in outcome.refused])
    return HttpResponseRedirect(reverse("recycle:job", args=[job.pk]))


def _left_alone(job: BatchJob) -> Iterator[LeftAlone]:
    items = job.items.left_alone()
    groups = items.order_by().values_list("outcome", "detail").annotate(count=Count("pk"))
    for outcome, detail, count in sorted(groups, key=lambda group: -group[2]):
        failed = outcome == ItemOutcome.FAILED
        named = items.filter(outcome=outcome, detail=detail).order_by("pk")[:NAMED]
        yield LeftAlone(
            reason=str(BROKEN if failed else Refusal(detail).label),
            error=detail if failed else "",
            tone="danger" if failed else "off",
            count=count,
            items=list(named),
        )


def _what_was_done(job: BatchJob) -> list[str]:
    """A sentence for each thing that was done: a delete may have meant two."""
    if job.action != Action.DELETE:
        return [wording.done(job.action, job.done)] if job.done else []
    done = job.items.filter(outcome=ItemOutcome.DONE).order_by()
    counts = done.values_list("detail").annotate(count=Count("pk"))
    return [wording.done(action, count) for action, count in sorted(counts)]


def _onward(request: Request, job: BatchJob) -> list[tuple[str, str]]:
    """Where to go on from a job: to its instances, and to what the log says of it."""
    links = []
    # Its instances may lie in other regions than the one that is shown.
    if job.done and job.action == Action.DELETE:
        back = f"{reverse('recycle:bin')}?batch={job.pk}&region="
        about = {"region": "", "all": "1", "as_of": request.now.isoformat(), "back": back}
        about["scope"] = f"{job.account_id}:"
        if request.shell.may[Action.RESTORE]:
            links.append((_("Restore these"), f"{reverse('recycle:restore')}?{urlencode(about)}"))
        links.append((_("Show them in the recycle bin"), back))
    elif job.done and job.action != Action.PURGE:
        in_bin = job.action in (Action.EXTEND, Action.HOLD, Action.UNHOLD, Action.RETRY)
        page = reverse("recycle:bin" if in_bin else "recycle:instances")
        links.append((_("Show the instances"), f"{page}?batch={job.pk}&region="))
        if job.action == Action.RESTORE:
            plan = f"{reverse('recycle:configure_again')}?batch={job.pk}"
            links.append((_("Configure again"), plan))
    links.append((_("Operation Log"), f"{reverse('recycle:log')}?batch={job.pk}"))
    return links
