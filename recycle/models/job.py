"""Batch jobs: an action on many instances, which workers carry out while people do something else.

The set is written down when somebody asks for it, an item for each instance, and never widens
afterwards. Workers go through the items in their order, a chunk a transaction.
"""

import uuid
from datetime import timedelta
from typing import Self

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from recycle.lifecycle import Action
from recycle.models.agreement import Agreement
from recycle.models.folded import FoldedField
from recycle.models.origin import Edge
from recycle.models.retried import RetriedQuerySet
from recycle.models.tenancy import Account, OwnedQuerySet, User
from recycle.text import check_text


class JobState(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    RUNNING = "running", pgettext_lazy("of a batch job", "Running")
    CANCELLED = "cancelled", _("Cancelled")
    FINISHED = "finished", _("Finished")


UNFINISHED = (JobState.WAITING, JobState.RUNNING)


class ItemOutcome(models.TextChoices):
    PENDING = "pending", _("Pending")
    DONE = "done", _("Done")
    REFUSED = "refused", _("Refused")
    FAILED = "failed", _("Failed")


# What became of an item that the action left alone.
LEFT_ALONE = (ItemOutcome.REFUSED, ItemOutcome.FAILED)


class BatchJobQuerySet(  # type: ignore[override]
    OwnedQuerySet["BatchJob"], RetriedQuerySet["BatchJob"]
):
    def within(self, user: User) -> Q:
        """A job may be about all projects: those are seen that the user has asked for."""
        return Q(by=user, account__in=list(user.restrictions))

    def unfinished(self) -> Self:
        """Jobs that workers still have to do something for."""
        return self.filter(state__one_of=UNFINISHED)

    def by_turn(self) -> Self:
        """The job that has waited longest for its turn first, so that no job keeps another waiting
        for longer than a chunk.
        """
        return self.order_by("turn_at", "pk")


class BatchJob(models.Model):
    # Also the batch of the events that it writes.
    id = models.UUIDField("ID", primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(
        Account, models.PROTECT, related_name="+", verbose_name=_("account"), db_index=False
    )
    action = models.CharField(_("action"), max_length=16, choices=Action)
    # What the action takes beside the instances, as its form has understood it.
    parameters = models.JSONField(
        _("parameters"), default=dict, blank=True, encoder=DjangoJSONEncoder
    )
    # The list that was selected from, as its address; empty when instances were named one by one.
    chosen = models.CharField(_("selected from"), max_length=8_000, blank=True)
    state = models.CharField(_("state"), max_length=16, choices=JobState, default=JobState.WAITING)
    # The failed items of that job, tried again. A job is tried again once.
    retry_of = models.OneToOneField(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="retried_as",
        # The agreement below is a key of both columns.
        db_constraint=False,
        verbose_name=_("retries"),
    )

    by = models.ForeignKey(
        User, models.PROTECT, related_name="+", verbose_name=_("by"), db_index=False
    )
    # The user's name at the time.
    by_name = models.CharField(_("by"), max_length=150)
    by_name_folded = FoldedField("by_name")
    reason = models.CharField(_("reason"), max_length=200, blank=True, validators=[check_text])
    # Of the request that asked for it.
    address = models.GenericIPAddressField(_("address"), null=True, blank=True)
    request_id = models.UUIDField(_("request ID"), null=True, blank=True)
    edge = models.CharField(_("through"), max_length=16, choices=Edge)

    created_at = models.DateTimeField(_("requested"))
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    # The end of the last chunk, by the clock of the database, which all workers share.
    turn_at = models.DateTimeField(_("last chunk"))

    total = models.PositiveIntegerField(_("instances"), default=0)
    done = models.PositiveIntegerField(_("done"), default=0)
    refused = models.PositiveIntegerField(_("refused"), default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0)
    # The key of the last item that was worked on; what comes behind it is pending.
    reached = models.PositiveBigIntegerField(_("last item"), default=0, editable=False)

    objects = BatchJobQuerySet.as_manager()

    class Meta:
        verbose_name = _("batch job")
        verbose_name_plural = _("batch jobs")
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=JobState.values), name="job_state_is_known"
            ),
            models.CheckConstraint(
                condition=Q(state=JobState.WAITING, started_at=None, finished_at=None)
                | Q(state=JobState.RUNNING, started_at__isnull=False, finished_at=None)
                | Q(state=JobState.CANCELLED, finished_at__isnull=False)
                | Q(state=JobState.FINISHED, started_at__isnull=False, finished_at__isnull=False),
                name="job_times_follow_state",
            ),
            models.CheckConstraint(
                condition=Q(done__lte=F("total") - F("refused") - F("failed")),
                name="job_counts_fit",
            ),
            models.CheckConstraint(
                condition=~Q(state=JobState.FINISHED)
                | Q(total=F("done") + F("refused") + F("failed")),
                name="job_finished_leaves_nothing_out",
            ),
            models.UniqueConstraint(fields=["id", "account"], name="job_with_account"),
            Agreement(relation="retry_of", on=("account",), name="job_retries_one_of_its_account"),
        ]
        indexes = [
            # Whose turn it is, over all accounts.
            models.Index(
                fields=["turn_at", "id"],
                name="job_turn",
                condition=Q(state__in=UNFINISHED),
            ),
            # What runs in an account: asked for by every page.
            models.Index(
                fields=["account", "created_at", "id"],
                name="job_unfinished",
                condition=Q(state__in=UNFINISHED),
            ),
            # The list of an account, newest first.
            models.Index(fields=["account", "-created_at", "-id"], name="job_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.action} ({self.total})"

    @property
    def is_over(self) -> bool:
        return self.state not in UNFINISHED

    @property
    def worked(self) -> int:
        """Items that something has become of."""
        return self.done + self.refused + self.failed

    @property
    def percent(self) -> int:
        return 100 * self.worked // self.total if self.total else 100

    @property
    def shares(self) -> dict[str, float]:
        """What stands for how much of the bar, in percent."""
        one = 100 / max(self.total, 1)
        return {
            "done": round(self.done * one, 2),
            "refused": round(self.refused * one, 2),
            "failed": round(self.failed * one, 2),
            "left_of_failed": round((self.done + self.refused) * one, 2),
        }

    @property
    def rate(self) -> int:
        """Instances a second, over all of its time so far; 0 when there is nothing to say yet."""
        if self.started_at is None:
            return 0
        seconds = (self.turn_at - self.started_at) / timedelta(seconds=1)
        return round(self.worked / seconds) if seconds > 0 else 0


class JobItemQuerySet(models.QuerySet["JobItem"]):
    def left_alone(self) -> Self:
        """Items that the action was not carried out on."""
        return self.filter(outcome__one_of=LEFT_ALONE)

    def failed(self) -> Self:
        # As with `Instance.in_bin`: the first condition is the one that SQLite looks for.
        return self.left_alone().filter(outcome__one_of=[ItemOutcome.FAILED])


class JobItem(models.Model):
    """One instance of a job, and what became of it. Keys grow in the order of the work."""

    id = models.BigAutoField("ID", primary_key=True)
    job = models.ForeignKey(
        BatchJob, models.CASCADE, related_name="items", verbose_name=_("batch job"), db_index=False
    )
    # Not a foreign key: the row is forgotten one day, this is not.
    instance_id = models.UUIDField(_("instance ID"))
    name = models.CharField(_("instance"), max_length=64)
    # As the instance was when it was selected. What somebody has done something to since then is
    # left alone.
    changed_at = models.DateTimeField(_("changed"))
    outcome = models.CharField(
        _("outcome"), max_length=16, choices=ItemOutcome, default=ItemOutcome.PENDING
    )
    # The action that a delete turned out to mean, why it was refused, or what the database said.
    detail = models.CharField(_("detail"), max_length=200, blank=True)

    objects = JobItemQuerySet.as_manager()

    class Meta:
        verbose_name = _("item of a batch job")
        verbose_name_plural = _("items of batch jobs")
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome__in=ItemOutcome.values), name="job_item_outcome_is_known"
            ),
        ]
        indexes = [
            # The way through a job, and its results.
            models.Index(fields=["job", "id"], name="job_item_in_order"),
            # What was left alone and why, and what is tried again.
            models.Index(
                fields=["job", "outcome", "detail", "id"],
                name="job_item_left_alone",
                condition=Q(outcome__in=LEFT_ALONE),
            ),
        ]

    def __str__(self) -> str:
        return self.name
