"""What the database itself refuses, whoever writes: each impossible row is made, or tried."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction

from recycle.lifecycle import Action, State
from recycle.models import (
    Account,
    AuditEvent,
    BatchJob,
    ElasticIP,
    Instance,
    InstanceTag,
    InstanceType,
    JobItem,
    JobState,
    Listener,
    LoadBalancer,
    Membership,
    Project,
    ProjectRole,
    RealServer,
    RetentionRule,
    Tag,
    Volume,
    Zone,
)
from recycle.models.agreement import Agreement
from recycle.policy import BillingMode, Role

pytestmark = [pytest.mark.django_db, pytest.mark.both]

HOUR = timedelta(hours=1)
CONSTRAINTS = [
    (model._meta, constraint)
    for model in apps.get_app_config("recycle").get_models()
    for constraint in model._meta.constraints
]
UNIQUE = {
    constraint.name: (
        meta.db_table,
        [{f.name: f.column for f in meta.concrete_fields}[name] for name in constraint.fields],
    )
    for meta, constraint in CONSTRAINTS
    if isinstance(constraint, models.UniqueConstraint)
}


@contextmanager
def refused(*names):
    """The database refuses what happens inside, and names this constraint, or one of these."""
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        yield
    assert any(said_of(name) in str(caught.value) for name in names), caught.value


def said_of(name):
    """How the databases name a constraint: SQLite names a unique one by its columns."""
    if connection.vendor == "sqlite" and name in UNIQUE:
        table, columns = UNIQUE[name]
        return ", ".join(f"{table}.{column}" for column in columns)
    return name


@pytest.fixture
def job(account, alice, now):
    """A batch job of one instance."""
    about = {"account": account, "action": Action.STOP, "by": alice, "by_name": "alice"}
    return BatchJob.objects.create(total=1, created_at=now, turn_at=now, **about)


@pytest.fixture
def balancer(account, zone, now):
    return LoadBalancer.objects.create(
        account=account, region=zone.region, name="front", created_at=now
    )


@pytest.fixture
def listener(balancer, now):
    return Listener.objects.create(load_balancer=balancer, protocol="TCP", port=443, created_at=now)


@pytest.fixture
def other_zone(zone):
    return Zone.objects.create(code="cn-beijing-6b", region=zone.region)


@pytest.fixture
def make_volume(account, zone, now):
    def make(**fields):
        defaults = {
            "account": account,
            "zone": zone,
            "type": "SSD3.0",
            "size_gb": 40,
            "created_at": now,
        }
        return Volume.objects.create(**{**defaults, **fields})

    return make


def instance_rows():
    """The constraint, the state the instance is made in, its billing mode, and the values that do
    not go together.
    """
    daily, hourly, monthly = BillingMode.DAILY, BillingMode.HOURLY, BillingMode.MONTHLY
    follows, purged = "instance_bin_times_follow_state", "instance_purged_at_follows_state"
    subscription, no_fees = (
        "instance_expires_if_subscription",
        "instance_no_fees_only_while_stopped",
    )
    reason, kept = "instance_hold_has_a_reason", "instance_held_or_protected_is_never_purged"
    return [
        ("instance_billing_mode_is_known", State.ACTIVE, daily, {"billing_mode": "Peak"}),
        (follows, State.ACTIVE, daily, {"purge_at": HOUR}),
        (follows, State.STOPPED, daily, {"purge_at": HOUR}),
        (follows, State.ACTIVE, daily, {"recycled_at": -HOUR}),
        (follows, State.STOPPED, daily, {"recycled_at": -HOUR}),
        (follows, State.ACTIVE, daily, {"state": State.RECYCLED}),
        (follows, State.RECYCLED, daily, {"state": State.ACTIVE}),
        (follows, State.RECYCLED, daily, {"state": State.STOPPED}),
        (follows, State.RECYCLED, daily, {"purge_at": None}),
        (follows, State.RECYCLED, daily, {"recycled_at": None}),
        (follows, State.EXPIRED, monthly, {"purge_at": None}),
        (follows, State.EXPIRED, monthly, {"recycled_at": -HOUR}),
        (follows, State.EXPIRED, monthly, {"state": State.ACTIVE}),
        (purged, State.ACTIVE, daily, {"purged_at": HOUR}),
        (purged, State.RECYCLED, daily, {"purged_at": HOUR}),
        (purged, State.EXPIRED, monthly, {"purged_at": HOUR}),
        (purged, State.PURGED, daily, {"purged_at": None}),
        (purged, State.RECYCLED, daily, {"state": State.PURGED}),
        (
            "instance_ends_after_it_enters",
            State.RECYCLED,
            daily,
            {"recycled_at": HOUR, "purge_at": -HOUR},
        ),
        (subscription, State.ACTIVE, monthly, {"expires_at": None}),
        (subscription, State.ACTIVE, daily, {"expires_at": HOUR}),
        (subscription, State.ACTIVE, hourly, {"expires_at": HOUR}),
        (no_fees, State.ACTIVE, hourly, {"no_fees": True}),
        (no_fees, State.STOPPED, daily, {"no_fees": True}),
        (no_fees, State.STOPPED, monthly, {"no_fees": True}),
        (no_fees, State.RECYCLED, hourly, {"no_fees": True}),
        (reason, State.RECYCLED, daily, {"held_at": HOUR}),
        (reason, State.ACTIVE, daily, {"hold_reason": "case 12"}),
        (reason, State.ACTIVE, daily, {"held_at": HOUR, "hold_reason": ""}),
        (kept, State.PURGED, daily, {"protected": True}),
        (kept, State.PURGED, daily, {"held_at": HOUR, "hold_reason": "case 12"}),
        ("instance_protected_is_never_recycled", State.RECYCLED, daily, {"protected": True}),
    ]


@pytest.mark.parametrize(("name", "state", "billing_mode", "values"), instance_rows())
def test_an_instance_has_no_values_that_do_not_go_together(
    make_instance, now, name, state, billing_mode, values
):
    instance = make_instance(state, billing_mode)
    moments = {
        field: now + value if isinstance(value, timedelta) else value
        for field, value in values.items()
    }

    with refused(name):
        Instance.objects.filter(pk=instance.pk).update(**moments)


def test_an_instance_is_in_no_state_there_is_not(make_instance):
    instance = make_instance()

    # Its times fit no such state either; PostgreSQL names the rule that comes first in the
    # alphabet.
    with refused("instance_state_is_known", "instance_bin_times_follow_state"):
        Instance.objects.filter(pk=instance.pk).update(state="lost")


@pytest.mark.parametrize("state", [State.ACTIVE, State.STOPPED, State.EXPIRED])
def test_a_protected_instance_does_not_go_into_the_bin_or_for_good(make_instance, now, state):
    instance = make_instance(state, protected=True)
    row = Instance.objects.filter(pk=instance.pk)

    with refused("instance_protected_is_never_recycled"):
        row.update(state=State.RECYCLED, recycled_at=now, purge_at=now + HOUR)
    with refused("instance_held_or_protected_is_never_purged"):
        row.update(state=State.PURGED, purged_at=now)


@pytest.mark.parametrize("state", [State.ACTIVE, State.STOPPED, State.EXPIRED, State.RECYCLED])
def test_a_held_instance_does_not_go_for_good(make_instance, now, state):
    instance = make_instance(state, held_at=now, hold_reason="case 12")

    with refused("instance_held_or_protected_is_never_purged"):
        Instance.objects.filter(pk=instance.pk).update(state=State.PURGED, purged_at=now)


@pytest.mark.parametrize("keep_for", [timedelta(0), -HOUR, timedelta(days=30, microseconds=1)])
def test_no_account_and_no_rule_keeps_for_no_time_or_for_more_than_thirty_days(account, keep_for):
    with refused("account_keeps_30_days_at_most"):
        Account.objects.filter(pk=account.pk).update(keep_for=keep_for)
    with refused("retention_rule_keeps_30_days_at_most"):
        RetentionRule.objects.create(account=account, key="env", keep_for=keep_for)


@pytest.mark.parametrize("keep_for", [None, timedelta(microseconds=1), timedelta(days=30)])
def test_an_account_and_a_rule_keep_for_up_to_thirty_days_or_say_nothing(account, keep_for):
    Account.objects.filter(pk=account.pk).update(keep_for=keep_for)
    rule = RetentionRule.objects.create(account=account, key="env", keep_for=keep_for)

    rule.refresh_from_db()
    assert rule.keep_for == Account.objects.get().keep_for == keep_for


def test_a_tag_has_one_rule_in_an_account(account):
    RetentionRule.objects.create(account=account, key="env", value="prod")
    RetentionRule.objects.create(account=account, key="env")
    RetentionRule.objects.create(
        account=Account.objects.create(name="Another"), key="env", value="prod"
    )

    with refused("retention_rule_once_per_tag"):
        RetentionRule.objects.create(account=account, key="env", value="prod", keep_for=HOUR)


def test_only_a_subscription_expires(make_instance):
    instance = make_instance(State.EXPIRED)

    with refused("instance_only_subscriptions_expire"):
        Instance.objects.filter(pk=instance.pk).update(
            billing_mode=BillingMode.DAILY, expires_at=None
        )


@pytest.mark.parametrize("state", [State.ACTIVE, State.STOPPED, State.EXPIRED, State.RECYCLED])
def test_a_private_ip_is_held_by_the_living_and_the_binned(make_instance, state):
    make_instance(state, private_ip="10.9.0.1")

    with refused("instance_private_ip_unique_in_subnet"):
        make_instance(private_ip="10.9.0.1")


def test_a_private_ip_is_free_again_after_the_end_and_in_another_subnet(make_instance, account):
    make_instance(State.PURGED, private_ip="10.9.0.1")
    make_instance(State.PURGED, private_ip="10.9.0.1")
    make_instance(private_ip="10.9.0.1")

    make_instance(private_ip="10.9.0.1", subnet_id="00000000-0000-4000-8000-000000000001")

    assert Instance.objects.filter(private_ip="10.9.0.1").count() == 4


def test_a_type_is_named_after_its_family(db):
    with refused("instance_type_name_starts_with_its_family"):
        InstanceType.objects.create(name="N3.4B", family="S4", vcpu=4, memory_gb=8)


@pytest.mark.parametrize("port", [0, 65536])
def test_a_listener_has_a_port_there_is(balancer, now, port):
    with refused("listener_port_in_range"):
        Listener.objects.create(load_balancer=balancer, protocol="TCP", port=port, created_at=now)


def test_a_load_balancer_listens_once_on_a_port_of_a_protocol(balancer, listener, now):
    Listener.objects.create(load_balancer=balancer, protocol="UDP", port=443, created_at=now)

    with refused("listener_port_once_per_load_balancer"):
        Listener.objects.create(load_balancer=balancer, protocol="TCP", port=443, created_at=now)


@pytest.mark.parametrize("port", [0, 65536])
def test_a_real_server_has_a_port_there_is(make_instance, listener, port):
    with refused("real_server_port_in_range"):
        RealServer.objects.create(
            listener=listener, instance=make_instance(), address="10.9.0.1", port=port
        )


def test_a_real_server_is_behind_a_listener_once_per_address_and_port(make_instance, listener):
    instance = make_instance()
    RealServer.objects.create(listener=listener, instance=instance, address="10.9.0.1", port=80)
    RealServer.objects.create(listener=listener, instance=instance, address="10.9.0.1", port=81)

    with refused("real_server_once_per_listener_address_and_port"):
        RealServer.objects.create(
            listener=listener, instance=make_instance(), address="10.9.0.1", port=80
        )


@pytest.fixture
def eip(account, zone, now):
    return ElasticIP.objects.create(
        account=account, region=zone.region, address="120.92.9.9", created_at=now
    )


def test_an_eip_is_bound_to_an_instance_or_to_a_load_balancer(eip, make_instance, balancer):
    eip.instance, eip.load_balancer = make_instance(), balancer

    with refused("elastic_ip_bound_to_one_thing"):
        eip.save()


def test_an_eip_names_the_zone_of_its_instance_and_none_without_one(eip, make_instance, zone):
    row = ElasticIP.objects.filter(pk=eip.pk)

    with refused("elastic_ip_zone_follows_its_instance"):
        row.update(instance=make_instance())
    with refused("elastic_ip_zone_follows_its_instance"):
        row.update(zone=zone)


def test_an_address_is_there_once(eip, account, zone, now):
    with refused("address"):
        ElasticIP.objects.create(
            account=account, region=zone.region, address=eip.address, created_at=now
        )


def test_a_volume_has_a_size(make_volume):
    with refused("volume_has_a_size"):
        make_volume(size_gb=0)


def test_a_volume_in_the_right_zone_is_attached_and_detached(
    make_volume, make_instance, other_zone
):
    volume = make_volume(zone=other_zone)

    Volume.objects.filter(pk=volume.pk).update(instance=make_instance(zone=other_zone))
    Volume.objects.filter(pk=volume.pk).update(instance=None)

    assert Volume.objects.get().instance is None


def test_a_tag_is_there_once_in_an_account(account):
    Tag.objects.create(account=account, key="env", value="prod")
    Tag.objects.create(account=Account.objects.create(name="Another"), key="env", value="prod")

    with refused("tag_once_per_account"):
        Tag.objects.create(account=account, key="env", value="prod")


@pytest.mark.parametrize(("key", "value"), [("ksc:team", "web"), ("KSC", ""), ("team", "Ksc-web")])
def test_no_tag_begins_with_what_the_vendor_keeps_for_itself(account, key, value):
    with refused("tag_ksc_is_reserved"):
        Tag.objects.create(account=account, key=key, value=value)


def test_a_tag_is_on_an_instance_once(account, make_instance):
    instance, tag = make_instance(), Tag.objects.create(account=account, key="env")
    InstanceTag.objects.create(instance=instance, tag=tag)

    with refused("instance_tag_once"):
        InstanceTag.objects.create(instance=instance, tag=tag)


def test_a_user_belongs_to_an_account_once(alice, account):
    with refused("membership_once_per_user_and_account"):
        Membership.objects.create(user=alice, account=account, role=Role.VIEWER)


@pytest.mark.parametrize("role", [Role.NONE, Role.SYSTEM, 25])
def test_nobody_is_given_a_role_there_is_not(alice, role):
    with refused("membership_role_is_known"):
        Membership.objects.filter(user=alice).update(role=role)


def test_a_bound_instance_is_not_deleted_from_under_its_relationships(make_instance, bind):
    instance = make_instance()
    bind(instance)

    with pytest.raises(models.ProtectedError):
        instance.delete()


def test_only_failed_logins_add_up(now):
    AuditEvent.objects.create(at=now, action="login_failed", kind="user", count=2)

    with refused("audit_only_failed_logins_add_up"):
        AuditEvent.objects.create(at=now, action="login", kind="user", count=2)


MOMENT = datetime(2026, 11, 27, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("job_state_is_known", {"state": "paused"}),
        ("job_times_follow_state", {"state": JobState.RUNNING}),
        ("job_times_follow_state", {"state": JobState.CANCELLED}),
        ("job_times_follow_state", {"state": JobState.FINISHED, "started_at": MOMENT, "done": 1}),
        ("job_times_follow_state", {"started_at": MOMENT}),
        ("job_times_follow_state", {"finished_at": MOMENT}),
        ("job_counts_fit", {"done": 1, "refused": 1}),
        ("job_counts_fit", {"failed": 2}),
        (
            "job_finished_leaves_nothing_out",
            {"state": JobState.FINISHED, "started_at": MOMENT, "finished_at": MOMENT},
        ),
    ],
)
def test_no_job_is_in_an_impossible_state(job, name, wrong):
    # An unknown state has no times that fit it either.
    with refused(name, "job_times_follow_state"):
        BatchJob.objects.filter(pk=job.pk).update(**wrong)


def test_a_job_is_tried_again_once(job, alice, account):
    times = {"created_at": MOMENT, "turn_at": MOMENT}
    again = {"account": account, "action": Action.STOP, "by": alice, "retry_of": job, **times}
    BatchJob.objects.create(**again)

    with pytest.raises(IntegrityError), transaction.atomic():
        BatchJob.objects.create(**again)


def test_an_item_of_a_job_has_a_known_outcome(job, now):
    with refused("job_item_outcome_is_known"):
        JobItem.objects.create(
            job=job, instance_id=job.pk, name="web", changed_at=now, outcome="lost"
        )


def test_the_projects_of_an_account_are_told_apart(account, alice, now):
    make, project = Project.objects.create, Project.objects.get
    make(account=account, number=1, name="Web")

    with refused("project_number_once"):
        make(account=account, number=1, name="Mail")
    with refused("project_name_once_per_account"):
        make(account=account, number=2, name="Web")
    with refused("project_number_is_one"):
        make(account=account, number=-1, name="Mail")
    with refused("project_default_is_never_disabled"):
        Project.objects.filter(pk=project(number=0).pk).update(disabled_at=now)
    ProjectRole.objects.create(user=alice, project=project(number=1), role=Role.VIEWER)
    with refused("project_role_once_per_user_and_project"):
        ProjectRole.objects.create(user=alice, project=project(number=1), role=Role.OPERATOR)
    with refused("project_role_is_known"):
        ProjectRole.objects.create(user=alice, project=project(number=0), role=Role.SYSTEM)


def test_every_constraint_is_tried_here():
    source = Path(__file__).read_text(encoding="utf-8")

    tried = [each for meta, each in CONSTRAINTS if not is_agreement_or_its_key(meta, each)]
    assert [each.name for each in tried if f'"{each.name}"' not in source] == []


def is_agreement_or_its_key(meta, constraint):
    """These are tried column by column in test_agreements; a key with the primary key in it rules
    out nothing more.
    """
    if isinstance(constraint, models.UniqueConstraint):
        return meta.pk.name in constraint.fields
    return isinstance(constraint, Agreement)
