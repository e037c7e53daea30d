"""Names, reasons and tags are seen as they are, wherever they come from."""

import inspect
import string
import unicodedata

import pytest
from django import forms
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

import recycle.forms
import recycle.forms.resources
import recycle.forms.verbs
from recycle.lifecycle import State
from recycle.models import Event, Instance, LoadBalancer, Tag
from recycle.models.folded import FoldedField
from recycle.text import as_seen, check_text, fold
from tests.conftest import HTMX

NOTHING_TO_SEE = [
    "\u200b",
    "\u200d\u2060",
    "\ufeff",
    "\u00ad",
    "\u3164",
    "\u2800\u115f",
    "\u034f\ufe0f",
    " \u3000 ",
]
NOT_TAKEN = [
    "a\u202eb",
    "\u2066a\u2069",
    "a\u200fb",
    "a\tb",
    "a\nb",
    "a\x00b",
    "a\x7fb",
    "a\x9bb",
    "a\u2028b",
    "a\ud800",
]
TAKEN = ["web-01", "Ärger", "数据库 01", "می‌خواهم", "👩‍💻", "e\u0301", "½", "a b", "🇨🇳", "-"]

# What is looked for, compared or carried along, and never kept.
NOT_KEPT = {
    "announced", "as_of", "back", "by", "confirm", "cursor", "deleted_by", "near", "new_tags",
    "other", "q", "scope", "shown_zone", "tag",
    # Of who logs in, of a password and of a session.
    "login", "password", "old", "new", "again", "session",
}  # fmt: skip
# What the console writes itself, or what another list decides.
OURS = {
    *(("AuditEvent", name) for name in ("by_name", "kind", "subject_id", "subject_name")),
    ("Instance", "recycled_by_name"),
    ("Event", "by_name"), ("Event", "instance_name"), ("Event", "resource_id"),
    ("Event", "resource_name"),
    ("Instance", "held_by"), ("Instance", "last_error"), ("Instance", "retention"),
    ("Instance", "retention_subject"),
    ("Sweep", "name"),
    ("BatchJob", "by_name"), ("BatchJob", "chosen"), ("JobItem", "name"), ("JobItem", "detail"),
    ("Session", "session_key"), ("Session", "session_data"),
    ("Instance", "system_disk_type"), ("Volume", "type"), ("Volume", "mount_point"),
    ("Account", "billing_time_zone"),
}  # fmt: skip


@pytest.mark.parametrize("text", [*NOTHING_TO_SEE, *NOT_TAKEN])
def test_what_cannot_be_seen_is_refused(text):
    with pytest.raises(ValidationError):
        check_text(text)


@pytest.mark.parametrize("text", TAKEN)
def test_what_people_call_things_is_taken(text):
    check_text(text)


@given(
    st.text(
        st.characters(
            categories=["L", "N", "P", "S"], exclude_characters="\u115f\u1160\u2800\u3164\uffa0"
        ),
        min_size=1,
    )
)
def test_what_shows_something_is_taken(text):
    check_text(text)


@pytest.mark.slow
@given(st.text(min_size=1))
def test_nothing_that_is_taken_controls_anything(text):
    try:
        check_text(text)
    except ValidationError:
        return
    assert not {unicodedata.category(each) for each in text} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(each) for each in text} & {
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"
    }  # fmt: skip


def forms_of(module):
    return {
        each
        for _name, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, forms.BaseForm)
    }


def test_every_field_that_is_kept_is_checked():
    """A form that keeps text, and a model that holds it, refuse what cannot be seen: none was
    forgotten.
    """
    found = (
        forms_of(recycle.forms) | forms_of(recycle.forms.verbs) | forms_of(recycle.forms.resources)
    )
    unchecked = {
        f"{form.__name__}.{name}"
        for form in found
        for name, field in form.base_fields.items()
        if type(field) is forms.CharField and name not in NOT_KEPT
    } | {
        f"{model.__name__}.{field.name}"
        for model in apps.get_app_config("recycle").get_models()
        for field in model._meta.local_fields
        if isinstance(field, models.CharField | models.TextField)
        and not isinstance(field, FoldedField)
        and not field.choices
        and check_text not in field.validators
        and model.__name__ != "User"
        and (model.__name__, field.name) not in OURS
    }

    assert len(found) > 20
    assert not unchecked


@pytest.mark.django_db
@pytest.mark.parametrize("bad", ["\u200b\u200b", "we\u202eb"])
def test_pages_refuse_it_with_a_sentence_and_change_nothing(
    client, alice, account, zone, make_instance, bad
):
    client.force_login(alice)
    instance = make_instance()
    scope = f"{account.pk}:"
    asked = [
        (reverse("recycle:delete"), {"ids": instance.pk, "confirmed": "1", "reason": bad}),
        (
            reverse("recycle:create_tag"),
            {"key": bad, "value": "x", "confirmed": "1", "scope": scope},
        ),
        (
            reverse("recycle:create_tag"),
            {"key": "x", "value": bad, "confirmed": "1", "scope": scope},
        ),
        (
            reverse("recycle:create_balancer"),
            {
                "name": bad,
                "region": zone.region_id,
                "type": "public",
                "confirmed": "1",
                "scope": scope,
            },
        ),
        (reverse("recycle:hold"), {"ids": instance.pk, "confirmed": "1", "reason": bad}),
    ]

    answers = [client.post(url, sent, headers=HTMX) for url, sent in asked]

    assert {answer.status_code for answer in answers} <= {400, 422}
    for answer in answers:
        assert "are not taken." in answer.text or "There is nothing to see in it." in answer.text
    assert Instance.objects.get().state == State.ACTIVE
    for model in (Event, Tag, LoadBalancer):
        assert not model.objects.exists()


@pytest.mark.django_db
def test_the_admin_refuses_it(client, make_instance, django_user_model):
    instance = make_instance(name="web")
    client.force_login(django_user_model.objects.create_superuser("root"))

    answer = client.post(
        reverse("admin:recycle_instance_change", args=[instance.pk]),
        {"name": "we\u202eb", "image_name": "Debian"},
    )

    assert "are not taken." in answer.text
    assert Instance.objects.get().name == "web"


# --- How texts are compared -----------------------------------------------------------------------

SEEN = [
    ("web", "web"),
    ("  web   01 ", "web 01"),
    # No-break and ideographic space, tab, line break.
    ("web\u00a001", "web 01"),
    ("web\u3000\u3000服务器", "web 服务器"),
    ("web\t\n01", "web 01"),
    ("Mu\u0308nchen", "München"),
    ("ｗｅｂ－０１", "web-01"),
    # Zero-width, bidirectional, control characters and a variation selector cannot be typed.
    ("we\u200bb\u202e\u2066\ufeff", "web"),
    ("a \u200b b", "a b"),
    ("e\u200b\u0301", "é"),
    ("we\x07b", "web"),
    ("❤\ufe0f", "❤"),
    ("\u200b\u00a0", ""),
    # Case is seen.
    ("Web", "Web"),
]


@pytest.mark.parametrize(("text", "seen"), SEEN)
def test_what_is_seen(text, seen):
    assert as_seen(text) == seen


ALIKE = [
    ("ärger", "Ärger"),
    ("ärger", "A\u0308RGER"),
    ("сервер", "СЕРВЕР"),
    ("σας", "ΣΑΣ"),
    ("strasse", "Straße"),
    ("web-01", "ＷＥＢ－０１"),
    ("ｶﾞ", "ガ"),
    ("a b", "A\u3000\u00a0B"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_what_a_search_takes_for_the_same(one, other):
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"), [("e", "é"), ("и", "й"), ("o", "0"), ("web", "веб"), ("", " x")]
)
def test_what_a_search_tells_apart(one, other):
    assert fold(one) != fold(other)


@pytest.mark.parametrize("text", [string.printable[:95], "", " ", "  A  b ", "WEB-01\tx"])
def test_plain_text_is_folded_as_any_other(text):
    # A mark that nobody sees takes the longer way.
    assert fold(text) == fold(f"{text}\u200b") == fold(f"\u200b{text}")


# The dotless ı has the capital I, which belongs to i.
ODD = {"ı"}


@pytest.mark.slow
def test_no_letter_of_unicode_depends_on_its_case_or_composition():
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    spelled = [
        str.upper,
        str.lower,
        str.title,
        fold,
        as_seen,
        *(
            lambda letter, form=form: unicodedata.normalize(form, letter)
            for form in ("NFC", "NFD", "NFKC", "NFKD")
        ),
    ]

    different = {
        letter
        for spell in spelled
        for letter in every
        if (s := spell(letter)) != letter and fold(s) != fold(letter)
    }

    assert different == ODD
