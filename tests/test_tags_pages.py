"""Tags as people meet them."""

from uuid import uuid4

import pytest
from django.urls import reverse

from recycle.lifecycle import State
from recycle.models import InstanceTag, Tag
from tests.conftest import HTMX, send

pytestmark = [pytest.mark.django_db, pytest.mark.both]


@pytest.fixture
def instance(make_instance):
    return make_instance(name="web")


def tags_of(instance):
    return sorted(str(each.tag) for each in instance.instance_tags.select_related("tag"))


def create(client, headers=HTMX, **answer):
    answer = {"confirmed": "1", "token": uuid4(), "key": "env", "value": "prod", **answer}
    return client.post(reverse("recycle:create_tag"), answer, headers=headers)


# --- List and page -------------------------------------------------------------------------------


def test_the_search_looks_in_key_and_value(client, alice, make_tag):
    prod, test, team = make_tag("env", "prod"), make_tag("env", "test"), make_tag("team", "search")
    client.force_login(alice)

    def found(text):
        return set(client.get(reverse("recycle:tags"), {"q": text}).context["page"].rows)

    assert found("ENV") == {prod, test}
    assert found("sea") == {team}
    assert found("env=prod") == {prod}
    assert found("=") == {prod, test, team}


def test_the_list_counts_instances_and_leads_to_them(client, alice, make_tag, instance):
    tag = make_tag("a b", "c&d")
    InstanceTag.objects.create(instance=instance, tag=tag)
    client.force_login(alice)

    page = client.get(reverse("recycle:tags")).text
    link = f"{reverse('recycle:instances')}?tagged={tag.pk}&amp;region="

    assert link in page
    assert client.get(link.replace("&amp;", "&")).context["page"].rows == [instance]


def test_the_page_shows_the_instances_that_have_it(client, alice, make_tag, instance):
    tag = make_tag("env", "prod")
    InstanceTag.objects.create(instance=instance, tag=tag)
    client.force_login(alice)

    page = client.get(reverse("recycle:tag", args=[tag.pk])).text

    assert reverse("recycle:instance", args=[instance.pk]) in page


# --- Create --------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
@pytest.mark.parametrize(
    ("key", "value"), [("env", "prod"), ("k" * 128, "v" * 255), ("团队", ""), ("a=b", "c=d")]
)
def test_a_tag_is_created(client, oscar, headers, key, value):
    client.force_login(oscar)

    create(client, headers, key=key, value=value)

    assert [(tag.key, tag.value) for tag in Tag.objects.all()] == [(key, value)]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("", "a"),
        (" ", "a"),
        ("k" * 129, ""),
        ("k", "v" * 256),
        ("ksc-a", ""),
        ("KSC", ""),
        ("a", "Ksc:b"),
    ],
)
def test_what_makes_no_sense_is_said(client, alice, key, value):
    client.force_login(alice)

    response = create(client, key=key, value=value)

    assert response.status_code == 422
    assert "errorlist" in response.text
    assert not Tag.objects.exists()


def test_a_tag_is_there_once(client, alice, make_tag):
    tag = make_tag("env", "prod")
    client.force_login(alice)

    response = create(client)

    assert response.status_code == 422
    assert "It is there already." in response.text
    assert reverse("recycle:tag", args=[tag.pk]) in response.text
    assert Tag.objects.count() == 1


# --- Add and remove ------------------------------------------------------------------------------


def test_tags_are_added_to_an_instance(client, oscar, make_tag, instance):
    tags = [make_tag("env", "prod"), make_tag("team", "search")]
    InstanceTag.objects.create(instance=instance, tag=tags[0])
    client.force_login(oscar)

    response = send(client, "add_tags", *tags, other="web")

    assert tags_of(instance) == ["env=prod", "team=search"]
    assert "Bound 1 tag." in response.text
    assert "env=prod: It is there already." in response.text


@pytest.mark.parametrize(
    ("key", "value"), [("env", "prod"), ("env", ""), ("a=b", "c"), ("a", "b=c")]
)
def test_a_tag_is_added_to_several_instances(client, alice, make_tag, make_instance, key, value):
    tag, instances = make_tag(key, value), [make_instance(), make_instance()]
    client.force_login(alice)

    response = send(client, "add_tag", *instances, other=str(tag))

    assert "Bound the tag to 2 instances." in response.text
    assert [tags_of(each) for each in instances] == [[str(tag)]] * 2


def test_a_tag_that_is_not_there_is_said(client, alice, make_tag, instance):
    make_tag("env", "prod")
    client.force_login(alice)

    for other in ("env", "env=test", "", "prod", "=" * 500, "\x00"):
        assert send(client, "add_tag", instance, other=other).status_code == 422
    assert tags_of(instance) == []


def test_what_is_in_the_bin_is_not_tagged(client, alice, make_tag, make_instance):
    binned = make_instance(State.RECYCLED)
    make_tag("env", "prod")
    client.force_login(alice)

    response = send(client, "add_tag", binned, other="env=prod")

    assert "It is in the recycle bin." in response.text


def test_tags_are_removed_from_an_instance(client, alice, make_tag, instance, make_instance):
    on, off = make_tag("env", "prod"), make_tag("team", "search")
    another = make_instance()
    for each in (instance, another):
        InstanceTag.objects.create(instance=each, tag=on)
    client.force_login(alice)

    response = send(client, "remove_tags", on, off, other="web")

    assert tags_of(instance) == []
    assert tags_of(another) == ["env=prod"]
    assert "Unbound 1 tag." in response.text
    assert "team=search: It is not bound." in response.text


def test_a_tag_is_taken_off_the_instances_that_are_named_on_its_page(
    client, alice, make_tag, make_instance
):
    tag, instances = make_tag("env", "prod"), [make_instance() for _ in range(3)]
    on = [InstanceTag.objects.create(instance=each, tag=tag) for each in instances]
    page = reverse("recycle:tag", args=[tag.pk])
    client.force_login(alice)

    response = send(client, "take_off_tags", *on[:2], headers={}, back=page)

    assert "Unbound the tag from 2 instances." in client.get(response.url).text
    assert [tags_of(each) for each in instances] == [[], [], ["env=prod"]]


# --- Delete --------------------------------------------------------------------------------------


def test_a_tag_in_use_is_refused_with_who_has_it_or_taken_off_first(
    client, alice, make_tag, instance
):
    tag = make_tag("env", "prod")
    InstanceTag.objects.create(instance=instance, tag=tag)
    client.force_login(alice)

    refused = send(client, "delete_tags", tag)
    assert f'<a href="{reverse("recycle:instance", args=[instance.pk])}">web</a>' in refused.text
    assert Tag.objects.exists()

    dialog = client.get(reverse("recycle:delete_tags"), {"ids": tag.pk})
    assert "Deleted 1 tag." in send(
        client, "delete_tags", tag, unbind="1", announced=dialog.context["announced"]
    ).text  # fmt: skip
    assert not Tag.objects.exists()
    assert tags_of(instance) == []
