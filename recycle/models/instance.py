"""The instance: a cloud server. Its row outlives it as a tombstone."""

import uuid
from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from recycle.lifecycle import IN_USE, LIVING, WAITING, State
from recycle.models.catalogue import InstanceType, Zone
from recycle.models.folded import FoldedField
from recycle.models.tenancy import Account, Membership, User
from recycle.policy import BillingMode
from recycle.text import check_text

NO_FEES_LABEL = _("Stopped (No Fees)")


def basis_label(basis: str) -> str:
    """Where the time in the bin comes from, in words."""
    kind, _space, what = basis.partition(" ")
    if kind == "account":
        return gettext("set for the account")
    if kind == "rule":
        return gettext("rule %(tag)s") % {"tag": what}
    if kind == "extended":
        return gettext("extended by %(name)s") % {"name": what}
    return gettext("standard")


def duration_label(duration: timedelta) -> str:
    """A length of time in its units, without those it has none of: "2 hours", "1 day 6 hours"."""
    minutes = round(duration.total_seconds() / 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    words = [
        (days, ngettext("%(n)d day", "%(n)d days", days)),
        (hours, ngettext("%(n)d hour", "%(n)d hours", hours)),
        (minutes, ngettext("%(n)d minute", "%(n)d minutes", minutes)),
    ]
    return " ".join(word % {"n": n} for n, word in words if n) or words[-1][1] % {"n": 0}


def kept_label(basis: str, keep_for: timedelta) -> str:
    """How long something is kept in the bin and why: "standard, 2 hours", "rule env=prod,
    7 days".
    """
    return gettext("%(basis)s, %(duration)s") % {
        "basis": basis_label(basis),
        "duration": duration_label(keep_for),
    }


class InstanceQuerySet(models.QuerySet["Instance"]):
    def visible_to(self, user: User) -> Self:
        """Instances of the accounts the user belongs to."""
        return self.filter(account__in=Membership.objects.filter(user=user).values("account"))

    def living(self) -> Self:
        """Instances on the Instance page: running, stopped or expired."""
        return self.filter(state__in=LIVING)

    def in_bin(self) -> Self:
        return self.filter(state=State.RECYCLED)

    def expired(self) -> Self:
        return self.filter(state=State.EXPIRED)

    def ending(self) -> Self:
        """Instances that are deleted for good when their time is over: nothing holds or protects
        them.
        """
        return self.filter(state__in=WAITING, held_at=None, protected=False)

    def due_for_purge(self, now: datetime) -> Self:
        """Instances whose time is over and that may go, longest overdue first; a failed one waits
        for its next try.
        """
        retry = Q(retry_at=None) | Q(retry_at__lte=now)
        free = Q(held_at=None, protected=False)
        return self.filter(retry, free, state__in=WAITING, purge_at__lte=now).order_by(
            "purge_at", "pk"
        )

    def due_to_expire(self, now: datetime) -> Self:
        retry = Q(retry_at=None) | Q(retry_at__lte=now)
        return self.filter(retry, state__in=IN_USE, expires_at__lte=now).order_by(
            "expires_at", "pk"
        )

    def purged_before(self, moment: datetime) -> Self:
        return self.filter(state=State.PURGED, purged_at__lt=moment).order_by("purged_at", "pk")

    def locked(self, *, skip_locked: bool = False) -> Self:
        """In one order for everybody, or two batches that share instances could deadlock."""
        return self.order_by("pk").select_for_update(
            of=("self",), no_key=True, skip_locked=skip_locked
        )


class Instance(models.Model):
    id = models.UUIDField("ID", primary_key=True, default=uuid.uuid4, editable=False)
    # Their own indexes would cost at every verb; the partial ones below serve the queries there
    # are.
    account = models.ForeignKey(
        Account, models.PROTECT, related_name="instances", verbose_name=_("account"), db_index=False
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
    # Empty: that of its end.
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
    # Where the time in the bin comes from: "standard", "account", "rule KEY=VALUE" or "extended
    # NAME".
    retention = models.CharField(_("retention"), max_length=420, blank=True)
    purged_at = models.DateTimeField(_("deleted for good"), null=True, blank=True)

    # Switched on, nobody and nothing deletes it.
    protected = models.BooleanField(_("protected"), default=False)
    # Under legal hold it may lie in the bin, but is never deleted for good.
    held_at = models.DateTimeField(_("held since"), null=True, blank=True)
    held_by = models.CharField(_("held by"), max_length=150, blank=True)
    hold_reason = models.CharField(
        _("reason of the hold"), max_length=200, blank=True, validators=[check_text]
    )
    hold_review_on = models.DateField(_("review of the hold"), null=True, blank=True)

    # Of scheduled work that failed on this row: when it is tried again, how often it was, and what
    # was said.
    retry_at = models.DateTimeField(_("next try"), null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(_("failed attempts"), default=0)
    last_error = models.CharField(_("last error"), max_length=200, blank=True)

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
                condition=Q(billing_mode=BillingMode.MONTHLY, expires_at__isnull=False)
                | (~Q(billing_mode=BillingMode.MONTHLY) & Q(expires_at=None)),
                name="instance_expires_if_subscription",
            ),
            models.CheckConstraint(
                condition=~Q(state=State.EXPIRED) | Q(billing_mode=BillingMode.MONTHLY),
                name="instance_only_subscriptions_expire",
            ),
            models.CheckConstraint(
                condition=Q(no_fees=False)
                | Q(state=State.STOPPED, billing_mode=BillingMode.HOURLY),
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
        ]
        indexes = [
            # The sweep: due_for_purge, over all accounts. What may not go is not even looked at.
            models.Index(
                fields=["purge_at", "id"],
                name="instance_due",
                condition=Q(state__in=WAITING, held_at=None, protected=False),
            ),
            # Both tabs of the recycle bin, soonest first.
            models.Index(
                fields=["account", "state", "purge_at", "id"],
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
            # The schedule: due_to_expire.
            models.Index(
                fields=["expires_at", "id"],
                name="instance_expiring",
                condition=Q(state__in=IN_USE, expires_at__isnull=False),
            ),
            # The schedule: purged_before.
            models.Index(
                fields=["purged_at", "id"], name="instance_purged", condition=Q(state=State.PURGED)
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def family(self) -> str:
        return self.instance_type_id.partition(".")[0]

    @property
    def status(self) -> str:
        """The state in words, telling the two ways of being stopped apart."""
        return str(NO_FEES_LABEL if self.no_fees else State(self.state).label)

    @property
    def kept(self) -> str:
        """Where its time in the bin comes from; empty where it is in none."""
        if self.state != State.RECYCLED or self.purge_at is None or self.recycled_at is None:
            return ""
        return kept_label(self.retention, self.purge_at - self.recycled_at)

    @property
    def waits_since(self) -> datetime | None:
        """When the time that ends at `purge_at` began."""
        return self.recycled_at if self.state == State.RECYCLED else self.expires_at
