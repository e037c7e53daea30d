"""What pages say in words about times and rules: each sentence is made in one place, from the
tables.
"""

from collections.abc import Iterable
from datetime import timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from recycle.policy import POLICIES, STANDARDS, BillingMode, Refusal, RetentionKind, Subject


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


def tag_label(key: str, value: str) -> str:
    """A tag as people write it: KEY=VALUE, or KEY where it has no value."""
    return f"{key}={value}" if value else key


def retention_label(kind: str, subject: str, keep_for: timedelta) -> str:
    """How long something is kept in the bin and why: "standard, 2 hours", "rule env=prod,
    7 days". Kind and subject are those of `policy.Retention`.
    """
    if kind == RetentionKind.RULE:
        key, _line, value = subject.partition("\n")
        why = _("rule %(tag)s") % {"tag": tag_label(key, value)}
    elif kind == RetentionKind.EXTENDED:
        why = _("extended by %(name)s") % {"name": subject}
    else:
        why = str(RetentionKind(kind).label)
    return _("%(basis)s, %(duration)s") % {"basis": why, "duration": duration_label(keep_for)}


def standard_label() -> str:
    """How long the bin keeps by itself: "2 hours", or the time of each billing mode where they
    differ.
    """
    if len(set(STANDARDS.values())) == 1:
        return duration_label(next(iter(STANDARDS.values())))
    return ", ".join(
        f"{BillingMode(mode).label} {duration_label(time)}" for mode, time in STANDARDS.items()
    )


def outlook(billing_modes: Iterable[str]) -> str:
    """What becomes of instances of these billing modes when they are deleted and when they
    expire.
    """
    # A Chinese sentence begins where the last one ends, without a space.
    return " ".join(map(_outlook, billing_modes)).replace("。 ", "。")


def _outlook(billing_mode: str) -> str:
    policy, mode = POLICIES[billing_mode], BillingMode(billing_mode).label
    if not policy.deletable:
        deleted = _("A %(mode)s instance cannot be deleted.") % {"mode": mode}
    elif policy.keep_for is None:
        deleted = _("A deleted %(mode)s instance is released at once, for good.") % {"mode": mode}
    else:
        deleted = _("A deleted %(mode)s instance waits in the recycle bin for %(time)s.") % {
            "mode": mode,
            "time": duration_label(policy.keep_for),
        }
    return f"{deleted} {_expiry(billing_mode)}".rstrip()


def _expiry(billing_mode: str) -> str:
    """How long an instance outlives its expiry; empty where it does not expire."""
    kept = POLICIES[billing_mode].keep_expired_for
    if kept is None:
        return ""
    return _("It is kept for %(time)s after it expires.") % {"time": duration_label(kept)}


def refusal_label(refusal: Refusal, instance: Subject) -> str:
    """The refusal in words, with the times that this instance's billing mode gives it."""
    if refusal is Refusal.TOO_YOUNG:
        min_age = POLICIES[instance.billing_mode].min_age
        return _("It can be deleted once it is more than %(time)s old.") % {
            "time": duration_label(min_age)
        }
    if refusal is Refusal.SUBSCRIPTION:
        return f"{refusal.label} {_expiry(instance.billing_mode)}".replace("。 ", "。").rstrip()
    return str(refusal.label)
