"""Searches and text filters find what looks the same, on both databases; everybody writes what they
look into.
"""

import re
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import call_command
from django.db import connection
from django.forms import CharField
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from recycle import actions
from recycle.forms import LISTS, LogFilter
from recycle.forms.resources import FILTERS
from recycle.lifecycle import State
from recycle.models import (
    Account,
    BatchJob,
    Event,
    Instance,
    InstanceTag,
    Project,
    Region,
    RetentionRule,
    Tag,
    User,
    Volume,
    Zone,
)
from recycle.models.folded import FoldedField
from recycle.policy import Role
from recycle.text import fold
from tests.conftest import acting, make_user
from tests.folding import BESIDE, bypasses

pytestmark = [pytest.mark.django_db, pytest.mark.both]

# A text, and what people may type to find it.
TEXTS = [
    ("Ärger-Straße", ["ärger", "ÄRGER", "A\u0308rger", "strasse", "r-s"]),
    ("Сервер Йод", ["сервер", "СЕРВЕР й", "И\u0306ОД"]),
    ("Ｗｅｂ　０１", ["web 01", "ＷＥＢ", "Web  01"]),
    ("Cafe\u0301\u00a0\u200bBar", ["café bar", "CAFÉ"]),
    ("ΣΊΣΥΦΟΣ", ["σίσυφος"]),
    ("50%_\\", ["%", "0%_", "_\\"]),
]
MODELS = list(apps.get_app_config("recycle").get_models())
# Made after that migration, their rows had theirs from the start, or nothing to fold.
LATER = (BatchJob, Project, Zone)
looks_alike = pytest.mark.parametrize(("text", "typed"), TEXTS)


@pytest.fixture
def alice_in(client, alice):
    client.force_login(alice)
    return client


def found(client, name, **query):
    """How many rows the list shows."""
    response = client.get(reverse(f"recycle:{name}"), {"region": "", **query})
    assert response.status_code == 200
    return len(response.context["page"].rows)


@pytest.fixture
def named(account, zone, make_instance, make_volume, make_address, make_balancer, make_tag, now):
    """One of everything, called by the text; and what each list then finds it by."""

    def named(text):
        person = make_user(text, account, Role.OPERATOR)
        living = make_instance(name=text)
        make_instance(
            State.RECYCLED,
            name=text,
            recycled_by=person,
            recycled_by_name=text,
            attempts=8,
            quarantined_at=now,
        )
        make_instance(State.EXPIRED, name=text)
        make_volume(name=text)
        make_volume(name="disk", instance=living)
        make_address(instance=living)
        make_address(load_balancer=make_balancer(name=text))
        InstanceTag.objects.create(instance=living, tag=make_tag(key=text, value="x"))
        make_tag(key="x", value=text)
        Project.objects.create(account=account, number=9, name=text, created_at=now)
        Event.objects.create(
            account=account,
            at=now,
            batch="0" * 32,
            action="start",
            instance_name=text,
            by_name=text,
        )
        return [
            ("instances", "q", 2),
            ("bin", "q", 1),
            ("bin", "deleted_by", 1),
            ("expired", "q", 1),
            ("quarantine", "q", 1),
            ("volumes", "q", 2),
            ("addresses", "q", 2),
            ("balancers", "q", 1),
            ("tags", "q", 2),
            ("projects", "q", 1),
            ("log", "q", 1),
            ("log", "by", 1),
        ]

    return named


@looks_alike
def test_every_search_box_and_text_filter_finds_what_looks_the_same(
    alice_in, named, make_instance, text, typed
):
    make_instance(name="other")

    for name, field, count in named(text):
        for one in typed:
            assert found(alice_in, name, **{field: one}) == count, (name, field, one)


def test_the_table_above_has_every_text_filter_there_is(named):
    filters = {**LISTS, **FILTERS, "log": LogFilter}
    there = {
        (name, field)
        for name, form in filters.items()
        for field, it in form.base_fields.items()
        if type(it) is CharField and field != "cursor"
    }

    # The filter for a tag compares whole keys and values: below.
    assert there == {(name, field) for name, field, _count in named("web")} | {("instances", "tag")}


@pytest.mark.parametrize("typed", ["Straße=Groß", "STRASSE = gross", "straße", "ｓtrasse＝GROß"])
def test_the_filter_for_a_tag_ignores_case_and_width(alice_in, make_instance, make_tag, typed):
    InstanceTag.objects.create(instance=make_instance(), tag=make_tag("Straße", "Groß"))
    InstanceTag.objects.create(instance=make_instance(), tag=make_tag("Straßen", "Groß"))

    assert found(alice_in, "instances", tag=typed) == 1


@pytest.mark.parametrize("typed", ["\u200b", "\u2066\ufeff", "\ufe0f"])
def test_what_nobody_can_see_finds_nothing(alice_in, named, typed):
    for name, field, _count in [*named("web"), ("instances", "tag", 0)]:
        assert found(alice_in, name, **{field: typed}) == 0, (name, field)


@pytest.mark.parametrize("typed", ["a=", "=b", "%", "_", "\\"])
def test_a_sign_is_no_wildcard(alice_in, make_tag, typed):
    make_tag("key", "value")

    assert found(alice_in, "tags", q=typed) == 0


@looks_alike
def test_suggestions_are_found_the_same_way(
    alice_in, named, make_listener, make_balancer, text, typed
):
    named(text)
    make_listener(load_balancer=make_balancer(name="front"), name=text)

    for kind in ("instance", "holder", "volume", "listener", "tag"):
        for one in typed:
            page = alice_in.get(reverse("recycle:suggest", args=[kind]), {"other": one}).text
            assert "<option" in page, (kind, one)


def test_no_search_asks_the_database_what_is_alike(alice_in, named):
    """A database's own way of ignoring case is not the other's: only folded columns and addresses
    are looked into.
    """
    columns = set()
    for name, field, _count in named("web"):
        with CaptureQueriesContext(connection) as queries:
            found(alice_in, name, **{field: "web"})
        sql = "\n".join(query["sql"] for query in queries)
        assert not re.search(r"\b(UPPER|LOWER|ILIKE|COLLATE)\b", sql)
        columns |= set(re.findall(r'"(\w+)"(?:::text)? LIKE', sql))

    assert columns
    assert {column for column in columns if not column.endswith("_folded")} <= {
        "address",
        "private_ip",
    }


# --- The admin ------------------------------------------------------------------------------------

# What is searched as it is: numbers, and words that are ASCII by nature.
PLAIN = {
    "id",
    "instance_id",
    "batch",
    "request_id",
    "subject_id",
    "address",
    "private_ip",
    "code",
    "email",
    "instancetype.name",
}


@pytest.mark.parametrize("model", MODELS)
def test_the_admin_searches_folded_columns(model):
    for field in admin.site._registry[model].search_fields if model in admin.site._registry else ():
        known = field in PLAIN or f"{model._meta.model_name}.{field}" in PLAIN
        assert known or field.endswith("_folded__contains"), field


def test_the_admin_finds_what_looks_the_same(client, alice, make_instance):
    alice.is_superuser = alice.is_staff = True
    alice.save()
    client.force_login(alice)
    make_instance(name="Ärger")
    make_instance(name="other")

    page = client.get(reverse("admin:recycle_instance_changelist"), {"q": "ÄRG"})

    assert [row.name for row in page.context["cl"].result_list] == ["Ärger"]


# --- What is looked into, and who writes it -------------------------------------------------------


def fields_of(model):
    return [field for field in model._meta.get_fields() if isinstance(field, FoldedField)]


def all_folded():
    """Every row has beside each text what it is found by. The rows that were looked at."""
    count = 0
    for model in MODELS:
        for row in model._default_manager.all() if fields_of(model) else ():
            for field in fields_of(model):
                # Null where there is nothing to be found by.
                assert (getattr(row, field.attname) or "") == fold(getattr(row, field.of) or ""), (
                    row,
                    field,
                )
            count += 1
    return count


def test_every_way_of_writing_fills_them(account, named):
    named("Ärger")
    Region.objects.create(code="x", name="Ä")
    RetentionRule.objects.create(account=account, key="Ä", value="Ö")
    Tag.objects.bulk_create([Tag(account=account, key="Ü", value="Ý")])
    Volume.objects.filter(name="Ärger").get().save()

    assert all_folded() > 10


def test_events_that_the_database_writes_from_the_rows_carry_them(account, make_instance, now):
    person = make_user("Ölga", account, Role.ADMINISTRATOR)
    instance = make_instance(name="Ärger")

    actions.stop(Instance.objects.filter(pk=instance.pk), context=acting(person, now))

    assert {
        (event.instance_name_folded, event.by_name_folded) for event in Event.objects.all()
    } == {("ärger", "ölga")}


@pytest.mark.slow
def test_the_demo_and_the_admin_write_them(client, settings, db):
    call_command("demo", verbosity=0)
    client.force_login(User.objects.get(username="demo"))
    instance = Instance.objects.filter(state=State.ACTIVE)[0]
    account = Account.objects.get()
    change = reverse("admin:recycle_instance_change", args=[instance.pk])

    client.post(change, {"name": "Ärger", "image_name": "Ö"})

    assert Instance.objects.get(pk=instance.pk).name_folded == "ärger"
    page = client.get(reverse("admin:recycle_account_change", args=[account.pk]))
    data = {
        name: value or ""
        for name, value in page.context["adminform"].form.initial.items()
        if name != "keep_for"
    }
    totals = {f"memberships-{name}": 0 for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    client.post(
        reverse("admin:recycle_account_change", args=[account.pk]), {**data, **totals, "name": "Öl"}
    )
    assert Account.objects.get().name_folded == "öl"
    assert all_folded() > 100


def test_a_statement_that_forgets_them_is_noticed():
    """The watch over the suite can fail."""
    assert BESIDE["recycle_volume"] == {"name": "name_folded"}
    assert bypasses(
        'UPDATE "recycle_instance" SET "name" = %s WHERE "recycle_instance"."id" = %s'
    ) == ["name"]
    assert bypasses('INSERT INTO "recycle_event" ("at", "by_name") SELECT 1, 2') == ["by_name"]
    assert bypasses('INSERT INTO "recycle_tag" ("key", "value", "key_folded") VALUES (%s)') == [
        "value"
    ]
    assert not bypasses(
        'UPDATE "recycle_tag" SET "key" = %s, "key_folded" = %s WHERE "recycle_tag"."id" = 1'
    )
    assert not bypasses(
        'UPDATE "recycle_instance" SET "state" = %s WHERE "recycle_instance"."name" = %s'
    )
    with pytest.raises(AssertionError, match="not written along"):
        Instance.objects.update(name="x")


def test_the_migration_fills_them_for_the_rows_there_are(named, make_instance, monkeypatch):
    fill = import_module("recycle.migrations.0014_fill_search_columns")
    monkeypatch.setattr(fill, "BATCH", 3)
    named("Ärger")
    for number in range(7):
        make_instance(name=f"Ö{number}")
    for model in MODELS:
        if fields_of(model) and model not in LATER:
            model._default_manager.update(**{field.name: None for field in fields_of(model)})

    fill.fill(apps, SimpleNamespace(connection=connection))

    assert all_folded() > 15
    assert {name: set(sources) for name, sources in fill.SOURCES.items()} == {
        model._meta.model_name: {field.of for field in fields_of(model)} - {"chinese_name"}
        for model in MODELS
        if fields_of(model) and model not in LATER
    }
