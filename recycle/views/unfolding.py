"""What a row of a list unfolds when somebody asks for it: its menu, and what it was bound to.

A list does not carry it for each of its rows. Without a script the button is a link to a page that
says and offers the same.
"""

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from recycle.forms import own_address
from recycle.http import Request, wants_piece


def unfold(request: Request, template: str, page: str, **context: Any) -> HttpResponse:
    """Answer with the button and its open menu, in place of the link that asked for it; or lead to
    `page`, where no list waits for the answer.
    """
    if not wants_piece(request):
        return HttpResponseRedirect(page)
    # The dialogs lead back to where the menu is opened.
    around = own_address(request.htmx.current_url_abs_path or "", request.shell.scope)
    request.shell.address = around or page
    return render(request, template, {"page": page} | context)
