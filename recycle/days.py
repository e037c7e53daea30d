"""Days and hours as a person counts them, in the time zone of their browser.

They are computed here, and the database is told moments: which zones it knows, and by which names,
is its own affair.
"""

from datetime import MINYEAR, UTC, date, datetime, time, timedelta, tzinfo

from django.db.models import Q
from django.utils import timezone

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def begins(day: date, zone: tzinfo) -> datetime:
    """The first moment of the day, also where the clock is put forward at midnight."""
    try:
        return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)
    except OverflowError:
        # The first and the last day that there are begin, somewhere, beyond what can be told.
        return EARLIEST if day.year == MINYEAR else LATEST


def within(field: str, first: date | None, last: date | None) -> Q:
    """Match a moment in `field` between these days, both included, in the zone of this request.

    None leaves that side open.
    """
    zone = timezone.get_current_timezone()
    condition = Q()
    if first:
        condition &= Q(**{f"{field}__gte": begins(first, zone)})
    if last and last < date.max:
        condition &= Q(**{f"{field}__lt": begins(last + DAY, zone)})
    return condition


def next_hours(now: datetime, number: int) -> list[datetime]:
    """The hours from the present one on by their first moments, and the end of the last."""
    local = timezone.localtime(now)
    first = local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    return [first + index * HOUR for index in range(number + 1)]


def next_days(now: datetime, number: int) -> list[datetime]:
    """The days from today on by their first moments, and the end of the last. Some have 23 or 25
    hours.
    """
    zone, today = timezone.get_current_timezone(), timezone.localdate(now)
    return [begins(today + index * DAY, zone) for index in range(number + 1)]
