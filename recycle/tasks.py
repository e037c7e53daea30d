"""The schedule. Every task may run twice, or two at a time; what a pass does not finish, the next
one finds.
"""

import logging

from celery import shared_task

from recycle import actions
from recycle.actions import Context
from recycle.clock import clock
from recycle.models import Edge

logger = logging.getLogger(__name__)


@shared_task
def expire_due() -> None:
    outcome = actions.expire_due(context=_context())
    if outcome.done or outcome.failed:
        logger.info("expired %d, failed %d", len(outcome.done), len(outcome.failed))


@shared_task
def purge_due() -> None:
    context = _context()
    if not _may_delete():
        return
    outcome = actions.purge_due(context=context)
    if outcome.done or outcome.failed:
        logger.info("purged %d, failed %d", len(outcome.done), len(outcome.failed))


@shared_task
def delete_due() -> None:
    context = _context()
    # What has no bin is deleted for good.
    if not _may_delete():
        return
    outcome = actions.delete_due(context=context)
    if outcome.done or outcome.failed:
        logger.info("deleted %d, failed %d", len(outcome.done), len(outcome.failed))


@shared_task
def carry_out_jobs() -> None:
    actions.carry_out_jobs(context=_context())


@shared_task
def forget_tombstones() -> None:
    context = _context()
    if not _may_delete():
        return
    if forgotten := actions.forget_tombstones(context=context).done:
        logger.info("forgot %d tombstones", len(forgotten))
    if items := actions.forget_job_items(context=context).done:
        logger.info("forgot %d items of batch jobs", len(items))


@shared_task
def clear_sessions() -> None:
    if cleared := actions.clear_sessions(context=_context()).done:
        logger.info("cleared %d sessions", len(cleared))


def _context() -> Context:
    return Context(by=None, now=clock.ask(), edge=Edge.SCHEDULE)


def _may_delete() -> bool:
    """Whether this machine and the database agree on what time it is, so that what is deleted for
    good is due. Other machines go on.
    """
    if trusted := clock.is_trusted():
        return trusted
    logger.error(
        "The clock of this machine is %.1f s ahead of the database's. One of the two is wrong: "
        "nothing is deleted for good from here until they agree.",
        clock.skew().total_seconds(),
    )
    return False
