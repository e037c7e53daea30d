"""Changing one's own password, and which are refused."""

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.urls import reverse

from recycle import passwords
from recycle.models import User
from tests.entrance import AWAY, RIGHT, WRONG, count_hashes, entered, is_in, log_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("entrance")]

GOOD = "seven lamps over Dunhuang"


def change(client, old=RIGHT, new=GOOD, again=None):
    answer = {"old": old, "new": new, "again": new if again is None else again}
    return client.post(reverse("recycle:password"), answer)


def test_the_password_is_changed_and_all_other_sessions_end(client, alice):
    here, there = entered(), entered(AWAY)
    key = here.session.session_key

    answer = change(here)

    assert answer["Location"] == reverse("recycle:sessions")
    alice.refresh_from_db()
    assert alice.check_password(GOOD)
    assert (is_in(here), is_in(there)) == (True, False)
    assert alice.sessions.count() == 1
    # Who has seen the old cookie of this browser is out as well.
    assert here.session.session_key != key
    assert (
        "All your other sessions have ended."
        in answer.wsgi_request._messages._queued_messages[0].message
    )


@pytest.mark.parametrize("how", ["admin", "command"])
def test_another_hand_that_changes_the_password_ends_every_session(client, alice, how, monkeypatch):
    here = entered()
    if how == "admin":
        client.force_login(User.objects.create_superuser("root"))
        new = {"password1": GOOD, "password2": GOOD, "usable_password": "true"}
        assert client.post(f"/admin/recycle/user/{alice.pk}/password/", new).status_code == 302
    else:
        monkeypatch.setattr("getpass.getpass", lambda prompt="": GOOD)
        call_command("changepassword", "alice", verbosity=0)

    assert not is_in(here)
    entered_again = log_in(client, password=GOOD)
    assert entered_again.status_code == 302
    assert len(client.get(reverse("recycle:sessions")).context["sessions"]) == 1


@pytest.mark.parametrize(
    ("answer", "field", "words"),
    [
        ({"old": WRONG}, "old", "This is not your current password."),
        ({"again": "another"}, "again", "The two new passwords differ."),
        ({"new": RIGHT}, "new", "This is the current password."),
        ({"new": "short1!xyzq"}, "new", "at least 12 characters"),
        ({"new": "alicealice99"}, "new", "easily guessed"),
        ({"new": "x" * 2_000}, "new", "at most 1000 characters"),
        ({"old": ""}, "old", "This field is required."),
        ({"new": "nul\0nul nul nul"}, "new", "Null characters are not allowed."),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(client, alice, answer, field, words):
    here = entered()

    page = change(here, **answer)

    assert page.status_code == 422
    assert words in " ".join(page.context["form"].errors[field])
    assert next(iter(page.context["form"].errors)) == field
    alice.refresh_from_db()
    assert alice.check_password(RIGHT)
    assert not [line for line in page.text.splitlines() if "value" in line and RIGHT in line]


def test_the_old_password_cannot_be_guessed_here_either(client, alice, monkeypatch):
    here = entered()
    for _ in range(5):
        assert change(here, old=WRONG).status_code == 422
    hashed = count_hashes(monkeypatch)

    refused = change(here)

    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 300
    assert "Too many failed attempts." in refused.text
    assert hashed == []
    alice.refresh_from_db()
    assert alice.check_password(RIGHT)


def test_new_passwords_are_looked_at_only_for_who_knows_the_old_one(client, alice, monkeypatch):
    here = entered()

    def judged(*arguments):
        raise AssertionError("was looked at")

    monkeypatch.setattr(passwords, "is_guessable", judged)

    assert change(here, old=WRONG).status_code == 422
    with pytest.raises(AssertionError, match="was looked at"):
        change(here)


def test_without_a_password_there_is_none_to_change(client):
    user = User.objects.create_user("oidc")
    client.force_login(user)

    page = client.get(reverse("recycle:password"))
    answer = change(client, old="", new=GOOD)

    assert "so there is none to change" in page.text
    assert answer.status_code < 500
    user.refresh_from_db()
    assert not user.has_usable_password()


def test_a_busy_hasher_is_said_here_too(alice):
    here = entered()

    with passwords._one_at_a_time():
        answer = change(here)

    assert (answer.status_code, answer["Retry-After"]) == (503, str(passwords.AGAIN_AFTER))
    assert [change(here, old=WRONG).status_code for _ in range(5)] == [422] * 5


# --- Which are refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [
        *(
            "zhangwei1990",
            "wangxiaoming1",
            "woaini1314520",
            "zhangsanfeng88",
            "lidongmei19880808",
            "chenjiahao2001",
        ),
        *("李伟李伟张伟19900101", "我爱你我爱你我爱你我爱你", "恭喜发财恭喜发财2026"),
        *(
            "michael19850101",
            "jennifer1988smith",
            "elizabethmary",
            "Password1234",
            "P@ssw0rd2026!",
            "iloveyou12345",
        ),
        *(
            "qwertyuiop12",
            "1qaz2wsx3edc",
            "aaaaaaaaaaaaa",
            "123456789012",
            "abcdefghijkl",
            "19900101199001",
        ),
        *(
            "kingsoft@2026",
            "admin@123456",
            "kec-console-1",
            "RecycleBin2026",
            "alice-in-beijing",
            "Oscar12345678",
        ),
    ],
)
def test_common_names_words_and_patterns_are_refused(password):
    user = User(username="alice", first_name="Oscar", email="oscar@example.com")

    with pytest.raises(ValidationError):
        validate_password(password, user)


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", GOOD, "xK3_d9fQz-1p", "vkq8rw2mzt4x", "月落乌啼霜满天 江枫渔火"],
)
def test_others_are_taken(password):
    validate_password(password, User(username="alice"))


@pytest.mark.parametrize(
    "password",
    ["4@8({[<369|!1/|0$5+7%2" * 40, "pa|+48dragon3e69pass10572" * 40, "王" * 1_000, "1" * 1_000],
)
def test_judging_looks_at_few_readings_whatever_the_password(password, monkeypatch):
    from zxcvbn import matching

    read = []
    enumerate_readings = matching.enumerate_l33t_subs

    def counting(table):
        found = enumerate_readings(table)
        read.append(len(found))
        return found

    monkeypatch.setattr(matching, "enumerate_l33t_subs", counting)

    passwords.is_guessable(password)

    # Without a limit, 20 signs have 768 readings, and each of them is searched for words.
    assert sum(read) <= 64
