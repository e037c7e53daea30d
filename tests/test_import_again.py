"""Importing again what was changed here meanwhile: nothing comes back, and nothing is passed over
without a word.
"""

from datetime import timedelta

import pytest

from recycle import actions
from recycle.actions.resources import addresses, balancers, tags, volumes
from recycle.models import (
    ElasticIP,
    Instance,
    InstanceTag,
    Listener,
    LoadBalancer,
    RealServer,
    Tag,
    Volume,
)
from recycle.policy import MOST_TAGS
from tests.conftest import acting
from tests.inventory import (
    a_balanced_web,
    a_tag,
    a_volume,
    an_eip,
    an_instance,
    bound_to,
    pk,
    snapshot,
)
from tests.test_import_real import DAY, ends, left_out

pytestmark = [pytest.mark.django_db, pytest.mark.both]

GONE = "deleted for good here, but not in these files"
TAKEN_OFF = "taken off here, but not in these files"


@pytest.fixture
def context(alice, now):
    return acting(alice, now)


@pytest.fixture
def everything(load, account):
    """An instance with one of each, imported; call it to import it again."""
    content = a_balanced_web() | {
        "AddressesSet": [bound_to("web")],
        "Volumes": [a_volume(InstanceId=pk("web"))],
        "Tags": [a_tag()],
    }

    def again(**options):
        return load(content, account=account.name, **options)

    again()
    return again


@pytest.mark.parametrize(
    ("model", "remove"),
    [
        (ElasticIP, addresses.remove),
        (Volume, volumes.remove),
        (Listener, balancers.remove_listeners),
        (LoadBalancer, balancers.remove),
    ],
)
def test_what_was_deleted_here_is_named_and_not_made_again(everything, context, model, remove):
    remove(model.objects.all(), context=context, unbind=True)
    before = snapshot()

    said = everything()

    assert snapshot() == before
    assert left_out(said, GONE) == 1


@pytest.mark.parametrize(
    ("model", "unbind"), [(InstanceTag, tags.take_off), (RealServer, balancers.deregister)]
)
def test_what_was_taken_off_here_is_named_and_not_put_on_again(everything, context, model, unbind):
    unbind(model.objects.all(), context=context)
    before = snapshot()

    said = everything()

    assert snapshot() == before
    assert left_out(said, TAKEN_OFF) == 1


def test_a_tag_that_was_deleted_here_is_not_made_again(everything, context):
    tags.remove(Tag.objects.all(), context=context, unbind=True)

    assert left_out(everything(), TAKEN_OFF) == 1
    assert not Tag.objects.exists()


def test_a_tag_that_was_taken_off_and_put_on_again_counts_as_there(everything, context):
    tags.take_off(InstanceTag.objects.all(), context=context)
    tags.add(Tag.objects.get(), Instance.objects.all(), context=context)
    InstanceTag.objects.all().delete()

    everything()

    assert InstanceTag.objects.count() == 1


@pytest.mark.parametrize("moved", [False, True])
def test_a_volume_that_went_with_its_instance_here_does_not_come_back(
    load, account, context, moved
):
    """Whatever the files say of `DeleteWithInstance`, and whichever instance it was on here."""
    content = {
        "InstancesSet": [
            an_instance("web", ChargeType="HourlyInstantSettlement"),
            an_instance("other", ChargeType="HourlyInstantSettlement"),
        ],
        "Volumes": [a_volume(InstanceId=pk("web"))],
    }
    load(content, account=account.name)
    on = Instance.objects.get(name="other" if moved else "web")
    if moved:
        volumes.detach(Volume.objects.all(), context=context)
        volumes.attach(Volume.objects.all(), on, context=context)
    Volume.objects.update(delete_with_instance=True)
    actions.delete(Instance.objects.filter(pk=on.pk), may_release=True, context=context)
    assert not Volume.objects.exists()

    said = load(content, account=account.name)

    assert not Volume.objects.exists()
    assert pk("data") in said
    assert left_out(said, GONE) == 2


def test_nobody_elses_deletion_keeps_anything_out(everything, load, context):
    """What was deleted in one account may be imported into another, once it is gone there."""
    volumes.remove(Volume.objects.all(), context=context, unbind=True)

    said = load({"Volumes": [a_volume()]}, account="Another")

    assert "Created 1 EBS volume" in said


def test_a_binding_of_what_is_here_already_is_told_as_left_out(load):
    """Addresses and volumes first, then the instances they are bound to."""
    eips = [
        bound_to("web"),
        an_eip("b", PublicIp="120.92.1.2", State="associate", NetworkInterfaceId=pk("web nic")),
        an_eip(
            "c",
            PublicIp="120.92.1.3",
            State="associate",
            InstanceType="Slb",
            InstanceId=pk("front"),
        ),
        an_eip("d", PublicIp="120.92.1.4"),
    ]
    bound = {"AddressesSet": eips, "Volumes": [a_volume(InstanceId=pk("web")), a_volume("free")]}
    load(bound, region="cn-beijing-6")

    said = load(bound, a_balanced_web(), region="cn-beijing-6")
    after = load(bound, a_balanced_web(), region="cn-beijing-6")

    for each in (said, after):
        assert left_out(each, "bindings of EIPs that are here already, and unbound") == 3
        assert left_out(each, "bindings of EBS volumes that are here already, and unbound") == 1


def test_a_binding_that_is_here_as_well_is_not_told(everything):
    assert "unbound" not in everything()


def test_a_later_end_that_has_passed_too_takes_no_time_away(load, now):
    """Ten minutes would be left of its seven days, where one day was promised."""
    load({"InstancesSet": [an_instance(**ends(now - 11 * DAY))]}, accept_ended=True)
    promised = Instance.objects.get().purge_at
    sooner = an_instance(**ends(now - 7 * DAY + timedelta(minutes=10)))
    later = an_instance(**ends(now - 2 * DAY))

    load({"InstancesSet": [sooner]})
    actions.expire_due(context=acting(None))
    assert Instance.objects.get().purge_at == promised
    said = load({"InstancesSet": [later]})
    actions.expire_due(context=acting(None))

    assert left_out(said, "subscriptions that run longer in these files") == 1
    assert Instance.objects.filter(purge_at__gt=promised).exists()


def test_an_instance_gets_as_many_tags_as_it_may_have_and_the_rest_is_counted(load):
    some, more = (
        [a_tag(key=f"k{number:02}") for number in range(many)] for many in (4, MOST_TAGS + 3)
    )
    load({"InstancesSet": [an_instance()], "Tags": some})

    said = load({"Tags": more})

    assert left_out(said, f"tags beyond {MOST_TAGS} on an instance") == 3
    assert sorted(InstanceTag.objects.values_list("tag__key", flat=True)) == [
        f"k{number:02}" for number in range(MOST_TAGS)
    ]
    assert Tag.objects.count() == MOST_TAGS
