from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RecycleConfig(AppConfig):
    name = "recycle"
    verbose_name = _("KEC Console")

    def ready(self) -> None:
        # Only now may models be imported.
        from recycle import logins

        logins.hear_logins()
