"""The Chinese console: everything that people read is translated, and what is compiled is what is
written.
"""

import ast
import re
from html.parser import HTMLParser
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from babel.messages import Catalog
from babel.messages.mofile import read_mo
from django.apps import apps
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from recycle import actions
from recycle.lifecycle import Action, State
from recycle.management.commands import translations
from recycle.models import AuditAction, AuditEvent, Instance, Sweep, User
from recycle.models.folded import FoldedField
from recycle.policy import BillingMode, Role
from recycle.views import errors
from tests.client import Client
from tests.conftest import HTMX, acting, make_user

ZH = "zh-hans"
NOBODY = UUID(int=7)
VERBS = (
    "start",
    "stop",
    "restart",
    "delete",
    "renew",
    "restore",
    "purge",
    "extend",
    "protect",
    "unprotect",
    "hold",
    "unhold",
    "retry",
)
LISTS = ("instances", "bin", "expired", "quarantine", "log")
REST = ("create", "retention", "volumes", "addresses", "balancers", "tags")

# Names of things, the same in every language.
NAMES = {
    "KEC",
    "SLB",
    "EIP",
    "EBS",
    "VPC",
    "vCPU",
    "CSV",
    "UTC",
    "English",
    "SSD",
    "HTTP",
    "Mbps",
    "BGP",
}
NAMES |= {"Debian", "Ubuntu", "CentOS", "Rocky Linux", "Windows Server", "EHDD", "Local_SSD", "KSC"}
# Programs, as somebody who runs the console types them.
PROGRAMS = {"worker", "beat", "manage.py import_inventory"}
# What the fixtures call things.
DATA = {"web", "Acme Research", "alice", "front", "data", "scratch", "env", "prod"}


# --- The catalogue --------------------------------------------------------------------------------


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)[sd]|%%|\{\w*\}|</?\w+[^>]*>", text))


def forms(text: Any) -> list[str]:
    """A message with plural forms has a tuple of texts in one file, a list in the other."""
    return [text] if isinstance(text, str) else list(text)


def known(catalogue: Catalog) -> dict[Any, list[str]]:
    return {
        (*forms(message.id), message.context): forms(message.string)
        for message in catalogue
        if message.id
    }


def test_every_message_is_translated():
    missing = [
        message.id
        for message in translations.merged()
        if message.id and not translations.is_translated(message)
    ]

    assert not missing, "Run `manage.py translations`, and translate what it names."


def test_translations_keep_their_placeholders():
    wrong = []
    for message in translations.translated():
        # Chinese has one form; it has to carry what the plural carries.
        (string,) = forms(message.string)
        if message.id and placeholders(string) != placeholders(forms(message.id)[-1]):
            wrong.append(message.id)

    assert not wrong


def test_the_catalogue_names_what_is_in_the_code_and_nothing_else():
    catalogue = translations.translated()

    assert not catalogue.obsolete
    assert known(catalogue).keys() == known(translations.merged()).keys()


def test_what_is_compiled_is_what_is_written():
    written = BytesIO(translations.compiled(translations.translated()))

    with translations.COMPILED.open("rb") as compiled:
        assert known(read_mo(compiled)) == known(read_mo(written)), "Run `manage.py translations`."


def test_no_call_hides_its_text_from_the_extraction():
    """Inside an f-string, for one, the text is not found."""
    found = {forms(message.id)[0] for message in translations.extracted()}
    hidden = []
    for place in ("recycle", "console"):
        for path in (translations.BASE / place).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                match node:
                    case ast.Call(func=ast.Name(id=name), args=args) if (
                        name in translations.KEYWORDS
                    ):
                        text = args[1 if "pgettext" in name else 0]
                        if isinstance(text, ast.Constant) and text.value not in found:
                            hidden.append(f"{path.name}: {text.value!r}")

    assert not hidden


# --- The pages ------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """What people see or hear of a page: its text, and the attributes that are shown or
    read out.
    """

    SHOWN = {
        "title",
        "alt",
        "placeholder",
        "aria-label",
        "data-empty",
        "data-some",
        "data-all",
        "data-needs-selection",
    }

    def __init__(self, page: str) -> None:
        super().__init__()
        self.silent = 0
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in ("script", "style")
        # The template carries what the page's script has to say.
        told = [name for name, _ in attrs if tag == "template" and name not in ("id", "data-icons")]
        self.words += [value or "" for name, value in attrs if name in self.SHOWN or name in told]

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in ("script", "style")

    def handle_data(self, text: str) -> None:
        if not self.silent:
            self.words.append(text)


def english(words: list[str]) -> list[str]:
    """What is left of the Latin alphabet when names, ids and data are taken out."""
    names = "|".join(map(re.escape, sorted(NAMES | PROGRAMS | DATA, key=len, reverse=True)))
    code = r"[\w.]+=\w+|\b[0-9a-f]{8}-[0-9a-f-]+\b|\b[a-z]+-[\w-]*\d\w*\b|\bE?SSD\S*|/dev/\w+|\{n\}"
    left = [re.sub(rf"{code}|\b(?:{names})\b", " ", word) for word in words]
    return [word.strip() for word in left if re.search(r"[A-Za-z]{3}", word)]


@pytest.fixture
def reader(client: Client) -> Client:
    """A browser that asks for Chinese."""
    client.cookies["django_language"] = ZH
    return client


@pytest.fixture
def everything(make_instance, bind, alice: User, now) -> list[Instance]:
    """An instance of every kind, some of them bound, and a log of what happened to them."""
    kinds = [(State.ACTIVE, mode) for mode in BillingMode] + [
        (State.STOPPED, mode) for mode in BillingMode
    ]
    instances = [make_instance(state, mode) for state, mode in kinds]
    instances.append(make_instance(State.STOPPED, BillingMode.HOURLY, no_fees=True))
    instances.append(make_instance(State.ACTIVE, BillingMode.DAILY, created_at=now))
    instances += [make_instance(state) for state in (State.EXPIRED, State.RECYCLED, State.PURGED)]
    for instance in instances[:3]:
        bind(instance)
    gone = make_instance(State.ACTIVE)
    bind(gone)
    actions.delete(
        Instance.objects.filter(pk=gone.pk), may_release=False, context=acting(alice, now)
    )
    failing = {"attempts": 1, "retry_at": now, "last_error": "1"}
    instances.append(make_instance(State.RECYCLED, **failing))
    instances.append(gone)
    return instances


@pytest.mark.parametrize("name", ["overview", *LISTS, *REST])
def test_a_page_is_chinese(reader, alice, everything, name):
    reader.force_login(alice)

    response = reader.get(reverse(f"recycle:{name}"))

    assert response.status_code == 200
    assert english(Reader(response.text).words) == []


@pytest.mark.parametrize("name", ["overview", *LISTS, *REST])
def test_an_empty_page_is_chinese(reader, alice, name):
    Sweep.objects.create(name="purge_due", ran_at=timezone.now())
    reader.force_login(alice)

    for query in ("", "?q=9"):
        response = reader.get(reverse(f"recycle:{name}") + query)

        assert english(Reader(response.text).words) == []


def test_the_audit_log_is_chinese(reader, alice, now):
    User.objects.update(is_superuser=True)
    reader.force_login(alice)
    for action in AuditAction:
        AuditEvent.objects.create(
            at=now,
            action=action,
            kind="user",
            subject_name="alice",
            by_name="alice",
            detail={"changes": {"is_active": [True, False]}},
        )
    AuditEvent.objects.create(at=now, action="login_failed", kind="user", count=2, last_at=now)

    for query in ("", "?q=9"):
        response = reader.get(reverse("recycle:audit") + query)

        assert response.status_code == 200
        assert english(Reader(response.text).words) == []
    head = (
        reader.get(reverse("recycle:export_audit")).getvalue().decode("utf-8-sig").splitlines()[0]
    )
    assert english([head]) == []


def test_the_page_of_an_instance_is_chinese(reader, alice, everything):
    reader.force_login(alice)

    for instance in everything:
        response = reader.get(reverse("recycle:instance", args=[instance.pk]))

        assert english(Reader(response.text).words) == []


@pytest.mark.parametrize("verb", VERBS)
def test_a_dialog_and_its_outcome_are_chinese(reader, alice, everything, verb):
    reader.force_login(alice)
    ids = [str(instance.pk) for instance in everything]

    dialog = reader.get(reverse(f"recycle:{verb}"), {"ids": ids})
    refused = reader.post(
        reverse(f"recycle:{verb}"), {"ids": ids, "confirmed": "1", "confirm": "0"}, headers=HTMX
    )
    expected = re.search(r'data-must-equal="([^"]*)"', dialog.text)
    confirm = expected[1] if expected else ""
    answer = {"ids": ids, "confirmed": "1", "confirm": confirm, "reason": "7"}
    outcome = reader.post(reverse(f"recycle:{verb}"), answer, headers=HTMX)

    for response in (dialog, refused, outcome):
        assert english(Reader(response.text).words) == []
    assert "toast" in outcome.text


@pytest.mark.parametrize("query", ["", "?ids=1", f"?ids={NOBODY}", "?all=1", "?ids=1&scope=0:"])
def test_a_refused_request_is_chinese(reader, alice, everything, query):
    reader.force_login(alice)

    response = reader.get(reverse("recycle:delete") + query, headers=HTMX)

    assert "toast" in response.text
    assert english(Reader(response.text).words) == []


def test_what_a_viewer_may_not_do_is_said_in_chinese(reader, account, everything):
    reader.force_login(make_user("7", account, Role.VIEWER))

    for path in (reverse("recycle:bin"), reverse("recycle:instances"), reverse("recycle:restore")):
        assert english(Reader(reader.get(path).text).words) == []


@pytest.mark.parametrize("name", ["export_instances", "export_bin", "export_expired", "export_log"])
def test_the_head_of_an_export_is_chinese(reader, alice, name):
    reader.force_login(alice)

    head = reader.get(reverse(f"recycle:{name}")).getvalue().decode("utf-8-sig").splitlines()[0]

    assert english(head.split(",")) == []


@pytest.mark.django_db
def test_the_login_is_chinese(reader):
    page = reader.get(reverse("login"))
    refused = reader.post(reverse("login"), {"login": "1", "password": "1"})

    assert english(Reader(page.text).words) == []
    assert english(Reader(refused.text).words) == []


@pytest.mark.django_db
def test_error_pages_are_chinese(reader, alice, rf):
    reader.force_login(alice)
    reader.handler.enforce_csrf_checks = True
    forged = reader.post(reverse("recycle:restore"))
    missing = reader.get(reverse("recycle:instance", args=[NOBODY]))
    with override(ZH):
        pages = [
            view(rf.get("/"), Exception())
            for view in (errors.bad_request, errors.permission_denied)
        ]
        pages.append(errors.server_error(rf.get("/")))

    assert (forged.status_code, missing.status_code) == (403, 404)
    for page in (forged, missing, *pages):
        assert english(Reader(page.text).words) == []


@pytest.mark.django_db
def test_the_browser_decides_before_anybody_chooses(client):
    chinese = client.get(reverse("login"), headers={"accept-language": "zh-CN,zh;q=0.9,en;q=0.8"})
    german = client.get(reverse("login"), headers={"accept-language": "de"})

    assert "登录" in chinese.text
    assert "Log in" in german.text


def test_models_and_choices_are_chinese():
    with override(ZH):
        words: list[Any] = [choice.label for choice in (*State, *Action, *BillingMode, *Role)]
        for model in apps.get_app_config("recycle").get_models():
            words += [model._meta.verbose_name, model._meta.verbose_name_plural]
            # A folded column is shown to nobody.
            shown = [
                field for field in model._meta.concrete_fields if not isinstance(field, FoldedField)
            ]
            words += [field.verbose_name for field in shown]

        assert english([str(word) for word in words]) == []
