"""Django admin: for superusers, and by the same verbs as everywhere else."""

import re
from html import unescape
from html.parser import HTMLParser
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import models
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from recycle import actions
from recycle.admin import instances
from recycle.admin.instances import OFFERED
from recycle.forms import VERBS, WholeScope
from recycle.lifecycle import Action, State
from recycle.models import (
    Account,
    BatchJob,
    Event,
    Instance,
    InstanceType,
    Listener,
    Region,
    User,
    Volume,
    Zone,
)
from recycle.models.agreement import Agreement
from recycle.outcomes import REASONS, what_was_done
from recycle.policy import BillingMode
from tests.conftest import acting

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(client):
    user = User.objects.create_superuser("root")
    client.force_login(user)
    return user


def act(client, action, *instances):
    data = {"action": action, "_selected_action": [instance.pk for instance in instances]}
    if action == "purge":
        data["confirm"] = len(instances)
    return client.post(reverse("admin:recycle_instance_changelist"), data, follow=True)


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.model_name)
def test_every_model_has_a_list_that_can_be_searched(client, root, model, make_instance, bind):
    bind(make_instance())

    response = client.get(
        reverse(f"admin:recycle_{model._meta.model_name}_changelist"), {"q": "10"}
    )

    assert response.status_code == 200
    assert len(admin.site._registry[model].list_display) > 1


def test_staff_who_are_no_superusers_are_sent_to_the_login(client):
    client.force_login(User.objects.create_user("staff", is_staff=True))

    response = client.get(reverse("admin:index"))

    assert response.status_code == 302


def test_recycle_moves_to_the_bin_and_releases_nothing(client, root, make_instance):
    daily, hourly = make_instance(), make_instance(billing_mode=BillingMode.HOURLY)

    response = act(client, "recycle", daily, hourly)

    assert Instance.objects.get(pk=daily.pk).state == State.RECYCLED
    assert Instance.objects.get(pk=hourly.pk).state == State.ACTIVE
    assert "Moved 1 instance to the recycle bin." in response.text
    assert hourly.name in response.text
    assert Event.objects.get().by == root


def test_restore_and_purge_do_what_the_console_does(client, root, make_instance):
    back, gone = make_instance(State.RECYCLED), make_instance(State.RECYCLED)

    act(client, "restore", back)
    act(client, "purge", gone)

    assert Instance.objects.get(pk=back.pk).state == State.STOPPED
    assert Instance.objects.get(pk=gone.pk).state == State.PURGED


@pytest.mark.parametrize("action", [action for action, name in OFFERED.items() if name])
def test_what_is_done_and_refused_is_what_the_table_says_in_the_words_of_the_pages(
    client, root, make_instance, action
):
    made = [make_instance(state, mode) for state in State for mode in BillingMode]
    made += [
        make_instance(protected=True),
        make_instance(State.RECYCLED, held_at=timezone.now(), hold_reason="a case"),
    ]
    data = QueryDict(mutable=True)
    data.setlist("ids", [str(instance.pk) for instance in made])
    form = VERBS[action].form(data, scope=WholeScope(root, None, timezone.now()))
    assert form.is_valid()
    expected = VERBS[action].carry_out(
        form.cleaned_data["instances"],
        context=acting(root),
        dry_run=True,
        **form.parameters(retyped=False),
    )

    response = act(client, OFFERED[action], *made)

    text = unescape(response.text)
    assert len(expected.done) + len(expected.refused) == len(made)
    assert what_was_done(expected) in text
    assert f"{len(expected.refused)} instances were left alone:" in text
    assert all(f"{each.name}: {each.refusal.label}" in text for each in expected.refused[:REASONS])
    assert Event.objects.count() == len(expected.done)
    assert set(Event.objects.values_list("reason", flat=True)) == {"In the admin"}


def test_an_unknown_instance_refuses_the_whole_selection(client, root, make_instance):
    known = make_instance()

    response = act(client, "recycle", known, Instance(pk=uuid4()))

    assert "1 instance was not found. Nothing was changed." in response.text
    assert Instance.objects.get(pk=known.pk).state == State.ACTIVE


def test_all_that_a_list_matches_become_a_batch_job_of_each_account(
    client, root, mallory, make_instance
):
    ours = [make_instance(name=f"web-{number}") for number in (2, 3, 1)]
    theirs = make_instance(name="web-4", account=mallory.memberships.get().account)
    other = make_instance(name="db-1")
    data = {"action": "recycle", "select_across": "1", "_selected_action": [ours[1].pk]}

    answer = client.post(reverse("admin:recycle_instance_changelist") + "?q=web", data, follow=True)

    jobs = {job.account: job for job in BatchJob.objects.all()}
    assert {account: job.total for account, job in jobs.items()} == {
        other.account: 3,
        theirs.account: 1,
    }
    for account, job in jobs.items():
        assert f"{account}: this goes on as a batch job." in unescape(answer.text)
        assert reverse("admin:recycle_batchjob_change", args=[job.pk]) in answer.text
        actions.carry_out_jobs(context=acting(None))
    assert set(Instance.objects.filter(state=State.RECYCLED)) == {*ours, theirs}


def test_what_is_of_more_accounts_than_anybody_looks_through_becomes_no_job(
    client, root, mallory, make_instance, monkeypatch
):
    monkeypatch.setattr(instances, "MAX_ACCOUNTS", 1)
    made = [make_instance(), make_instance(account=mallory.memberships.get().account)]
    data = {"action": "recycle", "select_across": "1", "_selected_action": [made[0].pk]}

    answer = client.post(reverse("admin:recycle_instance_changelist"), data, follow=True)

    assert "These are instances of more than 1 accounts. Filter by account." in answer.text
    assert not BatchJob.objects.exists()


def test_nothing_is_deleted_for_good_until_their_number_has_been_typed(client, root, make_instance):
    gone = make_instance(State.RECYCLED), make_instance(State.RECYCLED)
    data = {"action": "purge", "_selected_action": [each.pk for each in gone]}
    address = reverse("admin:recycle_instance_changelist")

    for wrong in ({}, {"confirm": ""}, {"confirm": "1"}, {"confirm": "two"}):
        page = client.post(address, {**data, **wrong})
        assert page.status_code == 200
        assert "Type 2, the number of selected instances, to confirm:" in page.text
        assert ("Type exactly what is asked for." in page.text) is ("confirm" in wrong)
        assert all(f'value="{each.pk}"' in page.text for each in gone)
    assert not Instance.objects.filter(state=State.PURGED).exists()

    client.post(address, {**data, "confirm": " 2 "})
    assert Instance.objects.filter(state=State.PURGED).count() == 2


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.model_name)
@pytest.mark.parametrize("key", ["x", "9" * 30])
@pytest.mark.both
def test_what_cannot_be_a_key_is_no_error_of_ours(client, root, one_of_each, model, key):
    action, *_ = admin.site._registry[model].actions or ["delete_selected"]
    data = {"action": action, "_selected_action": [key]}

    response = client.post(reverse(f"admin:recycle_{model._meta.model_name}_changelist"), data)

    # Where nothing is ever done to rows, the list is shown.
    assert response.status_code in (200, 302)


@pytest.mark.parametrize("model", [Instance, Event])
def test_the_admins_own_delete_is_off(client, root, model, recycled, rf):
    request = rf.get("/")
    request.user = root

    assert "delete_selected" not in admin.site._registry[model].get_actions(request)
    assert not admin.site._registry[model].has_delete_permission(request)


def test_state_and_times_are_read_only(client, root, recycled):
    url = reverse("admin:recycle_instance_change", args=[recycled.pk])

    response = client.post(
        url, {"name": "renamed", "image_name": "", "state": "active", "purge_at_0": "2030-01-01"}
    )

    before = recycled.purge_at
    recycled.refresh_from_db()
    assert response.status_code == 302
    assert (recycled.name, recycled.state, recycled.purge_at) == ("renamed", State.RECYCLED, before)


def test_an_account_with_instances_cannot_be_deleted_with_them(client, root, recycled):
    url = reverse("admin:recycle_account_delete", args=[recycled.account_id])

    client.post(url, {"post": "yes"})

    assert Instance.objects.filter(pk=recycled.pk).exists()


# --- What comes along with every page -------------------------------------------------------------


def chosen_by_typing():
    """Every field whose rows are looked for while one types: its model and its name."""
    for model, edit in admin.site._registry.items():
        for each in (edit, *(inline(model, admin.site) for inline in edit.inlines)):
            yield from ((each.model._meta.model_name, name) for name in each.autocomplete_fields)


@pytest.mark.parametrize(("model", "field"), sorted(set(chosen_by_typing())))
def test_what_is_looked_for_while_one_types_comes_in_an_order(
    client, root, one_of_each, model, field
):
    asked = {"app_label": "recycle", "model_name": model, "field_name": field, "term": ""}

    response = client.get(reverse("admin:autocomplete"), asked)

    # Without an order this is a warning, and warnings are errors here.
    assert response.status_code == 200
    assert response.json()["results"]


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.model_name)
def test_every_list_has_an_order_of_its_own(rf, model):
    assert admin.site._registry[model].get_ordering(rf.get("/"))


ICON = re.compile(r'<link rel="icon"[^>]+>')


def test_every_page_of_the_admin_has_the_icon_of_the_console(client, root, account):
    console = client.get(reverse("recycle:overview"))
    addresses = [
        reverse("admin:index"),
        reverse("admin:recycle_account_changelist"),
        reverse("admin:recycle_account_add"),
        reverse("admin:recycle_account_change", args=[account.pk]),
        reverse("admin:recycle_account_history", args=[account.pk]),
        reverse("admin:recycle_account_delete", args=[account.pk]),
        reverse("admin:auth_user_password_change", args=[root.pk]),
    ]

    icons = [ICON.findall(client.get(address).text) for address in addresses]

    assert len(ICON.findall(console.text)) == 1
    assert icons == [ICON.findall(console.text)] * len(addresses)


# --- What others rest on --------------------------------------------------------------------------


MODELS = list(apps.get_app_config("recycle").get_models())
EDITED = [model for model in admin.site._registry if model._meta.app_label == "recycle"]


def is_chosen(key):
    """Whether people chose this primary key: it is no number and nothing drawn."""
    return key.editable and not isinstance(key, models.AutoField)


def rested_on(model):
    """The fields no edit may touch: a chosen key or a reference to one, and both sides of every
    agreement.
    """
    names = {model._meta.pk.name}
    names |= {
        field.name
        for field in model._meta.fields
        if isinstance(field, models.ForeignKey) and is_chosen(field.related_model._meta.pk)
    }
    for owner in MODELS:
        for each in owner._meta.constraints:
            if isinstance(each, Agreement) and owner is model:
                names |= set(each.fields)
            if isinstance(each, Agreement) and each.target(owner)[0] is model:
                names |= set(each.target_fields(owner)) - {model._meta.pk.name}
    return names


def test_what_is_rested_on_is_found():
    assert rested_on(Zone) == {"code", "region"}
    assert rested_on(Region) == {"code"}
    assert rested_on(Volume) == {"id", "instance", "account", "zone", "project_number"}
    assert rested_on(Instance) == {"id", "account", "zone", "instance_type", "project_number"}


@pytest.fixture
def one_of_each(make_instance, bind, make_address, make_balancer, account, alice, root):
    """A row of every model, bound to others wherever it can be."""
    bind(make_instance())
    make_address(load_balancer=make_balancer())
    apps.get_model("recycle", "RetentionRule").objects.create(account=account, key="env")
    make_job(account, alice)


def make_job(account, by):
    about = {"account": account, "action": Action.STOP, "by": by, "by_name": by.get_username()}
    return BatchJob.objects.create(
        total=1, created_at=timezone.now(), turn_at=timezone.now(), **about
    )


@pytest.mark.parametrize("model", EDITED, ids=lambda model: model._meta.model_name)
def test_what_others_rest_on_is_in_no_form_of_the_admin(rf, root, one_of_each, model):
    request = rf.get("/")
    request.user = root
    edit = admin.site._registry[model]
    row = model._default_manager.first()

    shown = set(edit.get_form(request, row, change=True).base_fields) if row else set()
    inlines = {
        (inline.model, name)
        for inline in edit.get_inline_instances(request, row)
        for name in inline.get_formset(request, row).form.base_fields
    }

    assert shown & rested_on(model) == set()
    assert set(edit.list_editable) & rested_on(model) == set()
    assert [(each, name) for each, name in inlines if name in rested_on(each)] == []


def test_the_admin_does_nothing_to_many_rows_but_what_is_known(rf, root):
    request = rf.get("/")
    request.user = root

    acts = {name for edit in admin.site._registry.values() for name in edit.get_actions(request)}

    assert acts == {"delete_selected", "deactivate", "recycle", "restore", "purge"}


class Filled(HTMLParser):
    """The form of a page as a browser would send it when nothing is touched."""

    def __init__(self, text):
        super().__init__()
        self.data, self.select, self.area = {}, "", ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        name, kind = given.get("name") or "", given.get("type", "text")
        if tag == "select":
            self.select = name
        elif tag == "option" and self.select and "selected" in given:
            self.data[self.select] = given.get("value", "")
        elif tag == "textarea":
            self.area = name
            self.data[name] = ""
        elif (
            tag == "input"
            and name
            and kind != "submit"
            and (kind not in ("checkbox", "radio") or "checked" in given)
        ):
            self.data[name] = given.get("value") or ""

    def handle_endtag(self, tag):
        if tag == "select":
            self.select = ""
        if tag == "textarea":
            self.area = ""

    def handle_data(self, data):
        if self.area:
            self.data[self.area] += data


@pytest.fixture
def others(one_of_each, account, alice, make_instance, make_listener, make_tag, far_zone):
    """For each model something else to point to."""
    shape = {"family": "S6", "vcpu": 2, "memory_gb": 4}
    listener = make_listener()
    made = [
        Account.objects.create(name="Another"),
        InstanceType.objects.create(name="S6.2B", **shape),
        User.objects.create_user("another"),
        *(
            far_zone,
            far_zone.region,
            make_instance(),
            listener,
            listener.load_balancer,
            make_tag("another"),
            make_job(account, alice),
        ),
    ]
    return {type(row): row.pk for row in made}


@pytest.mark.parametrize("model", EDITED, ids=lambda model: model._meta.model_name)
def test_what_is_sent_all_the_same_changes_nothing(client, others, model):
    row = model._default_manager.exclude(pk=others.get(model)).order_by("pk").first()
    url = reverse(f"admin:recycle_{model._meta.model_name}_change", args=[row.pk if row else 0])
    page = client.get(url)
    changed = {
        name: others[field.related_model] if isinstance(field, models.ForeignKey) else "another"
        for name in rested_on(model)
        for field in [model._meta.get_field(name)]
    }
    before = list(model._default_manager.order_by("pk").values("pk", *changed))

    response = client.post(url, Filled(page.text).data | changed)

    assert list(model._default_manager.order_by("pk").values("pk", *changed)) == before
    # The rest of the form is fine, so that it was saved: or nothing is ever changed here.
    mine = "_save" in page.text
    assert response.status_code == (302 if mine and row else 403 if row else response.status_code)


def test_a_volume_is_made_in_an_account_and_a_zone(client, root, account, zone):
    page = client.get(reverse("admin:recycle_volume_add"))
    data = Filled(page.text).data | {
        "account": account.pk,
        "zone": zone.pk,
        "type": "SSD3.0",
        "size_gb": 40,
    }
    data |= {"created_at_0": "2026-11-01", "created_at_1": "12:00:00"}

    response = client.post(reverse("admin:recycle_volume_add"), data)

    assert response.status_code == 302
    volume = Volume.objects.get()
    assert (volume.account, volume.zone, volume.instance) == (account, zone, None)


def test_a_listener_belongs_where_its_load_balancer_does(client, root, make_balancer):
    balancer = make_balancer()
    page = client.get(reverse("admin:recycle_listener_add"))
    data = Filled(page.text).data | {"load_balancer": balancer.pk, "protocol": "TCP", "port": 80}
    data |= {"created_at_0": "2026-11-01", "created_at_1": "12:00:00"}

    response = client.post(reverse("admin:recycle_listener_add"), data)

    assert response.status_code == 302
    assert list(Listener.objects.values_list("account", "region")) == [
        (balancer.account_id, balancer.region_id)
    ]
