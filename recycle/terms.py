"""Terms of subscriptions: calendar months, counted where the account is billed. A pure function, no
queries.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta


@dataclass(frozen=True, slots=True)
class Term:
    """Until when a subscription is paid for, and the day of the month on which its terms end."""

    expires_at: datetime
    anchor_day: int


def term(begins_at: datetime, months: int, zone: ZoneInfo, anchor_day: int | None = None) -> Term:
    """The term of so many calendar months that begins at `begins_at`.

    Months are those of `zone`: what ends on 1 March, half past midnight in Shanghai, ends a month
    later on 1 April, not a month after the 28 February that it still is in London. `anchor_day` (1
    to 31) is kept from term to term, so that one that began on 31 January ends on 28 February and
    then on 31 March. None, and a day that does not explain `begins_at` (an import moved it, or the
    zone was changed), mean the day of `begins_at`.

    OverflowError or ValueError beyond the year 9999.
    """
    begins = begins_at.astimezone(zone)
    shortened = anchor_day is not None and min(anchor_day, monthrange(begins.year, begins.month)[1])
    if anchor_day is None or begins.day != shortened:
        anchor_day = begins.day
    ends = begins + relativedelta(months=months, day=anchor_day)
    return Term(ends.astimezone(UTC), anchor_day)
