"""Suggestions for a field that names something, as options of a datalist."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from recycle.forms import resources
from recycle.forms.resources import CHOICES, SuggestForm
from recycle.http import Request


@require_GET
def suggest(request: Request, kind: str) -> HttpResponse:
    if kind not in CHOICES:
        raise Http404
    form = SuggestForm(request.GET)
    asked = form.cleaned_data if form.is_valid() else None
    found = (
        resources.suggest(request.shell.scope, kind, asked["other"], asked["near"]) if asked else []
    )
    return render(request, "resources/_options.html", {"suggestions": found})
