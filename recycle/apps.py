from django.apps import AppConfig
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.utils.translation import gettext_lazy as _


class RecycleConfig(AppConfig):
    name = "recycle"
    verbose_name = _("KEC Console")

    def ready(self) -> None:
        # Django finds this out by a transaction in each new connection. With IMMEDIATE it waits for whoever writes, so
        # that a page hangs behind an import, and then takes the busy database for one that knows no JSON.
        DatabaseWrapper.features_class.supports_json_field = True  # type: ignore[assignment]
