"""A database of an earlier version becomes one of this version with all its rows, and the pages
show them.

`upgrade/rows-0002.json` has rows of every kind as they stood at the second migration, by table and
column. They are put there by that version's own models, as its migrations describe them, so that
nothing here has to be changed when models change: every later migration, and every later page,
meets them as it would meet a database that is in use.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import IntegrityError, connection, transaction
from django.urls import NoReverseMatch, reverse
from django.utils.html import escape

from recycle import actions, urls
from recycle.lifecycle import State
from recycle.models import Account, ElasticIP, Instance, LoadBalancer, Tag, User, Volume, Zone
from tests.client import Client
from tests.conftest import acting, send
from tests.folding import unwatched
from tests.history import one_by_one, tables

pytestmark = [pytest.mark.slow, pytest.mark.both, pytest.mark.usefixtures("moment")]

BEFORE = ("recycle", "0002_volume_zone_trigger")
BESIDE = ("admin", "auth", "contenttypes", "sessions")
UPGRADE = Path(__file__).parent / "upgrade"
# Shortly after the rows were written, so that what lies in the bin is not over.
MOMENT = "2026-11-26T18:16:00Z"

Row = tuple[str, dict[str, Any]]


@pytest.fixture
def moment() -> Iterator[None]:
    with time_machine.travel(MOMENT):
        yield


@contextmanager
def another_database(place: Path) -> Iterator[None]:
    """An empty database in the place of the tests' own: that one has the newest tables already."""
    settings, postgres = connection.settings_dict, connection.vendor == "postgresql"
    before = settings["NAME"]
    _disconnect()
    if postgres:
        settings["NAME"] = name = f"{place.parent.name}_{place.name}".replace("-", "_")
        _without_database(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    else:
        place.mkdir(exist_ok=True)
        settings["NAME"] = str(place / "upgrade.sqlite3")
    try:
        yield
    finally:
        _disconnect()
        if postgres:
            _without_database(f"DROP DATABASE {name} WITH (FORCE)")
        settings["NAME"] = before
        ContentType.objects.clear_cache()


@pytest.fixture(scope="module")
def upgraded_once(tmp_path_factory, django_db_blocker) -> Iterator[None]:
    place = tmp_path_factory.mktemp("upgrade")
    with django_db_blocker.unblock(), another_database(place):
        with time_machine.travel(MOMENT):
            upgrade(rows("rows-0002"))
        yield


@pytest.fixture
def upgraded(upgraded_once) -> Iterator[None]:
    """The rows of then in a database of today. The next test finds them unchanged."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _disconnect() -> None:
    connection.close()
    # What it remembers are the numbers of another database's rows.
    ContentType.objects.clear_cache()


def _without_database(*statements: str) -> None:
    with connection._nodb_cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def rows(*names: str) -> list[Row]:
    return [
        (label, values)
        for name in names
        for label, values in json.loads((UPGRADE / f"{name}.json").read_text())
    ]


@unwatched()
def upgrade(written: list[Row]) -> None:
    """Make the tables of before, write the rows with the models of before, and bring all of it up
    to date.
    """
    executor = one_by_one()
    targets = [BEFORE, *(node for node in executor.loader.graph.leaf_nodes() if node[0] in BESIDE)]
    executor.migrate(targets)
    before = executor.loader.project_state(targets).apps
    with transaction.atomic():
        for label, values in written:
            model = before.get_model(label)
            fields = {field.attname: field for field in model._meta.concrete_fields}
            model(**{name: fields[name].to_python(value) for name, value in values.items()}).save(
                force_insert=True
            )
    models = {before.get_model(label) for label, _ in written}
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), list(models)):
            cursor.execute(statement)
    call_command("migrate", interactive=False, verbosity=0)


def log_in(client: Client, name: str) -> Account:
    user = User.objects.get(username=name)
    client.force_login(user)
    return Account.objects.filter(memberships__user=user).order_by("name")[0]


def plain_addresses() -> Iterator[str]:
    """Every address of the console that names no row."""
    for pattern in urls.urlpatterns:
        try:
            yield reverse(f"recycle:{pattern.name}")
        except NoReverseMatch:
            continue


def test_the_rows_have_every_model_of_then(upgraded):
    executor = one_by_one()
    then = {
        model._meta.label_lower
        for model in executor.loader.project_state([BEFORE]).apps.get_models()
    }

    written = {label for label, _ in rows("rows-0002")}

    # Django writes these two itself.
    assert then - written == {"auth.permission", "contenttypes.contenttype"}


def test_no_row_is_lost_and_all_of_them_keep_to_the_rules(upgraded):
    connection.check_constraints()
    assert one_by_one().migration_plan(one_by_one().loader.graph.leaf_nodes()) == []
    for label, values in rows("rows-0002"):
        if label == "sessions.session":
            # Everybody logs in once more: a session belongs to a person now.
            continue
        model = apps.get_model(label)
        key = values[model._meta.pk.attname] if model._meta.pk else None
        assert model._base_manager.filter(pk=key).exists(), (label, values)


def test_the_database_still_refuses_what_it_refused_before(upgraded):
    attached = Volume.objects.exclude(instance=None)
    elsewhere = Zone.objects.exclude(code=attached[0].zone_id)[0]

    with pytest.raises(IntegrityError), transaction.atomic():  # noqa: PT012
        Volume.objects.filter(pk=attached[0].pk).update(zone=elsewhere)
        # It waits for the end of the outermost transaction, which is the test's own.
        connection.check_constraints()
    with pytest.raises(IntegrityError), transaction.atomic():
        Instance.objects.filter(state=State.RECYCLED).update(purge_at=None)


@pytest.mark.parametrize("name", ["demo", "kept.columns", "mallory", "gone"])
def test_every_page_shows_an_upgraded_database(upgraded, client, name):
    if name != "gone":
        account = log_in(client, name)

    for address in plain_addresses():
        response = client.get(address)
        assert response.status_code < 500, (address, response.status_code)

    if name != "gone":
        for kind, page in (
            (Instance, "instance"),
            (Volume, "volume"),
            (ElasticIP, "address"),
            (LoadBalancer, "balancer"),
        ):
            for row in kind.objects.filter(account=account):
                shown = client.get(reverse(f"recycle:{page}", args=[row.pk])).content.decode()
                assert escape(getattr(row, "name", "") or str(row.pk)) in shown
        for tag in Tag.objects.filter(account=account):
            assert (
                escape(tag.key)
                in client.get(reverse("recycle:tag", args=[tag.pk])).content.decode()
            )


def test_the_lists_show_what_there_was(upgraded, client):
    log_in(client, "mallory")

    found = {
        page: client.get(reverse(f"recycle:{page}")).text
        for page in ("instances", "bin", "volumes", "addresses", "log")
    }

    assert "mallorys-web" in found["instances"]
    assert "mallorys-no-fees" in found["instances"]
    assert "mallorys-stuck" in found["bin"]
    assert "mallorys-disk" in found["volumes"]
    assert "120.92.9.1" in found["addresses"]
    assert "somebody who is gone" in found["log"]
    assert "long gone" in found["log"]
    assert not any("api-gateway" in page for page in found.values())


def test_the_admin_shows_every_row(upgraded, client):
    log_in(client, "demo")

    for model in admin.site._registry:
        names = (model._meta.app_label, model._meta.model_name)
        assert client.get(reverse("admin:{}_{}_changelist".format(*names))).status_code == 200, (
            names
        )
        for row in model._base_manager.all()[:3]:
            response = client.get(reverse("admin:{}_{}_change".format(*names), args=[row.pk]))
            assert response.status_code == 200, (names, row.pk)


def test_actions_and_the_sweep_go_on_where_they_were(upgraded, client):
    log_in(client, "mallory")
    stuck = Instance.objects.get(name="mallorys-stuck")

    send(client, "restore", stuck)
    with time_machine.travel("2026-12-30T00:00:00Z"):
        actions.expire_due(context=acting(None))
        actions.purge_due(context=acting(None))

    stuck.refresh_from_db()
    assert stuck.state == State.STOPPED
    assert not Instance.objects.filter(state=State.RECYCLED, held_at=None).exists()


@pytest.fixture
def empty(tmp_path, django_db_blocker) -> Iterator[None]:
    with django_db_blocker.unblock(), another_database(tmp_path):
        yield


def test_a_new_database_has_the_tables_of_one_that_has_seen_every_release(
    tmp_path, django_db_blocker
):
    made = []
    for way in ("at-once", "one-by-one"):
        with django_db_blocker.unblock(), another_database(tmp_path / way):
            with unwatched():
                if way == "one-by-one":
                    one_by_one().migrate([("recycle", "0024_job_agreement")])
                call_command("migrate", interactive=False, verbosity=0)
            made.append(tables())

    assert len(made[0]) > 300
    assert made[0] == made[1]


def test_what_the_admin_of_then_allowed_does_not_stop_the_upgrade(empty, client):
    """Bindings between two accounts or regions, made by changing one side in the admin."""
    upgrade(rows("rows-0002", "strays-0002"))
    log_in(client, "demo")

    connection.check_constraints()
    for address in plain_addresses():
        response = client.get(address)
        assert response.status_code < 500, address
        # The transaction of a file ends with the file.
        if response.streaming:
            b"".join(response.streaming_content)
