"""Forms know who asks and about which account, and no page: any edge can read them."""

import ast
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.http import QueryDict
from django.utils import timezone

from recycle.forms import VERBS, InstanceFilter, NamedForm, Scope, WholeScope
from recycle.forms.resources import AttachForm, VolumeFilter, VolumeForm
from recycle.lifecycle import Action, State
from recycle.models import User, Volume
from tests.conftest import acting

# What an edge is made of.
OF_PAGES = ("recycle.http", "recycle.views", "recycle.login", "django.contrib.messages")


def imported_by(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_no_form_imports_anything_of_a_page():
    files = list(Path(settings.BASE_DIR, "recycle", "forms").rglob("*.py"))

    found = {
        (path.name, name)
        for path in files
        for name in imported_by(path)
        if name and name.startswith(OF_PAGES)
    }

    assert len(files) > 15
    assert found == set()


@pytest.fixture
def scope(alice, account):
    return Scope(alice, account, timezone.now())


def asked(**fields):
    data = QueryDict(mutable=True)
    for name, value in fields.items():
        data.setlist(name, [str(each) for each in (value if isinstance(value, list) else [value])])
    return data


@pytest.mark.django_db
def test_a_selection_is_read_with_no_request_anywhere(scope, make_instance):
    one, other = make_instance(name="one"), make_instance(name="two")
    shown = InstanceFilter(asked(q="two"), scope=scope)

    named = VERBS[Action.STOP].form(asked(ids=[one.pk], mode="StopCharging"), scope=scope)
    matching = VERBS[Action.RENEW].form(
        asked(all=1, as_of=timezone.now().isoformat(), months=3), scope=scope, shown=shown
    )

    assert named.is_valid()
    assert matching.is_valid()
    assert list(named.cleaned_data["instances"]) == [one]
    assert named.parameters(retyped=False) == {"no_fees": True}
    assert list(matching.cleaned_data["instances"]) == [other]
    assert matching.parameters(retyped=False) == {"months": 3}


@pytest.mark.django_db
def test_a_selection_of_a_stranger_is_refused_with_no_request_anywhere(
    mallory, account, make_instance
):
    stranger = Scope(mallory, account, timezone.now())

    form = VERBS[Action.START].form(asked(ids=[make_instance().pk]), scope=stranger)

    assert not form.is_valid()
    assert "instances" not in form.cleaned_data


@pytest.mark.django_db
def test_only_a_superuser_names_instances_of_every_account(alice, make_instance):
    one, now = make_instance(), timezone.now()
    root = User.objects.create_superuser("root")

    of_root = VERBS[Action.START].form(asked(ids=[one.pk]), scope=WholeScope(root, None, now))
    of_alice = VERBS[Action.START].form(asked(ids=[one.pk]), scope=WholeScope(alice, None, now))

    assert of_root.is_valid()
    assert list(of_root.cleaned_data["instances"]) == [one]
    assert not of_alice.is_valid()


@pytest.mark.django_db
def test_all_that_match_means_nothing_without_a_filter(scope, make_instance):
    make_instance()

    form = VERBS[Action.PURGE].form(asked(all=1, as_of=timezone.now().isoformat()), scope=scope)

    assert not form.is_valid()


@pytest.mark.django_db
def test_dialogs_and_filters_of_resources_are_read_with_no_request_anywhere(
    scope, make_instance, make_volume
):
    instance, volume = make_instance(), make_volume()
    rows = Volume.objects.visible_to(scope.by).of(scope.account)

    named = NamedForm(asked(ids=[volume.pk]), rows=rows)
    attach = AttachForm(asked(other=instance.pk), scope=scope, rows=[volume])
    new: Any = VolumeForm(asked(), scope=scope).fields["zone"]
    listed = VolumeFilter(asked(status="available"), scope=scope)

    assert named.is_valid()
    assert list(named.named) == [volume]
    assert attach.is_valid()
    assert attach.cleaned_data["other"] == instance
    assert volume.zone_id in dict(new.choices)
    assert listed.is_valid()
    assert list(listed.narrow(rows)) == [volume]


@pytest.mark.parametrize(
    ("action", "fields", "plain", "retyped"),
    [
        (Action.START, {}, {}, {}),
        (Action.STOP, {"mode": "KeepCharging"}, {"no_fees": False}, {"no_fees": False}),
        # What is released at once is so only when that has been confirmed as such.
        (Action.DELETE, {"confirm": "yes"}, {"may_release": False}, {"may_release": True}),
        (Action.EXTEND, {"hours": 6}, *[{"longer": timedelta(hours=6)}] * 2),
        (Action.HOLD, {"reason": "court"}, {"review_on": None}, {"review_on": None}),
    ],
)
@pytest.mark.django_db
def test_each_action_says_its_parameters(scope, make_instance, action, fields, plain, retyped):
    form = VERBS[action].form(asked(ids=[make_instance(State.ACTIVE).pk], **fields), scope=scope)

    assert form.is_valid(), form.errors
    assert form.parameters(retyped=False) == plain
    assert form.parameters(retyped=True) == retyped


# What has to be answered.
ANSWERS: dict[Action, dict[str, object]] = {
    Action.RENAME: {"name": "web"},
    Action.RESIZE: {"instance_type": "N3.2B"},
    Action.RESET_PASSWORD: {"password": "Sesame123", "password_again": "Sesame123"},
    Action.SCHEDULE: {"delete_at": "2030-01-01T12:00"},
}


@pytest.mark.parametrize("action", VERBS)
@pytest.mark.django_db
def test_each_action_takes_what_its_form_gives_and_is_what_it_is_called(
    scope, alice, make_instance, action
):
    fields = {"reason": "court", **ANSWERS.get(action, {})}
    form = VERBS[action].form(asked(ids=[make_instance().pk], **fields), scope=scope)
    assert form.is_valid(), form.errors

    outcome = VERBS[action].carry_out(
        form.cleaned_data["instances"],
        context=acting(alice, reason="court"),
        limit=1,
        dry_run=True,
        **form.parameters(retyped=True),
    )

    assert outcome.action == action
    assert len(outcome.done) + len(outcome.refused) == 1
