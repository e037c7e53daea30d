"""Any verbs by anybody in any order, the schedule, and the clock: after each step all promises
still hold.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models import F
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from recycle import actions
from recycle.actions import Context, Outcome
from recycle.actions.resources import addresses, balancers, tags, volumes
from recycle.lifecycle import Action, ResourceAction
from recycle.models import (
    Account,
    ElasticIP,
    Event,
    Instance,
    InstanceTag,
    InstanceType,
    Listener,
    LoadBalancer,
    RealServer,
    RetentionRule,
    Tag,
    User,
    Volume,
    Zone,
)
from recycle.policy import BillingMode, Refusal, Role, why_not, why_not_no_fees
from tests.conftest import SUBNET, acting, make_user

pytestmark = [pytest.mark.slow, pytest.mark.django_db, pytest.mark.both]

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
KINDS: dict[str, type[Any]] = {
    "eips": ElasticIP,
    "volumes": Volume,
    "real_servers": RealServer,
    "tags": InstanceTag,
}
VOLUME = ("pk", "instance", "delete_with_instance")

# Said once more and in other words than the product's own tables.
BECOMES = {
    "start": "active",
    "renew": "active",
    "stop": "stopped",
    "restart": "active",
    "recycle": "recycled",
    "release": "purged",
    "expire": "expired",
    "restore": "stopped",
    "purge": "purged",
}
# These leave it in the state it is in.
STAYS = {"extend", "protect", "unprotect", "hold", "unhold", "retry"}
IN_USE = {"active", "stopped"}
LIVING = IN_USE | {"expired"}
QUARTER = timedelta(minutes=15)
STANDARD = 2 * HOUR
# Billing mode and type of what is there from the start; one of each, and two that can go to the
# bin.
FLEET = [
    (BillingMode.DAILY, "N3.2B"),
    (BillingMode.DAILY, "S6.4A"),
    (BillingMode.HOURLY, "N3.2B"),
    (BillingMode.HOURLY, "S6.4A"),
    (BillingMode.MONTHLY, "N3.2B"),
]
ADDRESSES = [f"10.20.0.{number}" for number in range(1, 11)]

Rows = dict[UUID, dict[str, Any]]
# The ids of what is bound to an instance, by kind.
Bound = dict[str, set[Any]]
# Which instances a request names, counted from the oldest: all, some, or none.
ALL = frozenset(range(30))
some = st.sampled_from(
    [ALL, ALL, ALL, {0, 1}, {0}, {1, 2}, {2, 3}, {4}, {0, 4, 5}, {6, 7, 8}, {1, 6}, frozenset()]
)
somebody = st.sampled_from([*["alice"] * 10, *["oscar"] * 5, "victor", "mallory", "nobody"])
a_while = st.sampled_from(
    [
        MOMENT,
        timedelta(minutes=1),
        QUARTER,
        timedelta(minutes=50),
        HOUR,
        HOUR + MOMENT,
        2 * HOUR,
        DAY,
        8 * DAY,
        91 * DAY,
    ]
)
around = st.sampled_from([-MOMENT, timedelta(0), MOMENT])
verbs = st.sampled_from(
    [
        *(
            actions.delete,
            actions.delete,
            actions.delete,
            actions.restore,
            actions.restore,
            actions.restore,
        ),
        *(actions.start, actions.stop, actions.restart, actions.renew, actions.purge),
        *(actions.extend, actions.protect, actions.protect, actions.unprotect),
        *(actions.hold, actions.unhold, actions.unhold),
    ]
)
# How much longer an extension is, by the months that a renewal would be for.
LONGER = {1: HOUR, 12: 7 * DAY, 36: 29 * DAY}
pauses = st.sampled_from([*[timedelta(0)] * 6, timedelta(minutes=1), HOUR, HOUR + MOMENT, 2 * HOUR])
# Who asks for what, of which, whether they are sure, for how many months, and how long after the
# one before.
requests = st.lists(
    st.tuples(verbs, some, somebody, st.booleans(), st.sampled_from([1, 12, 36]), pauses),
    min_size=4,
    max_size=8,
)

# Which instance, what kind of thing, who asks for what, and whether they are sure: to unbind it
# first, and so on.
bindings = st.lists(
    st.tuples(
        st.integers(0, 7),
        st.sampled_from([*KINDS, "volumes", "eips"]),
        somebody,
        st.sampled_from(["bind", "bind", "unbind", "unbind", "remove"]),
        st.booleans(),
    ),
    min_size=3,
    max_size=8,
)
protection, legal_hold = (actions.protect, actions.unprotect), (actions.hold, actions.unhold)
suspensions = st.sampled_from(
    [[protection], [legal_hold], [protection, legal_hold], [legal_hold, protection]]
)


class Machine(RuleBasedStateMachine):
    """A small region with two accounts; every example starts from it and is rolled back."""

    def __init__(self) -> None:
        super().__init__()
        self.undone = transaction.atomic()
        self.undone.__enter__()
        self.now = START
        self.number = 0
        # What has to be there still, and what was promised to owners.
        self.eips: set[UUID] = set()
        self.volumes: set[UUID] = set()
        # Attached to go with their instance; detached before its end, they stay.
        self.goes: set[UUID] = set()
        self.promised: dict[UUID, datetime] = {}
        self.left: set[UUID] = set()
        self.lengthened: set[UUID] = set()
        self.events = 0

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undone.__exit__(None, None, None)

    @initialize()
    def build(self) -> None:
        self.users = {user.username: user for user in User.objects.all()}
        self.account = Account.objects.get(name="Acme Research")
        for mode, shape in FLEET:
            self._make(self.account, mode, shape, age=DAY)
        self._make(Account.objects.get(name="Mallory's"), BillingMode.DAILY, "N3.2B", age=DAY)
        for instance in Instance.objects.order_by("created_at", "pk"):
            for kind in KINDS:
                self._bind(kind, instance)

    # --- The clock --------------------------------------------------------------------------------

    @rule(delta=a_while)
    def wait(self, delta: timedelta) -> None:
        self.now += delta

    @rule(
        off=around, deadline=st.sampled_from(["purge_at", "purge_at", "expires_at", "created_at"])
    )
    def wait_for_a_deadline(self, off: timedelta, deadline: str) -> None:
        """Promises break at the edges: a moment before, on, or after the next thing that has a
        time.
        """
        edges = [row[deadline] + off for row in self._rows().values() if row[deadline] is not None]
        if deadline == "created_at":
            edges = [edge + HOUR for edge in edges]
        self.now = min((edge for edge in edges if edge > self.now), default=self.now)

    # --- What people do ---------------------------------------------------------------------------

    @rule(requests=requests)
    def ask_more(
        self, requests: list[tuple[Any, Collection[int], str, bool, int, timedelta]]
    ) -> None:
        """Twice as often as any other rule: most promises are about what people ask for."""
        self.ask(requests)

    @rule(requests=requests)
    def ask(self, requests: list[tuple[Any, Collection[int], str, bool, int, timedelta]]) -> None:
        for *request, pause in requests:
            self.now += pause
            self._ask(*request)

    def _ask(self, verb: Any, picked: Collection[int], who: str, sure: bool, months: int) -> None:
        """`sure`: stop with no fees, and release what has no bin."""

        def also(instance: Instance) -> Refusal | None:
            if verb is actions.stop and sure:
                return why_not_no_fees(instance)
            if verb is actions.delete and not sure and instance.billing_mode == BillingMode.HOURLY:
                return Refusal.UNCONFIRMED
            if verb is actions.extend and instance.purge_at and instance.recycled_at:
                over = instance.purge_at + LONGER[months] > instance.recycled_at + 30 * DAY
                return Refusal.NO_LONGER if over else None
            return None

        options: dict[Any, dict[str, Any]] = {
            actions.stop: {"no_fees": sure},
            actions.delete: {"may_release": sure},
            actions.renew: {"months": months},
            actions.extend: {"longer": LONGER[months]},
            actions.hold: {"review_on": (self.now + 30 * DAY).date() if sure else None},
        }
        named = [pk for number, pk in enumerate(self._rows()) if number in picked]
        by = User.objects.get(username=who)
        action = Action(verb.__name__)
        expected: dict[UUID, Refusal | None] = {}
        for instance in Instance.objects.filter(pk__in=named):
            role = by.role_in(instance.account_id)
            expected[instance.pk] = why_not(action, instance, role=role, now=self.now) or also(
                instance
            )

        def act(**dry_run: bool) -> Outcome:
            instances = Instance.objects.filter(pk__in=named)
            outcome: Outcome = verb(
                instances,
                context=acting(by, self.now, reason="drill"),
                **options.get(verb, {}),
                **dry_run,
            )
            return outcome

        foretold = act(dry_run=True)
        assert {each.id for each in foretold.done} == {
            pk for pk, refusal in expected.items() if refusal is None
        }
        assert {each.id: each.refusal for each in foretold.refused} == {
            pk: refusal for pk, refusal in expected.items() if refusal is not None
        }
        self._check(action, expected, act, by)

    @rule(picked=some, kinds=st.sets(st.sampled_from(sorted(KINDS)), min_size=1))
    def bind(self, picked: Collection[int], kinds: set[str]) -> None:
        """Only what is in use can be bound."""
        for number, instance in enumerate(Instance.objects.order_by("created_at", "pk")):
            if number in picked and instance.state in IN_USE:
                for kind in sorted(kinds):
                    self._bind(kind, instance)

    @rule(requests=bindings)
    def bind_and_unbind(self, requests: list[tuple[int, str, str, str, bool]]) -> None:
        """By the actions: whatever is free or not, to whatever state the instance is in."""
        for number, kind, who, what, sure in requests:
            context = acting(User.objects.get(username=who), self.now)
            instances = list(Instance.objects.order_by("created_at", "pk"))
            self._resources(kind, what, instances[number % len(instances)], context, sure)

    @rule(suspended=suspensions, run_out=st.booleans(), off=around)
    def outlive_the_end(
        self, suspended: list[tuple[Any, Any]], run_out: bool, off: timedelta
    ) -> None:
        """Suspend what waits, let its end go by, let go of it, and come by when its quarter of an
        hour is over.
        """
        if run_out:
            ends = [
                row["expires_at"]
                for row in self._rows().values()
                if row["state"] in IN_USE and row["expires_at"]
            ]
            self.now = max([self.now, *ends])
            self.sweep(1000)
        for begin, _end in suspended:
            self._ask(begin, ALL, "alice", True, 1)
        self.now = max(
            [self.now, *(row["purge_at"] + off for row in self._rows().values() if row["purge_at"])]
        )
        self.sweep(1000)
        for _begin, end in suspended:
            self._ask(end, ALL, "alice", True, 1)
        self.every_promise_holds()
        self.now += QUARTER + off
        self.sweep(1000)

    def _resources(
        self, kind: str, what: str, instance: Instance, context: Context, sure: bool
    ) -> None:
        before, bound, events = self._rows(), self._pairs(), Event.objects.count()

        outcome = self._act(kind, what, instance, context, sure)

        now_bound = self._pairs()
        came, went = now_bound - bound, bound - now_bound
        done: set[Any] = {each.id for each in outcome.done}
        assert outcome.failed == []
        # Nothing is taken away from anybody else, and only what is in use gets anything.
        assert {pair[1] for pair in came | went} <= {instance.pk}
        assert not (came and went)
        assert not came or (what == "bind" and instance.state in IN_USE)
        assert not went or (what != "bind" and instance.state in LIVING)
        assert not done or context.may(ResourceAction.BIND, instance.account_id)
        assert len(came | went) == len(done)
        # What is deleted is taken off first, which is an event of its own; the other two kinds are
        # only taken off.
        removed = what == "remove" and kind in ("volumes", "eips")
        written = len(done) + (len(went) if removed else 0)
        assert Event.objects.count() == events + written
        self.events += written
        for pk, row in self._rows().items():
            touched = {"changed_at": self.now} if pk == instance.pk and came | went else {}
            assert row == before[pk] | touched
        if kind == "volumes" and what == "bind":
            self.goes = self.goes - done | (done if sure else set())
        if removed:
            self.volumes -= done
            self.eips -= done

    def _act(
        self, kind: str, what: str, instance: Instance, context: Context, sure: bool
    ) -> Outcome:
        free_first = F("instance").asc(nulls_first=True)
        itself = Instance.objects.filter(pk=instance.pk)
        if kind == "real_servers" and what == "bind":
            return balancers.register(
                Listener.objects.get(), itself, port=9000 + sure, context=context
            )
        if kind == "tags" and what == "bind":
            return tags.add(Tag.objects.filter(account=self.account)[0], itself, context=context)
        rows = KINDS[kind].objects.order_by(free_first, "pk")
        if what == "bind":
            rows = rows[:3]
            if kind == "volumes":
                return volumes.attach(rows, instance, context=context, delete_with_instance=sure)
            return addresses.associate(rows, instance, context=context)
        rows = rows.filter(instance=instance)
        if what == "remove" and kind == "volumes":
            return volumes.remove(rows[:1], context=context, unbind=sure)
        if what == "remove" and kind == "eips":
            return addresses.remove(rows[:1], context=context, unbind=sure)
        unbind: dict[str, Callable[..., Outcome]] = {
            "volumes": volumes.detach,
            "eips": addresses.disassociate,
            "real_servers": balancers.deregister,
            "tags": tags.take_off,
        }
        return unbind[kind](rows, context=context)

    @rule(
        account=st.sampled_from([None, HOUR, DAY, 30 * DAY]),
        rules=st.dictionaries(
            st.sampled_from(["", "prod", "test"]),
            st.sampled_from([None, HOUR, 7 * DAY]),
            max_size=2,
        ),
    )
    def legislate(self, account: timedelta | None, rules: dict[str, timedelta | None]) -> None:
        """An administrator says anew how long things are kept: for what is deleted from now on."""
        Account.objects.filter(pk=self.account.pk).update(keep_for=account)
        RetentionRule.objects.all().delete()
        for value, keep_for in rules.items():
            RetentionRule.objects.create(
                account=self.account, key="env", value=value, keep_for=keep_for
            )

    @rule(pick=st.integers(0, 7))
    def rename(self, pick: int) -> None:
        """Touching a row moves no clock."""
        for instance in Instance.objects.order_by("created_at", "pk")[pick : pick + 1]:
            instance.name += "*"
            instance.save(update_fields=["name", "name_folded"])

    @precondition(lambda self: self.number < 14)
    @rule(made=st.sampled_from(FLEET), address=st.sampled_from(ADDRESSES))
    def launch(self, made: tuple[str, str], address: str) -> None:
        """The private IP of the living and the binned is taken, that of the purged is free."""
        free = all(
            row["private_ip"] != address or row["state"] == "purged"
            for row in self._rows().values()
        )
        if free:
            self._make(self.account, *made, age=timedelta(0), private_ip=address)

    # --- What happens by itself -------------------------------------------------------------------

    @rule(limit=st.sampled_from([1, 2, 1000, 1000]))
    def sweep(self, limit: int) -> None:
        run_out = self._due("expires_at", IN_USE)[:limit]
        self._check(
            Action.EXPIRE,
            dict.fromkeys(run_out),
            lambda: actions.expire_due(limit=limit, context=acting(None, self.now)),
            None,
        )
        due = self._due("purge_at", {"recycled", "expired"})[:limit]
        self._check(
            Action.PURGE,
            dict.fromkeys(due),
            lambda: actions.purge_due(limit=limit, context=acting(None, self.now)),
            None,
        )
        self._check_forgotten()

    # --- What always holds ------------------------------------------------------------------------

    @invariant()
    def every_promise_holds(self) -> None:
        rows = self._rows()
        self._times_follow_the_state(rows)
        self._no_deadline_has_moved(rows)
        self._nothing_protected_is_in_the_bin_and_nothing_held_is_gone(rows)
        self._nothing_is_bound_to_what_is_in_the_bin_or_gone(rows)
        self._eips_and_volumes_are_still_there()
        self._private_ips_are_held_once(rows)
        events = list(Event.objects.order_by("pk"))
        self._events_are_one_unbroken_chain_for_each_instance(rows, events)
        self._nobody_acted_in_an_account_they_do_not_operate(events)

    def _times_follow_the_state(self, rows: Rows) -> None:
        for row in rows.values():
            waits = row["state"] in ("recycled", "expired")
            if row["state"] != "purged":
                assert (row["purge_at"] is not None) == waits
                assert (row["recycled_at"] is not None) == (row["state"] == "recycled")
            assert (row["purged_at"] is not None) == (row["state"] == "purged")
            assert not row["no_fees"] or (
                row["state"] == "stopped" and row["billing_mode"] == BillingMode.HOURLY
            )
            if row["state"] == "recycled":
                assert row["billing_mode"] == BillingMode.DAILY
                assert row["purge_at"] >= row["recycled_at"] + STANDARD
                assert row["retention_kind"]
            if row["state"] == "expired":
                assert row["purge_at"] >= row["expires_at"] + 7 * DAY

    def _no_deadline_has_moved(self, rows: Rows) -> None:
        waiting = {
            pk: row["purge_at"]
            for pk, row in rows.items()
            if row["state"] in ("recycled", "expired")
        }
        for pk in waiting.keys() & self.promised.keys():
            # Out of the bin and into it again within one step is another entry, later than the
            # first.
            moved = waiting[pk] - self.promised[pk]
            assert not moved or pk in self.left or (pk in self.lengthened and moved > timedelta(0))
        self.promised, self.left, self.lengthened = waiting, set(), set()

    def _nothing_protected_is_in_the_bin_and_nothing_held_is_gone(self, rows: Rows) -> None:
        for row in rows.values():
            assert not row["protected"] or row["state"] in LIVING
            assert row["held_at"] is None or (
                row["state"] != "purged" and row["hold_reason"] == "drill"
            )
            assert (row["held_at"] is None) == (row["held_by"] == "")

    def _nothing_is_bound_to_what_is_in_the_bin_or_gone(self, rows: Rows) -> None:
        unbound = {pk for pk, row in rows.items() if row["state"] in ("recycled", "purged")}
        for bound in self._bound().values():
            assert not unbound & bound.keys()

    def _eips_and_volumes_are_still_there(self) -> None:
        volumes = {
            pk: (instance, goes) for pk, instance, goes in Volume.objects.values_list(*VOLUME)
        }
        assert set(ElasticIP.objects.values_list("pk", flat=True)) == self.eips
        assert volumes.keys() == self.volumes
        assert (None, True) not in volumes.values()

    def _private_ips_are_held_once(self, rows: Rows) -> None:
        held = Counter(row["private_ip"] for row in rows.values() if row["state"] != "purged")
        assert all(count == 1 for count in held.values())

    def _events_are_one_unbroken_chain_for_each_instance(
        self, rows: Rows, events: list[Event]
    ) -> None:
        assert len(events) == self.events
        chains: dict[UUID, list[Event]] = defaultdict(list)
        for event in events:
            # What is bound and unbound moves nothing.
            if event.from_state and event.instance_id:
                chains[event.instance_id].append(event)
        for chain in chains.values():
            assert chain[0].from_state == "active"
            assert [event.from_state for event in chain[1:]] == [
                event.to_state for event in chain[:-1]
            ]
            assert [event.at for event in chain] == sorted(event.at for event in chain)
        for pk, row in rows.items():
            assert row["state"] == (chains[pk][-1].to_state if pk in chains else "active")

    def _nobody_acted_in_an_account_they_do_not_operate(self, events: list[Event]) -> None:
        for event in events:
            assert event.by_name in (
                {"alice", "oscar", ""} if event.account_id == self.account.pk else {"mallory", ""}
            )
            assert (event.by_id is None) == (event.by_name == "")
            assert event.by_id or event.action in ("purge", "expire")
            assert event.action not in ("purge", "hold", "unhold") or event.by_name != "oscar"

    # --- How each step is looked at ---------------------------------------------------------------

    def _rows(self) -> Rows:
        return {
            row["id"]: dict(row) for row in Instance.objects.order_by("created_at", "pk").values()
        }

    def _due(self, deadline: str, states: set[str]) -> list[UUID]:
        rows = (row for row in self._rows().values() if row["state"] in states)
        due = [row for row in rows if row[deadline] is not None and row[deadline] <= self.now]
        if deadline == "purge_at":
            due = [row for row in due if not row["protected"] and row["held_at"] is None]
        return [row["id"] for row in sorted(due, key=lambda row: (row[deadline], row["id"].hex))]

    def _check(
        self, action: Action, expected: dict[UUID, Refusal | None], act: Any, by: User | None
    ) -> None:
        """What was foretold is what was done, to these and to no others, and each done one has its
        event.
        """
        before, bound, kept = self._rows(), self._bound(), self._kept()
        done = {pk for pk, refusal in expected.items() if refusal is None}

        outcome = act()

        after = self._rows()
        assert sorted(each.id for each in outcome.done) == sorted(done)
        assert {each.id: each.refusal for each in outcome.refused} == {
            pk: refusal for pk, refusal in expected.items() if refusal is not None
        }
        assert len(outcome.done) + len(outcome.refused) == len(expected)
        assert outcome.failed == []
        assert {pk: row for pk, row in after.items() if pk not in done} == {
            pk: row for pk, row in before.items() if pk not in done
        }
        self.events += len(done)
        events = {event.instance_id: event for event in Event.objects.filter(batch=outcome.batch)}
        assert events.keys() == done
        still_bound = self._bound() if done else bound
        for each in outcome.done:
            pk = each.id
            self._check_done(each.action, before[pk], after[pk], events[pk], by)
            if each.action == Action.RECYCLE:
                assert after[pk]["purge_at"] == self.now + kept[pk]
            was, still = (
                {kind: among[kind].get(pk, set()) for kind in KINDS}
                for among in (bound, still_bound)
            )
            self._check_bindings(each.action, was, still, events[pk])
            if after[pk]["state"] == "purged":
                self.volumes -= was["volumes"] & self.goes

    def _check_done(
        self,
        action: Action,
        before: dict[str, Any],
        after: dict[str, Any],
        event: Event,
        by: User | None,
    ) -> None:
        renewed_in_use = action == Action.RENEW and before["state"] in IN_USE
        target = before["state"] if renewed_in_use or action in STAYS else BECOMES[action]
        assert (after["state"], after["changed_at"]) == (target, self.now)
        kept = (
            "account_id",
            "zone_id",
            "instance_type_id",
            "name",
            "billing_mode",
            "private_ip",
            "created_at",
        )
        assert [after[field] for field in kept] == [before[field] for field in kept]
        assert (event.action, event.from_state, event.to_state) == (action, before["state"], target)
        assert (event.at, event.by, event.by_name) == (self.now, by, by.username if by else "")
        assert (event.instance_name, event.account_id) == (before["name"], before["account_id"])
        if action in (Action.RESTORE, Action.RENEW):
            suspended = before["protected"] or before["held_at"] is not None
            assert before["purge_at"] is None or before["purge_at"] > self.now or suspended
            self.left.add(before["id"])
        if action in (Action.RECYCLE, Action.RELEASE, Action.PURGE):
            assert not before["protected"]
        if action in (Action.RELEASE, Action.PURGE):
            assert before["held_at"] is None
        if action == Action.EXTEND:
            assert self.now < after["purge_at"] or before["held_at"] is not None
            assert before["purge_at"] < after["purge_at"] <= before["recycled_at"] + 30 * DAY
            self.lengthened.add(before["id"])
        if action in (Action.PROTECT, Action.UNPROTECT):
            protects = action == Action.PROTECT
            assert (before["protected"], after["protected"]) == (not protects, protects)
        if action in (Action.HOLD, Action.UNHOLD):
            holds = action == Action.HOLD
            assert (before["held_at"] is None, after["held_at"] is None) == (holds, not holds)
        if action in (Action.UNPROTECT, Action.UNHOLD) and before["purge_at"] is not None:
            assert after["purge_at"] in (before["purge_at"], self.now + QUARTER)
            assert after["purge_at"] >= self.now + QUARTER
            self.lengthened.add(before["id"])
        if action == Action.RECYCLE:
            assert (after["recycled_at"], after["recycled_by_id"]) == (self.now, by and by.pk)
            assert self.now > before["created_at"] + HOUR

    def _check_bindings(self, action: Action, was: Bound, still: Bound, event: Event) -> None:
        """What is cancelled is told in the event, and nothing else is; all other verbs leave
        bindings alone.
        """
        told = {kind: {row["id"] for row in event.detail.get(kind) or ()} for kind in KINDS}
        if action in (Action.RECYCLE, Action.RELEASE, Action.PURGE):
            assert told == {
                kind: {pk if kind == "tags" else str(pk) for pk in pks} for kind, pks in was.items()
            }
            assert not any(still.values())
        else:
            assert event.detail == {}
            assert still == was
        if action == Action.RESTORE:
            assert not any(still.values())

    def _kept(self) -> dict[UUID, timedelta]:
        """How long each would be kept in the bin: the longest there is, but with an exclusion the
        standard alone.
        """
        rules = list(RetentionRule.objects.values_list("account", "key", "value", "keep_for"))
        times = dict(Account.objects.values_list("pk", "keep_for"))
        has: dict[UUID, set[tuple[str, str]]] = defaultdict(set)
        for pk, key, value in InstanceTag.objects.values_list("instance", "tag__key", "tag__value"):
            has[pk] |= {(key, value), (key, "")}
        kept = {}
        for pk, row in self._rows().items():
            account = row["account_id"]
            own = [
                time for owner, *tag, time in rules if owner == account and tuple(tag) in has[pk]
            ]
            longer = [] if None in own else [time for time in (*own, times[account]) if time]
            kept[pk] = max([STANDARD, *longer])
        return kept

    def _pairs(self) -> set[tuple[str, UUID, Any]]:
        return {
            (kind, pk, each)
            for kind, listed in self._bound().items()
            for pk, ids in listed.items()
            for each in ids
        }

    def _bound(self) -> dict[str, dict[UUID, set[Any]]]:
        """By kind and instance, the ids of what is bound to it; a tag by the tag."""
        bound: dict[str, dict[UUID, set[Any]]] = {kind: defaultdict(set) for kind in KINDS}
        for kind, model in KINDS.items():
            identity = "tag" if kind == "tags" else "pk"
            for instance, pk in model.objects.exclude(instance=None).values_list(
                "instance", identity
            ):
                bound[kind][instance].add(pk)
        return bound

    def _check_forgotten(self) -> None:
        before = self._rows()
        old = {
            pk
            for pk, row in before.items()
            if row["purged_at"] and row["purged_at"] < self.now - 90 * DAY
        }

        forgotten = actions.forget_tombstones(context=acting(None, self.now))

        assert {done.id for done in forgotten.done} == old
        assert self._rows() == {pk: row for pk, row in before.items() if pk not in old}

    # --- Making things ----------------------------------------------------------------------------

    def _make(
        self, account: Account, mode: str, shape: str, *, age: timedelta, **fields: Any
    ) -> Instance:
        self.number += 1
        return Instance.objects.create(
            id=UUID(int=self.number * 0x9E3779B97F4A7C15 % (1 << 64)),
            account=account,
            zone_id="cn-beijing-6a",
            instance_type_id=shape,
            name=f"web-{self.number}",
            state="active",
            billing_mode=mode,
            subnet_id=SUBNET,
            **{"private_ip": f"10.10.0.{self.number}", **fields},
            created_at=self.now - age + self.number * MOMENT,
            changed_at=self.now,
            expires_at=self.now + 3 * DAY if mode == BillingMode.MONTHLY else None,
        )

    def _bind(self, kind: str, instance: Instance) -> None:
        self.number += 1
        common = {"account_id": instance.account_id, "instance": instance, "created_at": self.now}
        if kind == "eips":
            address = f"120.92.{self.number >> 8}.{self.number & 255}"
            eip = ElasticIP.objects.create(**common, region_id="cn-beijing-6", address=address)
            self.eips.add(eip.pk)
        elif kind == "volumes":
            goes = self.number % 2 == 0
            disk = {
                "zone_id": "cn-beijing-6a",
                "type": "SSD3.0",
                "size_gb": 40,
                "mount_point": "/dev/vdb",
            }
            volume = Volume.objects.create(**common, **disk, delete_with_instance=goes)
            self.volumes.add(volume.pk)
            self.goes |= {volume.pk} if goes else set()
        elif kind == "real_servers":
            listener = Listener.objects.get()
            port = 8000 + self.number
            RealServer.objects.create(
                listener=listener, instance=instance, address=instance.private_ip, port=port
            )
        else:
            tag, _ = Tag.objects.get_or_create(account=instance.account, key="env", value="prod")
            InstanceTag.objects.get_or_create(instance=instance, tag=tag)


@pytest.fixture
def region(zone: Zone, account: Account, now: datetime) -> None:
    for name, family in (("N3.2B", "N3"), ("S6.4A", "S6")):
        InstanceType.objects.create(name=name, family=family, vcpu=2, memory_gb=4)
    balancer = LoadBalancer.objects.create(
        account=account, region=zone.region, name="front", created_at=now
    )
    Listener.objects.create(load_balancer=balancer, protocol="TCP", port=80, created_at=now)
    for name, role in (
        ("alice", Role.ADMINISTRATOR),
        ("oscar", Role.OPERATOR),
        ("victor", Role.VIEWER),
    ):
        make_user(name, account, role)
    make_user("mallory", Account.objects.create(name="Mallory's"), Role.ADMINISTRATOR)
    User.objects.create_user("nobody")


def test_no_order_of_verbs_and_times_breaks_a_promise(region: None) -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            # Row by row there and back to a server costs more.
            max_examples=40 if connection.vendor == "sqlite" else 12,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
