"""What was done to instances. Events outlive the instances and carry their ids and names."""

from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from recycle.lifecycle import Action, State
from recycle.models.tenancy import Account, Membership, User


class EventQuerySet(models.QuerySet["Event"]):
    def visible_to(self, user: User) -> Self:
        return self.filter(account__in=Membership.objects.filter(user=user).values("account"))

    def cancelling(self) -> Self:
        """Events that may carry the relationships they cancelled."""
        return self.filter(action__in=[Action.RECYCLE, Action.RELEASE, Action.PURGE])


class Event(models.Model):
    account = models.ForeignKey(Account, models.PROTECT, related_name="+", verbose_name=_("account"), db_index=False)
    at = models.DateTimeField(_("time"))
    # What was done by one request, or by one pass of the schedule, shares a batch.
    batch = models.UUIDField(_("batch"))
    action = models.CharField(_("action"), max_length=16, choices=Action)
    # Not a foreign key: the row of the instance is forgotten one day, this is not.
    instance_id = models.UUIDField(_("instance ID"))
    instance_name = models.CharField(_("instance"), max_length=64)
    from_state = models.CharField(_("from"), max_length=16, choices=State)
    to_state = models.CharField(_("to"), max_length=16, choices=State)
    by = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("by"), db_index=False
    )
    # The user's name at the time; empty when the schedule acted.
    by_name = models.CharField(_("by"), max_length=150, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    # The relationships that were cancelled, by kind (eips, volumes, real_servers, tags): a list, or null for none.
    detail = models.JSONField(_("detail"), default=dict, blank=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        indexes = [
            # The log of one instance, and its former relationships.
            models.Index(fields=["instance_id", "-id"], name="event_of_instance"),
            # The Operation Log of an account, newest first.
            models.Index(fields=["account", "-id"], name="event_of_account"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.action} {self.instance_name}"
