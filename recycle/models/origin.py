"""Where a request came from, and through what it reached the actions."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Edge(TextChoices):
    """What calls the actions."""

    PAGE = "page", pgettext_lazy("edge", "Page")
    ADMIN = "admin", _("Admin")
    API = "api", _("API")
    SCHEDULE = "schedule", _("Schedule")
    COMMAND = "command", _("Command line")


@dataclass(frozen=True, slots=True)
class Origin:
    """The address and the id of a request. Both are None for what no request asked for."""

    address: str | None = None
    request_id: UUID | None = None
