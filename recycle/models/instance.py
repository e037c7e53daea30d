"""The instance: a cloud server. Its row outlives it as a tombstone."""

import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any, Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from recycle.labels import retention_label
from recycle.lifecycle import IN_USE, LIVING, WAITING, State
from recycle.models.agreement import InProject
from recycle.models.catalogue import InstanceType, Zone
from recycle.models.folded import FoldedField
from recycle.models.retried import Retried, RetriedQuerySet
from recycle.models.tenancy import Account, InProjectQuerySet, User
from recycle.policy import (
    DEFAULT_PROJECT,
    EXPIRING,
    SHARING,
    WITHOUT_FEES,
    BillingMode,
    RetentionKind,
)
from recycle.text import check_text

SHARED_WORDS = [(word, label) for word, (_mode, label) in SHARING.items()]

# The status of what is stopped with no fees. Any other status is the state.
NO_FEES = "no_fees"
NO_FEES_LABEL = _("Stopped (No Fees)")


def statuses_of(states: Iterable[State]) -> Iterator[tuple[str, Any]]:
    """Every status that an instance in these states may have, with its label."""
    for state in states:
        yield state.value, state.label
        if state is State.STOPPED:
            yield NO_FEES, NO_FEES_LABEL


def _is_one_of(billing_modes: Iterable[str]) -> Q:
    return reduce(or_, (Q(billing_mode=mode) for mode in billing_modes))


# When the schedule next has to do with a row: at its time, or at its next try. What fails leaves
# the front of its queue, so that it is never in front of what does not.
NEXT_PURGE = Coalesce("retry_at", "purge_at")
NEXT_EXPIRY = Coalesce("retry_at", "expires_at")
NEXT_DELETION = Coalesce("retry_at", "delete_at")
NEXT_FORGETTING = Coalesce("retry_at", "purged_at")


class InstanceQuerySet(  # type: ignore[override]
    InProjectQuerySet["Instance"], RetriedQuerySet["Instance"]
):
    def with_status(self, status: str) -> Self:
        """Instances whose status is this one of `statuses_of`."""
        state = State.STOPPED if status == NO_FEES else status
        return self.filter(state=state, no_fees=status == NO_FEES)

    def living(self) -> Self:
        """Instances on the Instance page: running, stopped or expired."""
        return self.filter(state__one_of=LIVING)

    def in_bin(self) -> Self:
        # The first condition follows from the second, and is the one that SQLite looks for in an
        # index of both.
        return self.filter(state__one_of=WAITING).filter(state__one_of=[State.RECYCLED])

    def expired(self) -> Self:
        return self.filter(state__one_of=WAITING).filter(state__one_of=[State.EXPIRED])

    def ending(self) -> Self:
        """Instances that are deleted for good when their time is over, or when that is tried again:
        nothing holds or protects them, and they do not wait for a person.
        """
        return self.filter(
            state__one_of=WAITING, held_at=None, protected=False, quarantined_at=None
        ).alias(due_at=NEXT_PURGE)

    # Each queue is ordered by `due_at` and id, and found by an index of the same expression. Verbs
    # that move a time take the tries of the time before away; the rules ask once more.

    def due_for_purge(self, now: datetime) -> Self:
        """Instances whose time is over and that may go, longest overdue first; a failed one waits
        for its next try.
        """
        return self.ending().filter(due_at__lte=now).order_by("due_at", "pk")

    def due_to_expire(self, now: datetime) -> Self:
        rows = self.filter(state__one_of=IN_USE, expires_at__isnull=False, quarantined_at=None)
        return rows.alias(due_at=NEXT_EXPIRY).filter(due_at__lte=now).order_by("due_at", "pk")

    def due_to_delete(self, now: datetime) -> Self:
        """Instances whose scheduled deletion is due and that nothing holds or protects."""
        rows = self.filter(
            state__one_of=IN_USE,
            delete_at__isnull=False,
            held_at=None,
            protected=False,
            quarantined_at=None,
        )
        return rows.alias(due_at=NEXT_DELETION).filter(due_at__lte=now).order_by("due_at", "pk")

    def purged_before(self, moment: datetime, now: datetime) -> Self:
        """Tombstones from before `moment`; one that could not be forgotten waits for its next
        try.
        """
        queue = self.filter(state__one_of=[State.PURGED]).alias(due_at=NEXT_FORGETTING)
        return queue.filter(due_at__lte=now, purged_at__lt=moment).order_by("due_at", "pk")

    def locked(self) -> Self:
        """In one order for everybody, or two batches that share instances could deadlock."""
        return self.order_by("pk").select_for_update(of=("self",), no_key=True)


class Instance(Retried):
    id = models.UUIDField("ID", primary_key=True, default=uuid.uuid4, editable=False)
    # Their own indexes would cost at every verb; the partial ones below serve the queries there
    # are.
    account = models.ForeignKey(
        Account, models.PROTECT, related_name="instances", verbose_name=_("account"), db_index=False
    )
    project_number = models.BigIntegerField(
        _("project"), default=DEFAULT_PROJECT, db_default=DEFAULT_PROJECT, editable=False
    )
    zone = models.ForeignKey(
        Zone, models.PROTECT, related_name="instances", verbose_name=_("zone"), db_index=False
    )
    instance_type = models.ForeignKey(
        InstanceType,
        models.PROTECT,
        related_name="instances",
        verbose_name=_("instance type"),
        db_index=False,
    )
    name = models.CharField(_("name"), max_length=64, validators=[check_text])
    name_folded = FoldedField("name")
    state = models.CharField(
        pgettext_lazy("of an instance", "status"), max_length=16, choices=State
    )
    billing_mode = models.CharField(_("billing mode"), max_length=32, choices=BillingMode)
    # What the vendor calls its way to pay, where that only shares the rules of its billing mode.
    charge_type = models.CharField(
        _("way to pay"), max_length=32, choices=SHARED_WORDS, null=True, blank=True
    )
    no_fees = models.BooleanField(_("stopped with no fees"), default=False)

    image_id = models.CharField(_("image ID"), max_length=64, blank=True, validators=[check_text])
    image_name = models.CharField(_("image"), max_length=64, blank=True, validators=[check_text])
    system_disk_type = models.CharField(_("system disk type"), max_length=32, blank=True)
    system_disk_gb = models.PositiveIntegerField(_("system disk (GB)"), default=20)
    private_ip = models.GenericIPAddressField(_("private IP"))
    subnet_id = models.UUIDField(_("subnet"))
    vpc_id = models.UUIDField("VPC", null=True, blank=True)
    security_group_ids = models.JSONField(_("security groups"), default=list, blank=True)

    created_at = models.DateTimeField(_("created"))
    # The last time something was done to it.
    changed_at = models.DateTimeField(_("changed"))
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    # The day of the month on which the terms of a subscription end, kept over shorter months.
    # Empty means the day of its end.
    anchor_day = models.PositiveSmallIntegerField(
        _("anchor day"), null=True, blank=True, editable=False
    )
    recycled_at = models.DateTimeField(_("deleted"), null=True, blank=True)
    recycled_by = models.ForeignKey(
        User,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("deleted by"),
        db_index=False,
    )
    # The user's name at the time. Null and not empty: SQLite adds only such a column in place.
    recycled_by_name = models.CharField(_("deleted by"), max_length=150, null=True, blank=True)
    recycled_by_name_folded = FoldedField("recycled_by_name")
    # The moment promised to the owner. Stamped on entry. Afterwards it only moves later: by Extend,
    # and when a hold ends.
    purge_at = models.DateTimeField(_("ends"), null=True, blank=True)
    # Where the time in the bin comes from, as `policy.Retention` says it. Null outside of the bin.
    retention_kind = models.CharField(
        _("retention"), max_length=16, choices=RetentionKind, null=True, blank=True
    )
    retention_subject = models.CharField(
        _("subject of the retention"), max_length=400, null=True, blank=True
    )
    # Kind and subject in one text. Nothing reads or writes it any more: it is kept for one release,
    # because the one before may still run beside this one. The next release removes the column.
    retention = models.CharField(_("retention"), max_length=420, blank=True, editable=False)
    purged_at = models.DateTimeField(_("deleted for good"), null=True, blank=True)

    # When the schedule deletes it, as its owner would; null outside of use. A hold or a protection
    # suspends it.
    delete_at = models.DateTimeField(_("scheduled deletion"), null=True, blank=True)

    # Switched on, nobody and nothing deletes it.
    protected = models.BooleanField(_("protected"), default=False)
    # Under legal hold it may lie in the bin, but is never deleted for good.
    held_at = models.DateTimeField(_("held since"), null=True, blank=True)
    held_by = models.CharField(_("held by"), max_length=150, blank=True)
    hold_reason = models.CharField(
        _("reason of the hold"), max_length=200, blank=True, validators=[check_text]
    )
    hold_review_on = models.DateField(_("review of the hold"), null=True, blank=True)

    objects = InstanceQuerySet.as_manager()

    class Meta:
        verbose_name = _("instance")
        verbose_name_plural = _("instances")
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=State.values), name="instance_state_is_known"
            ),
            models.CheckConstraint(
                condition=Q(billing_mode__in=BillingMode.values),
                name="instance_billing_mode_is_known",
            ),
            models.CheckConstraint(
                condition=Q(state__in=IN_USE, recycled_at=None, purge_at=None)
                | Q(state=State.EXPIRED, recycled_at=None, purge_at__isnull=False)
                | Q(state=State.RECYCLED, recycled_at__isnull=False, purge_at__isnull=False)
                | Q(state=State.PURGED),
                name="instance_bin_times_follow_state",
            ),
            models.CheckConstraint(
                condition=Q(state=State.PURGED, purged_at__isnull=False)
                | (~Q(state=State.PURGED) & Q(purged_at=None)),
                name="instance_purged_at_follows_state",
            ),
            models.CheckConstraint(
                condition=Q(recycled_at=None) | Q(purge_at__gte=F("recycled_at")),
                name="instance_ends_after_it_enters",
            ),
            models.CheckConstraint(
                condition=(_is_one_of(EXPIRING) & Q(expires_at__isnull=False))
                | (~_is_one_of(EXPIRING) & Q(expires_at=None)),
                name="instance_expires_if_subscription",
            ),
            models.CheckConstraint(
                condition=~Q(state=State.EXPIRED) | _is_one_of(EXPIRING),
                name="instance_only_subscriptions_expire",
            ),
            models.CheckConstraint(
                condition=Q(no_fees=False) | (_is_one_of(WITHOUT_FEES) & Q(state=State.STOPPED)),
                name="instance_no_fees_only_while_stopped",
            ),
            models.CheckConstraint(
                condition=(
                    Q(held_at=None, hold_reason="")
                    | (Q(held_at__isnull=False) & ~Q(hold_reason=""))
                ),
                name="instance_hold_has_a_reason",
            ),
            models.CheckConstraint(
                condition=~Q(state=State.PURGED) | Q(held_at=None, protected=False),
                name="instance_held_or_protected_is_never_purged",
            ),
            models.CheckConstraint(
                condition=~(Q(state=State.RECYCLED) & Q(protected=True)),
                name="instance_protected_is_never_recycled",
            ),
            models.UniqueConstraint(
                fields=["subnet_id", "private_ip"],
                condition=~Q(state=State.PURGED),
                name="instance_private_ip_unique_in_subnet",
            ),
            # What the agreements of all that is bound to instances refer to: one key for all of
            # them, of columns that never change.
            models.UniqueConstraint(
                fields=["id", "account", "zone"], name="instance_with_account_and_zone"
            ),
            InProject(name="instance_in_a_project_of_its_account"),
        ]
        indexes = [
            # The sweep: due_for_purge, over all accounts. What may not go is not even looked at.
            models.Index(
                NEXT_PURGE,
                F("id"),
                name="instance_due",
                condition=Q(state__in=WAITING, held_at=None, protected=False, quarantined_at=None),
            ),
            # Both tabs of the recycle bin, soonest first. The rest tells `ending`, so that the
            # chart of the Overview counts without a row.
            models.Index(
                fields=[
                    "account",
                    "state",
                    "purge_at",
                    "id",
                    "held_at",
                    "protected",
                    "quarantined_at",
                ],
                name="instance_bin_soonest",
                condition=Q(state__in=WAITING),
            ),
            # The recycle bin, newest first, and deleted between.
            models.Index(
                fields=["account", "-recycled_at", "-id"],
                name="instance_bin_newest",
                condition=Q(state=State.RECYCLED),
            ),
            # The Instance page, newest first, and by name.
            models.Index(
                fields=["account", "-created_at", "-id"],
                name="instance_living_newest",
                condition=Q(state__in=LIVING),
            ),
            models.Index(
                fields=["account", "name", "id"],
                name="instance_living_name",
                condition=Q(state__in=LIVING),
            ),
            # How many there are of each status, and the filter for one. Neither a recycle nor a
            # purge writes to it.
            models.Index(
                fields=["account", "state", "no_fees", "id"],
                name="instance_living_status",
                condition=Q(state__in=LIVING),
            ),
            # The schedule: due_to_expire.
            models.Index(
                NEXT_EXPIRY,
                F("id"),
                name="instance_expiring",
                condition=Q(state__in=IN_USE, expires_at__isnull=False, quarantined_at=None),
            ),
            # The schedule: due_to_delete.
            models.Index(
                NEXT_DELETION,
                F("id"),
                name="instance_scheduled",
                condition=Q(
                    state__in=IN_USE,
                    delete_at__isnull=False,
                    held_at=None,
                    protected=False,
                    quarantined_at=None,
                ),
            ),
            # The schedule: purged_before.
            models.Index(
                NEXT_FORGETTING, F("id"), name="instance_purged", condition=Q(state=State.PURGED)
            ),
            # The quarantine of an account, and how much there is in all.
            models.Index(
                fields=["account", "quarantined_at", "id"],
                name="instance_quarantined",
                condition=Q(quarantined_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def family(self) -> str:
        return self.instance_type_id.partition(".")[0]

    @property
    def status(self) -> str:
        """The state, telling the two ways of being stopped apart."""
        return NO_FEES if self.no_fees else self.state

    @property
    def billing_label(self) -> str:
        """The billing mode, with the vendor's word where that is another."""
        mode = self.get_billing_mode_display()
        return f"{mode} ({self.get_charge_type_display()})" if self.charge_type else mode

    def get_status_display(self) -> str:
        return str(dict(statuses_of(State))[self.status])

    @property
    def kept(self) -> str:
        """Where its time in the bin comes from; empty where it is in none."""
        if self.state != State.RECYCLED or self.purge_at is None or self.recycled_at is None:
            return ""
        kind = self.retention_kind or RetentionKind.STANDARD
        return retention_label(kind, self.retention_subject or "", self.purge_at - self.recycled_at)

    @property
    def waits_since(self) -> datetime | None:
        """When the time that ends at `purge_at` began."""
        return self.recycled_at if self.state == State.RECYCLED else self.expires_at
