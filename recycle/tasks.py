"""The schedule. Every task may run twice, or two at a time; what a pass does not finish, the next
one finds.
"""

import logging

from celery import shared_task
from django.utils import timezone

from recycle import actions
from recycle.actions import Context
from recycle.models import Edge

logger = logging.getLogger(__name__)


@shared_task
def expire_due() -> None:
    outcome = actions.expire_due(context=_context())
    if outcome.done or outcome.failed:
        logger.info("expired %d, failed %d", len(outcome.done), len(outcome.failed))


@shared_task
def purge_due() -> None:
    outcome = actions.purge_due(context=_context())
    if outcome.done or outcome.failed:
        logger.info("purged %d, failed %d", len(outcome.done), len(outcome.failed))


@shared_task
def forget_tombstones() -> None:
    if forgotten := actions.forget_tombstones(context=_context()).done:
        logger.info("forgot %d tombstones", len(forgotten))


@shared_task
def clear_sessions() -> None:
    if cleared := actions.clear_sessions(context=_context()).done:
        logger.info("cleared %d sessions", len(cleared))


def _context() -> Context:
    return Context(by=None, now=timezone.now(), edge=Edge.SCHEDULE)
