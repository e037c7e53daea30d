"""Logging in. The only page of the console, the admin included, where somebody who is not logged in
gives a password.
"""

from allauth.account.views import LoginView as AllauthLoginView
from django.http import HttpResponse

from recycle.forms import LoginForm
from recycle.login import wait_of


class LoginView(AllauthLoginView):  # type: ignore[misc]
    form_class = LoginForm
    template_name = "login.html"

    def form_invalid(self, form: LoginForm) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        if wait := wait_of(form.non_field_errors().as_data()):
            response.status_code = 429
            response["Retry-After"] = str(wait)
        return response
