"""What was done in an account: to instances, to what is bound to them, to its members and to the
account itself. Events carry ids and names, and outlive what they are about.
"""

from typing import Self

from django.apps import apps
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from recycle.lifecycle import LIVING, Action, ResourceAction, State
from recycle.models.changes import changes_in_words
from recycle.models.folded import FoldedField
from recycle.models.origin import Edge
from recycle.models.tenancy import Account, InProjectQuerySet, User
from recycle.policy import DEFAULT_PROJECT
from recycle.text import check_text


class Kind(models.TextChoices):
    """What an event is about where that is not, or not only, an instance."""

    VOLUME = "volume", _("EBS volume")
    EIP = "eip", _("EIP")
    LOAD_BALANCER = "load_balancer", _("Load balancer")
    LISTENER = "listener", _("Listener")
    REAL_SERVER = "real_server", _("Backend server")
    TAG = "tag", _("Tag")
    MEMBER = "member", _("Member")
    ACCOUNT = "account", _("Account")
    JOB = "job", _("Batch job")
    PROJECT = "project", _("Project")


# The model whose fields an edit changed, by the kind of its event. An instance's have no kind.
MODELS = {
    "": "instance",
    Kind.VOLUME: "volume",
    Kind.EIP: "elasticip",
    Kind.LOAD_BALANCER: "loadbalancer",
    Kind.LISTENER: "listener",
    Kind.REAL_SERVER: "realserver",
    Kind.TAG: "tag",
    Kind.MEMBER: "membership",
    Kind.ACCOUNT: "account",
    Kind.JOB: "batchjob",
    Kind.PROJECT: "project",
}


# What belongs to a project, beside instances.
IN_PROJECTS = (
    "",
    Kind.VOLUME,
    Kind.EIP,
    Kind.LOAD_BALANCER,
    Kind.LISTENER,
    Kind.REAL_SERVER,
)


class EventQuerySet(InProjectQuerySet["Event"]):
    def within(self, user: User) -> Q:
        # What the release before writes about the account says no project, as if it were the first.
        about = Q(kind__in=IN_PROJECTS) | Q(kind=Kind.TAG, instance_id__isnull=False)
        account = Q(kind="", instance_id=None)
        return super().within(user) & about & ~account

    def cancelling(self) -> Self:
        """Events that carry the relationships they cancelled. A purge from the bin cancels none."""
        return self.filter(
            action__in=[Action.RECYCLE, Action.RELEASE, Action.PURGE], from_state__in=LIVING
        )


class Event(models.Model):
    account = models.ForeignKey(
        Account, models.PROTECT, related_name="+", verbose_name=_("account"), db_index=False
    )
    at = models.DateTimeField(_("time"))
    # What was done by one request, or by one pass of the schedule, shares a batch.
    batch = models.UUIDField(_("batch"))
    action = models.CharField(
        _("action"), max_length=16, choices=[*Action.choices, *ResourceAction.choices]
    )
    # Not foreign keys: the rows are forgotten one day, this is not. An event is about an instance,
    # about something of another kind, or, when one was bound to the other, about both.
    instance_id = models.UUIDField(_("instance ID"), null=True, blank=True)
    instance_name = models.CharField(_("instance"), max_length=64, blank=True)
    instance_name_folded = FoldedField("instance_name")
    # Where that was at the time; null where it was in two at once, or is of the account as a whole.
    project_number = models.BigIntegerField(
        _("project"), null=True, db_default=DEFAULT_PROJECT, editable=False
    )
    from_state = models.CharField(_("from"), max_length=16, choices=State, blank=True)
    to_state = models.CharField(_("to"), max_length=16, choices=State, blank=True)
    kind = models.CharField(_("resource"), max_length=16, choices=Kind, blank=True, db_default="")
    resource_id = models.CharField(_("resource ID"), max_length=36, blank=True, db_default="")
    resource_name = models.CharField(_("resource name"), max_length=400, blank=True, db_default="")
    resource_name_folded = FoldedField("resource_name")
    by = models.ForeignKey(
        User,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("by"),
        db_index=False,
    )
    # The user's name at the time; empty when the schedule acted.
    by_name = models.CharField(_("by"), max_length=150, blank=True)
    by_name_folded = FoldedField("by_name")
    reason = models.CharField(_("reason"), max_length=200, blank=True, validators=[check_text])
    # Of the request that asked for it; both are null when the schedule acted.
    address = models.GenericIPAddressField(_("address"), null=True, blank=True)
    request_id = models.UUIDField(_("request ID"), null=True, blank=True)
    # Through what it was asked for; null in what was written before this was kept.
    edge = models.CharField(_("through"), max_length=16, choices=Edge, null=True, blank=True)
    # The relationships that were cancelled, by kind (eips, volumes, real_servers, tags): a list, or
    # null for none. Of an edit, what it changed: see `models.changes`.
    detail = models.JSONField(_("detail"), default=dict, blank=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        indexes = [
            # The log of one instance, and its former relationships.
            models.Index(fields=["instance_id", "-id"], name="event_of_instance"),
            # The Operation Log of an account, newest first, and between two days. By the time and
            # not by the number, so that one index serves both: each costs at every verb.
            models.Index(fields=["account", "-at", "-id"], name="event_newest"),
            # What one request did, whose number is in its answer.
            models.Index(
                fields=["request_id"],
                name="event_of_request",
                condition=Q(request_id__isnull=False),
            ),
            models.Index(fields=["batch"], name="event_of_batch"),
            # Who deleted a volume, an address, a load balancer.
            models.Index(
                fields=["resource_id", "-id"],
                name="event_of_resource",
                condition=~Q(resource_id=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.action} {self.instance_name}"

    @property
    def through(self) -> str:
        """The edge in words; empty for a page, through which people nearly always act."""
        return "" if self.edge in (None, Edge.PAGE) else str(self.get_edge_display())

    @property
    def changes(self) -> list[str]:
        return changes_in_words(apps.get_model("recycle", MODELS[self.kind]), self.detail)
