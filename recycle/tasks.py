"""The schedule. Every task may run twice, or two at a time; what a pass does not finish, the next
one finds.
"""

import logging

from celery import shared_task

from recycle import actions

logger = logging.getLogger(__name__)


@shared_task
def expire_due() -> None:
    outcome = actions.expire_due()
    if outcome.done or outcome.failed:
        logger.info("expired %d, failed %d", len(outcome.done), len(outcome.failed))


@shared_task
def purge_due() -> None:
    outcome = actions.purge_due()
    if outcome.done or outcome.failed:
        logger.info("purged %d, failed %d", len(outcome.done), len(outcome.failed))


@shared_task
def forget_tombstones() -> None:
    if forgotten := actions.forget_tombstones():
        logger.info("forgot %d tombstones", forgotten)


@shared_task
def clear_sessions() -> None:
    if cleared := actions.clear_sessions():
        logger.info("cleared %d sessions", cleared)
