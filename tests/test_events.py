"""What every event says: who did it, when, why, through what, by which request."""

from uuid import uuid4

import pytest

from recycle import actions
from recycle.models import AuditEvent, Edge, Event, Instance, Origin
from tests.conftest import acting
from tests.deeds import ACTIONS, DEEDS

pytestmark = [pytest.mark.django_db, pytest.mark.both]

# Of these nothing is told in either log: what a session or the list of a job was is not, the
# instance's own end is, and an import says on the command line what it has done.
SILENT = {
    "inventory.import_inventory",
    "jobs.forget_job_items",
    "schedule.forget_tombstones",
    "sessions.clear_sessions",
    "sessions.end_sessions",
}
# These say why in a word of their own, or in which batch.
REASONS = {"undo.undo": "undo"}
# What a pass does for a batch job is done in the name of who asked for it, whoever calls the pass
# (tests/test_jobs.py).
FOR_OTHERS = {"jobs.carry_out_jobs"}


@pytest.mark.parametrize("name", sorted(set(ACTIONS) - FOR_OTHERS))
def test_every_event_of_every_action_says_all_of_it(alice, world, now, name):
    unattended = name.startswith("schedule.")
    by, edge = (None, Edge.SCHEDULE) if unattended else (alice, Edge.API)
    origin = Origin("203.0.113.7", uuid4())
    deed = DEEDS[name]
    context = acting(by, now, reason=deed.reason or "because", edge=edge, origin=origin)
    before = set(Event.objects.values_list("pk", flat=True))

    ACTIONS[name](*deed.about(world), **deed.options, context=context)

    written = [*Event.objects.exclude(pk__in=before), *AuditEvent.objects.all()]
    assert bool(written) is (name not in SILENT)
    batches = {"create.create": world.order.token, "jobs.cancel": world.job.pk}
    batch = batches.get(name, context.batch)
    for event in written:
        assert (event.by, event.by_name, event.at, event.edge) == (
            by,
            by.get_username() if by else "",
            now,
            edge,
        )
        assert (event.address, event.request_id) == (origin.address, origin.request_id)
        if isinstance(event, Event):
            reason = REASONS.get(name, context.reason)
            assert (event.batch, event.reason) == (batch, reason)


def test_the_operation_log_says_through_what_when_it_was_no_page(client, alice, make_instance):
    for edge in (Edge.PAGE, Edge.ADMIN, Edge.API):
        instance = make_instance(name=f"by-{edge}")
        only = Instance.objects.filter(pk=instance.pk)
        actions.stop(only, context=acting(alice, edge=edge))
    client.force_login(alice)

    text = client.get("/operation-log/").text

    assert "<small>Admin</small>" in text
    assert "<small>API</small>" in text
    assert "<small>Page</small>" not in text


def test_what_nobody_did_says_what_did_it(client, alice, make_instance, now):
    make_instance("recycled", recycled_at=now, purge_at=now)
    actions.purge_due(context=acting(None, now))
    client.force_login(alice)

    assert ">Schedule<" in client.get("/operation-log/").text
    Event.objects.update(edge=Edge.COMMAND)
    assert ">Command line<" in client.get("/operation-log/").text
    # As it was before the edge was kept.
    Event.objects.update(edge=None)
    assert ">Schedule<" in client.get("/operation-log/").text
