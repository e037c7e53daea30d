"""What dialogs ask about projects: a name, and where something is to be."""

from django import forms
from django.utils.translation import gettext_lazy

from recycle.forms.resources.details import DetailsForm
from recycle.forms.scope import Scope
from recycle.forms.text import TextField
from recycle.lifecycle import ResourceAction
from recycle.models import Project
from recycle.policy import DEFAULT_PROJECT


class ProjectForm(DetailsForm):
    """A new project, or the other name of one."""

    name = TextField(min_length=2, max_length=64, label=gettext_lazy("Name"))

    def new(self) -> Project:
        """The row that was asked for, not saved; the action gives it a number."""
        return Project(account=self.scope.account, name=self.cleaned_data["name"])


def offer_projects(form: forms.Form, scope: Scope, action: ResourceAction) -> int:
    """Let the field `project` of a form offer those projects in which the action is allowed, the
    one that the page is about first. In an account that is not divided nothing is asked.

    Answers what is meant where nothing was said.
    """
    found = scope.projects_for(action)
    found.sort(key=lambda project: project != scope.project)
    field = form.fields["project"]
    assert isinstance(field, forms.ChoiceField)
    field.choices = [(project.number, project.label) for project in found]
    if not scope.has_projects:
        del form.fields["project"]
    return found[0].number if found else DEFAULT_PROJECT


class MoveForm(DetailsForm):
    """Asks to which project."""

    project = forms.TypedChoiceField(coerce=int, label=gettext_lazy("To project"))

    def prepare(self) -> None:
        found = self.scope.projects_for(ResourceAction.MOVE)
        self.projects = {project.number: project for project in found}
        self.offer(
            "project", [(number, project.label) for number, project in self.projects.items()]
        )

    @property
    def target(self) -> Project:
        return self.projects[self.cleaned_data["project"]]
