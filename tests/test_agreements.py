"""Both sides of every relationship belong to one account and stand in one place, and the database
sees to it.
"""

from contextlib import contextmanager
from uuid import uuid4

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, models, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import AddConstraint, AlterField

from recycle.lifecycle import Action
from recycle.models import (
    Account,
    BatchJob,
    ElasticIP,
    Instance,
    InstanceTag,
    JobItem,
    Listener,
    LoadBalancer,
    ProjectRole,
    RealServer,
    Volume,
)
from recycle.models.agreement import Agreement, InProject, Repeated

pytestmark = [pytest.mark.django_db, pytest.mark.both]

MODELS = list(apps.get_app_config("recycle").get_models())
AGREEMENTS = [
    (model, constraint)
    for model in MODELS
    for constraint in model._meta.constraints
    if isinstance(constraint, Agreement)
]
PLACES = ("zone", "region")
each_agreement = pytest.mark.parametrize(
    ("model", "agreement"), AGREEMENTS, ids=[agreement.name for _, agreement in AGREEMENTS]
)
each_column = pytest.mark.parametrize(
    ("model", "agreement", "name"),
    [(model, agreement, name) for model, agreement in AGREEMENTS for name in agreement.on],
    ids=[f"{agreement.name}-{name}" for _, agreement in AGREEMENTS for name in agreement.on],
)


@contextmanager
def refused(name):
    """The database would not commit what happens inside, by the agreement of this name."""
    with pytest.raises(IntegrityError, match=name), transaction.atomic(), looked_at(name):
        yield


@contextmanager
def looked_at(name):
    yield
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET CONSTRAINTS {name} IMMEDIATE")
    elif name in (broken := disagreements()):
        raise IntegrityError(", ".join(broken))


def disagreements():
    """SQLite says at the commit only that a foreign key failed; asked before, it tells which."""
    names = {
        (model._meta.db_table, tuple(each.columns(model))): each.name for model, each in AGREEMENTS
    }
    with connection.cursor() as cursor:
        failed = cursor.execute("PRAGMA foreign_key_check").fetchall()
        found = set()
        for table, _row, _parent, number in failed:
            columns = cursor.execute(f"PRAGMA foreign_key_list({table})").fetchall()
            found.add(
                names.get(
                    (table, tuple(column[3] for column in columns if column[0] == number)), table
                )
            )
    return sorted(found)


@pytest.fixture
def bound(make_instance, bind, make_address, make_balancer, account, alice, now):
    """One relationship of every kind, and a batch job that tries another one again."""
    about = {"account": account, "action": Action.STOP, "by": alice}
    job = BatchJob.objects.create(created_at=now, turn_at=now, **about)
    BatchJob.objects.create(created_at=now, turn_at=now, retry_of=job, **about)
    instance = make_instance()
    bind(instance)
    make_address(load_balancer=make_balancer())
    return instance


@pytest.fixture
def others(other_zone, far_zone):
    """What a row may be moved to: nothing of it agrees with anything that is bound."""
    return {
        "account": Account.objects.create(name="Another"),
        "zone": other_zone,
        "region": far_zone.region,
        "project_number": 99,
    }


def first(model, agreement):
    """A row that the agreement looks at."""
    return model.objects.exclude(**{agreement.relation: None}).order_by("pk")[0]


def referred_to(row, agreement):
    """The row that the agreement holds this one to, with what it calls the fields there."""
    other, fields = agreement.other(type(row)), agreement.target_fields(type(row))
    values = [getattr(row, row._meta.get_field(name).attname) for name in agreement.fields]
    found = other.objects.get(**dict(zip(fields, values, strict=True)))
    return found, dict(zip(agreement.fields, fields, strict=True))


def change(row, **values):
    type(row).objects.filter(pk=row.pk).update(**values)


@each_column
def test_no_row_moves_away_from_the_one_it_refers_to(bound, others, model, agreement, name):
    row = first(model, agreement)

    with refused(agreement.name):
        change(row, **{name: others[name]})


@each_column
def test_no_row_moves_away_from_those_that_refer_to_it(bound, others, model, agreement, name):
    target, called = referred_to(first(model, agreement), agreement)

    with refused(agreement.name):
        change(target, **{called[name]: others[name]})


@each_agreement
def test_no_row_refers_to_what_is_not_there(bound, model, agreement):
    row = first(model, agreement)
    nothing = {"tag": -1, "zone": "nowhere"}.get(agreement.relation, uuid4())
    values = {f"{agreement.relation}_id": nothing}
    # The account has a key of its own beside that.
    if isinstance(agreement, InProject):
        values = {"project_number": -1}

    with refused(agreement.name):
        change(row, **values)


@each_agreement
def test_what_is_referred_to_does_not_go_alone(bound, model, agreement):
    target, _called = referred_to(first(model, agreement), agreement)

    with refused(agreement.name), connection.cursor() as cursor:
        pk = target._meta.pk
        cursor.execute(
            f"DELETE FROM {target._meta.db_table} WHERE {pk.column} = %s",
            [pk.get_db_prep_value(target.pk, connection)],
        )


def test_nothing_is_made_across_two_accounts(bound, others, far_zone, make_instance, make_tag, now):
    theirs = make_instance(account=others["account"])
    eip, volume = ElasticIP.objects.exclude(instance=None).get(), Volume.objects.first()

    with refused("volume_agrees_with_its_instance"):
        change(volume, instance=theirs)
    with refused("elastic_ip_agrees_with_its_instance"):
        change(eip, instance=theirs, zone=theirs.zone)
    with refused("real_server_agrees_with_its_listener"):
        RealServer.objects.create(
            listener=Listener.objects.get(), instance=theirs, address="10.9.9.9", port=80
        )
    with refused("instance_tag_agrees_with_its_tag"):
        InstanceTag.objects.create(instance=theirs, tag=make_tag("theirs"))
    with refused("elastic_ip_agrees_with_its_load_balancer"):
        balancer = LoadBalancer.objects.create(
            account=others["account"], region=eip.region, name="theirs", created_at=now
        )
        change(eip, instance=None, zone=None, load_balancer=balancer)


def test_nothing_is_made_across_two_regions(bound, far_zone, make_instance):
    far = make_instance(zone=far_zone)
    eip, listener = ElasticIP.objects.exclude(instance=None).get(), Listener.objects.get()

    with refused("elastic_ip_in_region_of_its_instance"):
        change(eip, instance=far, zone=far_zone)
    with refused("real_server_in_a_zone_of_its_region"):
        RealServer.objects.create(listener=listener, instance=far, address="10.9.9.9", port=80)


# --- None is forgotten ----------------------------------------------------------------------------


# Rows that say nothing of an account themselves and refer to one row alone: nothing can disagree.
OF_ONE = {JobItem, ProjectRole}


def foreign_keys():
    return [
        (model, field)
        for model in MODELS
        for field in model._meta.concrete_fields
        if isinstance(field, models.ForeignKey) and not isinstance(field, Repeated)
    ]


def names(model):
    return {field.name for field in model._meta.concrete_fields}


def test_whatever_refers_to_something_of_an_account_agrees_with_it():
    """In the account, and in the region or zone where the other one has such a place."""
    lacking = []
    for model, field in foreign_keys():
        wanted = names(field.related_model) & {"account", *PLACES}
        agreed = {
            name
            for owner, each in AGREEMENTS
            if (owner, each.relation) == (model, field.name)
            for name in each.on
        }
        if model in OF_ONE:
            continue
        if "account" in wanted and not wanted <= agreed:
            lacking.append((field, wanted - agreed))

    assert lacking == []


def test_a_zone_and_a_region_in_one_row_agree():
    both = {model for model in MODELS if names(model) >= set(PLACES)}

    assert both == {
        model for model, each in AGREEMENTS if (each.relation, each.on) == ("zone", ("region",))
    }


def test_a_relation_without_a_foreign_key_of_its_own_is_part_of_an_agreement():
    covered = {(model, name) for model, each in AGREEMENTS for name in each.fields}
    unkept = [
        field
        for model in MODELS
        for field in model._meta.concrete_fields
        if not getattr(field, "db_constraint", True) and (model, field.name) not in covered
    ]

    assert unkept == []


def test_what_a_row_repeats_agrees_with_where_it_is_from():
    agreed = {(model, each.relation, name) for model, each in AGREEMENTS for name in each.on}
    repeated = [
        (model, field)
        for model in MODELS
        for field in model._meta.fields
        if isinstance(field, Repeated)
    ]

    assert repeated
    assert [field for model, field in repeated if (model, field.of, field.name) not in agreed] == []


@each_agreement
def test_an_agreement_refers_to_a_key(model, agreement):
    other, _columns = agreement.target(model)
    keys = [
        set(each.fields)
        for each in other._meta.constraints
        if isinstance(each, models.UniqueConstraint)
    ]

    assert set(agreement.target_fields(model)) in keys


# --- What a row repeats ---------------------------------------------------------------------------


def test_what_a_row_repeats_follows_its_relation(bound, make_instance, other_zone):
    eip = ElasticIP.objects.exclude(instance=None).get()

    eip.instance = make_instance(zone=other_zone)
    eip.save(update_fields=["instance", "zone"])
    eip.refresh_from_db()
    assert eip.zone == other_zone

    eip.instance = None
    eip.save(update_fields=["instance", "zone"])
    eip.refresh_from_db()
    assert eip.zone is None


def test_rows_made_together_repeat_it_too_and_ask_nothing(
    make_instance, make_tag, django_assert_num_queries
):
    instances, tag = [make_instance() for _ in range(3)], make_tag()

    with django_assert_num_queries(1):
        InstanceTag.objects.bulk_create(
            InstanceTag(instance=instance, tag=tag) for instance in instances
        )

    assert set(InstanceTag.objects.values_list("account", "zone")) == {
        (tag.account_id, instances[0].zone_id)
    }


def test_a_form_refuses_what_the_database_would(account, make_instance, make_volume, other_zone):
    volume = make_volume(new=True, instance=make_instance(), mount_point="/dev/vdb")
    volume.full_clean()

    volume.zone = other_zone
    with pytest.raises(ValidationError, match="volume_agrees_with_its_instance"):
        volume.full_clean()
    # What the form does not show cannot be put right there.
    volume.full_clean(exclude=["zone"])


# --- A table made anew ----------------------------------------------------------------------------


def rules():
    """All foreign keys and triggers there are."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint "
                "WHERE contype = 'f'"
                " UNION SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger "
                "WHERE NOT tgisinternal"
            )
            return sorted(cursor.fetchall())
        found = cursor.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for table in connection.introspection.table_names(cursor):
            # The number of a key is only its place in the table.
            keys = cursor.execute(f"PRAGMA foreign_key_list({table})").fetchall()
            numbers = {key[0] for key in keys}
            found += [
                (table, str(sorted(key[1:] for key in keys if key[0] == number)))
                for number in numbers
            ]
        return sorted(found)


def contents():
    return {model: sorted(model._default_manager.values_list(), key=str) for model in MODELS}


def carry_out(operation, state, *, back_to=None):
    """Do to the database what a migration would; back again with the state before it."""
    if back_to is None:
        after = state.clone()
        operation.state_forwards("recycle", after)
        with connection.schema_editor() as editor:
            operation.database_forwards("recycle", editor, state, after)
        return after
    with connection.schema_editor() as editor:
        operation.database_backwards("recycle", editor, state, back_to)
    return back_to


def alterations(model):
    """What makes SQLite build the table anew: a longer column with one choice more, and a new
    constraint.
    """
    field = next(
        (field for field in model._meta.fields if isinstance(field, models.CharField)), None
    )
    if field is not None:
        longer = field.clone()
        longer.max_length = 500
        if longer.choices:
            longer.choices = [*longer.choices, ("another", "Another")]
        yield AlterField(model._meta.model_name, field.name, longer)
    there = models.CheckConstraint(condition=models.Q(pk__isnull=False), name="there_is_a_key")
    yield AddConstraint(model._meta.model_name, there)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.model_name)
def test_altering_a_table_loses_no_rule_and_no_row(bound, others, model):
    state = MigrationLoader(connection).project_state()
    rules_before, contents_before = rules(), contents()
    assert rules_before

    for operation in alterations(model):
        altered = carry_out(operation, state)
        try:
            assert (rules(), contents()) == (rules_before, contents_before)
            # Each is a transaction of its own, as SQLite looks at its commit.
            for row in (Instance.objects.get(), Volume.objects.first()):
                for name in ("account", "zone"):
                    with pytest.raises(IntegrityError):
                        change(row, **{name: others[name]})
        finally:
            carry_out(operation, altered, back_to=state)

    assert (rules(), contents()) == (rules_before, contents_before)
