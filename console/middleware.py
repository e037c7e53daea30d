"""What is the same for every request, before anybody knows who asks."""

import re
from collections.abc import Callable
from itertools import chain, islice
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect

from console.limits import BODY_LIMIT, NO_LENGTH, NO_UPLOADS, TOO_LARGE, TOO_MANY

# A longer address does not come through every proxy.
LONGEST_WAY_BACK = 2_000


class SizeMiddleware:
    """Refuses a body that no page takes, before anything reads it: Django keeps an upload on disk
    while it asks who sent it. The console's own web server has refused it already; here it is
    refused whatever the server.

    And an address with more fields than Django reads, which even an error page could not look at.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        status, sentence = self._why_not(request)
        if not sentence:
            return self.get_response(request)
        # Nobody has asked for the language yet.
        with translation.override(translation.get_language_from_request(request)):
            return HttpResponse(
                f"{translation.gettext(sentence)}\n",
                status=status,
                content_type="text/plain; charset=utf-8",
            )

    def _why_not(self, request: HttpRequest) -> tuple[int, str]:
        if (request.content_type or "").startswith("multipart/"):
            return 415, NO_UPLOADS
        length = request.META.get("CONTENT_LENGTH") or ""
        if request.META.get("HTTP_TRANSFER_ENCODING") and not length:
            return 411, NO_LENGTH
        if length.isdecimal() and int(length) > BODY_LIMIT:
            return 413, TOO_LARGE
        if (
            request.META.get("QUERY_STRING", "").count("&")
            >= settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
        ):
            return 414, TOO_MANY
        return 200, ""


# What a browser takes for the beginning of another host, or leaves out or turns round before it
# looks.
AMBIGUOUS = re.compile(r"^/[/\\]|[\\\x00-\x1f\x7f]")


class AddressMiddleware:
    """Writes an address that no page of ours has, but that leads to another host as a link, so that
    it leads nowhere: whatever an error page makes of it stays here.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        if AMBIGUOUS.search(path):
            request.path_info = "/" + quote(path[1:], safe="")
            request.path = request.path.removesuffix(path) + request.path_info
        return self.get_response(request)


class HeadMiddleware:
    """HEAD is GET without the body: every view that knows the one knows the other, and no export is
    written for it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method != "HEAD":
            return self.get_response(request)
        request.method = "GET"
        response = self.get_response(request)
        request.method = "HEAD"
        if isinstance(response, StreamingHttpResponse):
            # What would have been streamed was not begun. Whatever else is left, the server does
            # not send.
            response.streaming_content = ()
        return response


class BeginMiddleware:
    """Begins a stream when everything else of the request is done. What goes wrong until its first
    piece is there is an answer, and no file that breaks off; and a transaction that lasts as long
    as the stream has no other write of the request in it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if isinstance(response, StreamingHttpResponse) and not isinstance(response, FileResponse):
            pieces = iter(response)
            first = list(islice(pieces, 1))
            response.streaming_content = chain(first, pieces)
        return response


class LoginMiddleware(LoginRequiredMiddleware):
    """Require a login as Django does, but ask nobody who they are where anybody may go: a probe
    must not wait for the database.
    """

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., Any],
        view_args: tuple[Any, ...],
        view_kwargs: Any,
    ) -> HttpResponseBase | None:
        if not getattr(view_func, "login_required", True):
            return None
        response = super().process_view(request, view_func, view_args, view_kwargs)
        piece = "HX-Request" in request.headers and "HX-Boosted" not in request.headers
        if piece and isinstance(response, HttpResponseRedirect):
            # The login is no piece of a page.
            return HttpResponseClientRedirect(response.url)
        return response

    def handle_no_permission(
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponseRedirect:
        """Lead to the login and back; whoever sent something then reads what became of it."""
        if request.method == "POST":
            sentence = _("The session had ended, so nothing was changed. Log in, then try again.")
            messages.warning(request, sentence)
        return redirect_to_login(_way_back(request))


def _way_back(request: HttpRequest) -> str:
    """The page that somebody was at: what it was asked for, or sent, is mostly none by itself."""
    here = request.resolver_match
    if here and here.view_name == "recycle:create":
        # What was typed there fills the page again.
        typed = (request.POST or request.GET).copy()
        typed.pop("csrfmiddlewaretoken", None)
        address = f"{request.path}?{typed.urlencode()}".removesuffix("?")
        return address if len(address) <= LONGEST_WAY_BACK else request.path
    if "HX-Request" in request.headers:
        page = urlsplit(request.headers.get("HX-Current-URL", ""))
        return urlunsplit(("", "", page.path, page.query, "")) or "/"
    return request.POST.get("back") or request.get_full_path()
