"""Projects: what people do to them, what is in them, and who sees and does what there."""

import pytest
from django.urls import reverse

from recycle import policy
from recycle.actions import projects
from recycle.actions.resources import balancers
from recycle.lifecycle import ResourceAction, State
from recycle.models import (
    Account,
    ElasticIP,
    Event,
    Instance,
    InstanceTag,
    Listener,
    LoadBalancer,
    Membership,
    Project,
    ProjectRole,
    RealServer,
    User,
    Volume,
)
from recycle.policy import Refusal, Role
from tests.conftest import HTMX, acting, send
from tests.deeds import DEEDS
from tests.test_crawl import pages_of
from tests.test_roles import refused_by_action

pytestmark = [pytest.mark.django_db]

WEB, SECRET = 1, 2


@pytest.fixture
def web(account):
    return Project.objects.create(account=account, number=WEB, name="Web")


@pytest.fixture
def secret(account):
    return Project.objects.create(account=account, number=SECRET, name="Secret")


def restricted(account, *roles):
    """A member with these roles in these projects."""
    rita = User.objects.create_user("rita")
    # What this role allows counts no more.
    Membership.objects.create(user=rita, account=account, role=Role.ADMINISTRATOR, restricted=True)
    for project, role in roles:
        ProjectRole.objects.create(user=rita, project=project, role=role)
    return rita


def default_of(account):
    return account.projects.get(number=0)


# --- Projects themselves --------------------------------------------------------------------------


def test_every_account_has_a_default_project_whoever_makes_it(client, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("root"))
    inlines = {f"memberships-{name}": "0" for name in ("TOTAL_FORMS", "INITIAL_FORMS")}

    client.post(reverse("admin:recycle_account_add"), {"name": "Made in the admin", **inlines})
    Account.objects.create(name="Made by a command")

    assert [str(each) for each in Project.objects.all()] == ["Default Project"] * 2


@pytest.mark.both
def test_a_project_is_made_renamed_disabled_and_in_the_log(client, alice, account):
    client.force_login(alice)

    def do(verb, *rows, **answer):
        assert send(client, verb, *rows, **answer).status_code == 200

    do("create_project", name="Web")
    made = account.projects.get(name="Web")
    do("rename_project", made, name="Shop")
    do("disable_projects", made)
    page = client.get(reverse("recycle:projects")).text

    made.refresh_from_db()
    assert (made.number, made.name, bool(made.disabled_at)) == (1, "Shop", True)
    assert "Shop" in page
    assert "Default Project" in page
    told = Event.objects.filter(kind="project").order_by("id").values_list("action", flat=True)
    assert list(told) == ["create", "update", "update"]
    assert send(client, "create_project", name="Shop").status_code == 422


def test_the_default_project_is_never_disabled(alice, account):
    outcome = projects.disable(account.projects.all(), context=acting(alice))

    assert [each.refusal for each in outcome.refused] == [Refusal.DEFAULT_PROJECT]


# --- What is in them ------------------------------------------------------------------------------


@pytest.mark.both
def test_rows_of_all_four_lists_move_and_the_log_says_so(
    client, alice, web, make_instance, make_volume, make_address, make_balancer
):
    client.force_login(alice)
    rows = {
        "move_instances": make_instance(),
        "move_volumes": make_volume(),
        "move_addresses": make_address(),
        "move_balancers": make_balancer(),
    }

    for verb, row in rows.items():
        asked = client.get(reverse(f"recycle:{verb}"), {"ids": row.pk}, headers=HTMX)
        assert "Web" in asked.text
        send(client, verb, row, project=WEB)

    for row in rows.values():
        row.refresh_from_db()
        assert row.project_number == WEB
    events = Event.objects.filter(action=ResourceAction.MOVE)
    assert {event.changes[0] for event in events} == {"project: Default Project → Web"}
    assert events.count() == 4


def test_a_disabled_project_takes_nothing_new_and_keeps_what_it_has(
    client, alice, account, web, make_instance, now
):
    inside, outside = make_instance(project_number=WEB), make_instance()
    both = Instance.objects.filter(pk=outside.pk)
    projects.disable(Project.objects.filter(pk=web.pk), context=acting(alice))
    client.force_login(alice)

    outcome = projects.move(both, web, context=acting(alice))
    offered = client.get(reverse("recycle:create_volume"), headers=HTMX).text

    assert [each.refusal for each in outcome.refused] == [Refusal.DISABLED]
    assert "Default Project" in offered
    assert "Web" not in offered
    client.get(reverse("recycle:instances"), {"project": WEB})
    assert client.get(reverse("recycle:instances")).context["page"].rows == [inside]


def test_what_goes_through_the_bin_keeps_its_project(client, alice, web, make_instance):
    instance = make_instance(project_number=WEB)
    client.force_login(alice)

    send(client, "delete", instance)
    send(client, "restore", instance)

    instance.refresh_from_db()
    assert (instance.state, instance.project_number) == (State.STOPPED, WEB)
    told = Event.objects.filter(instance_id=instance.pk).values_list("project_number", flat=True)
    assert set(told) == {WEB}


def test_a_volume_is_made_in_the_project_that_was_chosen(client, alice, web, zone, account):
    client.force_login(alice)
    answer = {"zone": zone.pk, "type": "SSD3.0", "size_gb": 40, "billing_mode": "Daily"}
    token = "0b8ff5a2-0000-4000-8000-000000000001"

    send(client, "create_volume", project=WEB, token=token, **answer)

    assert Volume.objects.get().project_number == WEB


def test_the_chosen_project_stays_until_another_window_chose_one(
    client, alice, account, web, make_instance
):
    make_instance(name="outside"), make_instance(name="inside", project_number=WEB)
    client.force_login(alice)

    page = client.get(reverse("recycle:instances"), {"project": WEB})
    piece = {**HTMX, "X-Scope": f"{account.pk}:"}
    other = client.get(reverse("recycle:overview"), headers=piece)

    assert [row.name for row in page.context["page"].rows] == ["inside"]
    assert other.status_code == 409
    assert "All projects" in page.text
    everything = client.get(reverse("recycle:instances"), {"project": ""})
    assert len(everything.context["page"].rows) == 2


def test_an_account_with_one_project_says_nothing_of_projects(client, alice, make_instance):
    make_instance()
    client.force_login(alice)

    page = client.get(reverse("recycle:instances")).text

    assert "project=" not in page
    assert "Move to project" not in page


# --- Roles in projects ----------------------------------------------------------------------------

# What concerns the account as a whole, tags included: nobody may do it who is restricted.
OF_ACCOUNT = {
    *(name for name in DEEDS if name.startswith(("keeping.", "projects."))),
    *("jobs.cancel", "jobs.retry_failed", "resources.tags.create", "resources.tags.remove"),
    # That order has a new tag.
    "create.create",
} - {"projects.move"}
ASKED = {name: deed.needs for name, deed in DEEDS.items() if deed.needs}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR])
def test_a_role_in_projects_allows_what_is_in_them_and_nothing_of_the_account(world, account, role):
    rita = restricted(account, *((project, role) for project in account.projects.all()))

    refused = {name for name in ASKED if refused_by_action(name, rita, world)}

    allowed = {name for name, needs in ASKED.items() if policy.may(role, needs)}
    assert refused == ASKED.keys() - (allowed - OF_ACCOUNT)


def test_a_role_in_one_project_allows_nothing_in_another(world, account, secret_of_world):
    rita = restricted(account, (secret_of_world, Role.ADMINISTRATOR))

    refused = {name for name in ASKED if refused_by_action(name, rita, world)}

    # Its chunks ask for each instance, when they are carried out.
    assert ASKED.keys() - refused == {"jobs.request_job"}


@pytest.fixture
def secret_of_world(world, account):
    return Project.objects.create(account=account, number=9, name="Elsewhere")


def test_who_is_restricted_to_no_project_sees_nothing(client, account, make_instance, bind):
    bind(make_instance())
    client.force_login(restricted(account))

    for name in ("instances", "volumes", "addresses", "balancers", "tags", "log", "bin"):
        assert client.get(reverse(f"recycle:{name}")).context["page"].rows == []


# --- Nothing of another project -------------------------------------------------------------------


@pytest.fixture
def ours(
    account, web, secret, alice, make_instance, bind, make_volume, make_address, make_tag, client
):
    """An instance of a project, bound to some of its own and to some of another project, in which
    there is one of everything as well; both in use and in the bin.
    """
    ours, theirs = make_instance(name="ours"), make_instance(name="secret-web")
    gone, gone_there = make_instance(name="gone"), make_instance(name="secret-gone")
    for instance, number, prefix in (
        (ours, WEB, ""),
        (gone, WEB, ""),
        (theirs, SECRET, "secret-"),
        (gone_there, SECRET, "secret-"),
    ):
        bind(instance)
        balancer = LoadBalancer.objects.get(listeners__real_servers__instance=instance)
        balancer.name = f"{prefix}front-{instance.name}"
        volumes = list(instance.volumes.all())
        for row in (balancer, instance, *volumes, *instance.elastic_ips.all()):
            row.project_number = number
            if row in volumes:
                row.name = f"{prefix}disk"
            row.save()
    shared = {"project_number": SECRET, "mount_point": "/dev/vdd"}
    make_volume(name="secret-of-ours", instance=ours, **shared)
    make_volume(name="secret-of-gone", instance=gone, **shared)
    make_volume(name="mine", project_number=WEB, instance=theirs, mount_point="/dev/vdd")
    front = LoadBalancer.objects.get(name="front-ours")
    make_address(load_balancer=front, project_number=SECRET)
    listener = front.listeners.get()
    RealServer.objects.create(
        listener=listener, instance=theirs, address=theirs.private_ip, port=99
    )
    client.force_login(alice)
    for instance in (gone, gone_there):
        send(client, "delete", instance)
    for instance in (ours, theirs):
        for verb in ("stop", "start"):
            send(client, verb, instance)
    client.logout()
    return Instance.objects.get(pk=ours.pk)


def hidden():
    """What nobody is to be told who is not in that project."""
    found = {"secret"}
    for model in (Instance, Volume, LoadBalancer, ElasticIP):
        rows = model.objects.filter(project_number=SECRET)
        found |= {str(pk) for pk in rows.values_list("pk", flat=True)}
    return found | set(
        ElasticIP.objects.filter(project_number=SECRET).values_list("address", flat=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_nothing_of_another_project_is_on_any_page(client, account, web, ours, headers):
    client.force_login(restricted(account, (web, Role.ADMINISTRATOR)))
    secrets = hidden()
    told, visited = [], 0

    for address, response, text in pages_of(client, headers):
        visited += 1
        assert response.status_code < 500, address
        told += [f"{each} at {address}" for each in secrets if each in text.lower()]

    assert visited > 40
    assert told == []


def test_nothing_of_another_project_is_counted_searched_or_found(client, account, web, ours):
    client.force_login(restricted(account, (web, Role.ADMINISTRATOR)))

    def rows(name, **query):
        return client.get(reverse(f"recycle:{name}"), query).context["page"].rows

    assert [str(row) for row in rows("instances")] == ["ours"]
    assert [str(row) for row in rows("bin")] == ["gone"]
    for name in ("instances", "volumes", "addresses", "balancers", "bin", "log"):
        assert rows(name, q="secret") == [], name
    overview = client.get(reverse("recycle:overview")).context
    assert sum(each["count"].number for each in overview["stats"]) == 1
    assert overview["in_bin"].number == 1
    assert "quota" not in overview
    theirs = Instance.objects.get(name="secret-web")
    for name in ("instance", "instance_menu", "former"):
        assert client.get(reverse(f"recycle:{name}", args=[theirs.pk])).status_code == 404
    suggested = client.get(reverse("recycle:suggest", args=["instance"]), {"other": "secret"})
    assert "secret" not in suggested.text
    [tag] = rows("tags")
    assert tag.instance_count == InstanceTag.objects.filter(instance=ours).count() == 1


def test_nothing_of_another_project_is_bound(client, account, web, ours, make_volume):
    client.force_login(restricted(account, (web, Role.ADMINISTRATOR)))
    theirs = Instance.objects.get(name="secret-web")
    free = make_volume(name="free", project_number=WEB)

    answers = [
        send(client, "attach", free, other=str(theirs.pk)),
        send(client, "attach_volume", ours, other="secret-of-gone"),
    ]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert send(client, "move_instances", ours, project=SECRET).status_code == 422
    free.refresh_from_db()
    assert free.instance is None
    assert not ours.volumes.filter(name="secret-of-gone").exists()


def test_what_names_servers_of_another_project_is_told_to_nobody_restricted(
    account, alice, web, secret, make_listener, make_balancer, make_instance, now
):
    rita = restricted(account, (web, Role.OPERATOR))
    listener = make_listener(load_balancer=make_balancer(project_number=WEB))
    theirs = make_instance(project_number=SECRET)
    server = {"listener": listener, "instance": theirs, "address": theirs.private_ip}
    RealServer.objects.create(**server, port=80)

    balancers.remove_listeners(Listener.objects.all(), unbind=True, context=acting(alice, now))

    assert Event.objects.filter(action="remove").get().detail["real_servers"]
    assert not Event.objects.visible_to(rita).exists()
    assert Event.objects.visible_to(alice).count() == 2
