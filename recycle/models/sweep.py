"""When each scheduled pass last ran, so that a schedule that died is seen."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Sweep(models.Model):
    name = models.CharField(_("name"), max_length=32, primary_key=True)
    ran_at = models.DateTimeField(_("last ran"))
    done = models.PositiveIntegerField(_("done"), default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0)

    class Meta:
        verbose_name = _("scheduled pass")
        verbose_name_plural = _("scheduled passes")

    def __str__(self) -> str:
        return self.name

    def is_late(self, now: datetime) -> bool:
        return now - self.ran_at > timedelta(seconds=settings.SWEEP_LATE_AFTER)
