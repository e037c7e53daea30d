"""Projects: the list, what people do to them, and moving things from one to another."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from recycle.actions import projects
from recycle.forms.resources import DetailsForm, MoveForm, ProjectFilter, ProjectForm
from recycle.http import Request
from recycle.lifecycle import ResourceAction, Right, State
from recycle.models import ElasticIP, LoadBalancer, Project, Volume
from recycle.models.project import ProjectQuerySet
from recycle.views.answers import needs
from recycle.views.lists import show_list, stream_csv
from recycle.views.resources import Dialog, add_reasons, ask, report, report_made

_HOME = "recycle:projects"
_EXPORT = (
    (gettext_lazy("Project ID"), "number"),
    (gettext_lazy("Name"), "label"),
    (gettext_lazy("Disabled"), "disabled_at"),
    (gettext_lazy("Created"), "created_at"),
)
# What the list says around its rows, and the buttons over it: address, label, whether it deletes.
_ABOUT = {
    "picture": "team",
    "group": gettext_lazy("Monitor and Management"),
    "title": pgettext_lazy("navigation", "Project"),
    "tip": gettext_lazy(
        "Every instance, EBS volume, EIP and load balancer is in one project. An administrator of "
        "the console can restrict members to some projects, with a role in each."
    ),
    "search": gettext_lazy("Name"),
    "empty": gettext_lazy("You have a role in no project yet."),
    "create": "recycle:create_project",
    "create_label": gettext_lazy("Create Project"),
    "batch": [
        ("recycle:disable_projects", gettext_lazy("Disable"), False),
        ("recycle:enable_projects", gettext_lazy("Enable"), False),
    ],
}


def _rows(request: Request) -> ProjectQuerySet:
    return Project.objects.visible_to(request.user).of(request.shell.account)


@require_GET
def index(request: Request) -> HttpResponse:
    form = ProjectFilter(request.GET, scope=request.shell.scope)
    export = "recycle:export_projects"
    return show_list(request, "projects", form, _rows(request), about=_ABOUT, export=export)


@require_GET
def export(request: Request) -> HttpResponseBase:
    form = ProjectFilter(request.GET, scope=request.shell.scope)
    return stream_csv(request, "projects", form, _rows(request), _EXPORT)


@require_http_methods(["GET", "POST"])
@needs(Right.PROJECTS, _HOME)
def create(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME)
    if not dialog.is_valid():
        return dialog.refuse()
    details = ProjectForm(dialog.answers, scope=request.shell.scope)
    if details.is_valid():
        project = details.new()
        outcome = projects.create(project, context=request.context)
        if outcome.done:
            return report_made(dialog, "create_project", project)
        add_reasons(details, outcome)
    return ask(dialog, "create_project", details)


@require_http_methods(["GET", "POST"])
@needs(Right.PROJECTS, _HOME)
def rename(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME, _rows(request))
    if not dialog.is_valid():
        return dialog.refuse()
    initial = {"name": dialog.rows[0].name}
    details = ProjectForm(dialog.answers, scope=request.shell.scope, initial=initial)
    if details.is_valid():
        name = details.cleaned_data["name"]
        outcome = projects.rename(dialog.chosen[:1], name, context=request.context)
        if outcome.done:
            return report(dialog, "rename_project", outcome)
        add_reasons(details, outcome)
    return ask(dialog, "rename_project", details)


@require_http_methods(["GET", "POST"])
@needs(Right.PROJECTS, _HOME)
def disable(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME, _rows(request))
    if not dialog.is_valid():
        return dialog.refuse()
    details = DetailsForm(dialog.answers, scope=request.shell.scope)
    if not details.is_valid():
        note = _("Nothing new can be created there or moved there. What is there stays.")
        return ask(dialog, "disable_projects", details, note=note)
    outcome = projects.disable(dialog.chosen, context=request.context)
    return report(dialog, "disable_projects", outcome)


@require_http_methods(["GET", "POST"])
@needs(Right.PROJECTS, _HOME)
def enable(request: Request) -> HttpResponse:
    dialog = Dialog(request, _HOME, _rows(request))
    if not dialog.is_valid():
        return dialog.refuse()
    details = DetailsForm(dialog.answers, scope=request.shell.scope)
    if not details.is_valid():
        return ask(dialog, "enable_projects", details)
    outcome = projects.enable(dialog.chosen, context=request.context)
    return report(dialog, "enable_projects", outcome)


# --- What is in them ------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.MOVE, "recycle:instances")
def move_instances(request: Request) -> HttpResponse:
    rows = request.shell.instances().exclude(state=State.PURGED)
    return _move(request, rows, "recycle:instances", "move_instances")


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.MOVE, "recycle:volumes")
def move_volumes(request: Request) -> HttpResponse:
    rows = Volume.objects.visible_to(request.user).of(request.shell.account)
    return _move(request, rows, "recycle:volumes", "move_volumes")


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.MOVE, "recycle:addresses")
def move_addresses(request: Request) -> HttpResponse:
    rows = ElasticIP.objects.visible_to(request.user).of(request.shell.account)
    return _move(request, rows, "recycle:addresses", "move_addresses")


@require_http_methods(["GET", "POST"])
@needs(ResourceAction.MOVE, "recycle:balancers")
def move_balancers(request: Request) -> HttpResponse:
    rows = LoadBalancer.objects.visible_to(request.user).of(request.shell.account)
    return _move(request, rows, "recycle:balancers", "move_balancers")


def _move(request: Request, rows: QuerySet[Any, Any], home: str, name: str) -> HttpResponse:
    dialog = Dialog(request, home, rows)
    if not dialog.is_valid():
        return dialog.refuse()
    details = MoveForm(dialog.answers, scope=request.shell.scope)
    if not details.is_valid():
        note = _("What is bound to them stays in its own project.")
        return ask(dialog, name, details, note=note)
    outcome = projects.move(dialog.chosen, details.target, context=request.context)
    return report(dialog, name, outcome)
