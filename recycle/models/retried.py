"""Rows that the schedule works on, and what is kept of its tries: what fails is tried again later,
and after a number of tries a person has to look.
"""

from typing import Self, TypeVar

from django.db import models
from django.utils.translation import gettext_lazy as _

Tried = TypeVar("Tried", bound=models.Model)


class RetriedQuerySet(models.QuerySet[Tried]):
    def in_quarantine(self) -> Self:
        """What has failed so often that it is not tried again until a person has looked."""
        return self.filter(quarantined_at__isnull=False)

    def claimed(self) -> Self:
        """Locked for this transaction, in the order asked for; what others hold is passed over."""
        return self.select_for_update(of=("self",), no_key=True, skip_locked=True)


class Retried(models.Model):
    # When it is tried again, how often it failed, and what was said the last time.
    retry_at = models.DateTimeField(_("next try"), null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(_("failed attempts"), default=0)
    last_error = models.CharField(_("last error"), max_length=200, blank=True)
    quarantined_at = models.DateTimeField(_("in quarantine since"), null=True, blank=True)

    class Meta:
        abstract = True
