"""Tags: create, add to instances, remove from instances, delete."""

from collections.abc import Collection

from django.db.models import QuerySet

from recycle.actions.context import Context
from recycle.actions.limits import Quota
from recycle.actions.outcome import Outcome
from recycle.actions.resources.base import (
    No,
    each,
    event,
    is_too_much,
    lock,
    lock_instance,
    lock_instances_of,
    may,
    record,
    record_all,
    why_not_bind,
    why_not_unbind,
    why_not_unbind_all,
)
from recycle.lifecycle import ResourceAction
from recycle.models import Instance, InstanceTag, Kind, Tag
from recycle.policy import MOST_TAGS, Refusal


def create(tag: Tag, *, context: Context) -> Outcome:
    """Make a tag that is not saved yet; the same key and value are there once in an account."""

    def step(tag: Tag) -> No | None:
        if not may(context, tag.account_id):
            return No(Refusal.ROLE)
        # Of two who create the same one, the second looks when the first is done.
        quota = Quota(tag.account_id, lock=True)
        same = Tag.objects.filter(account=tag.account_id, key=tag.key, value=tag.value).first()
        if same is not None:
            return No(Refusal.ALREADY, same)
        if quota.left_for(Tag) < 1:
            return No(Refusal.QUOTA)
        tag.save(force_insert=True)
        record(context, ResourceAction.CREATE, Kind.TAG, tag, account_id=tag.account_id)
        return None

    return each(ResourceAction.CREATE, [tag], context, step)


def why_not_add(tag: Tag | None, instance: Instance | None, *, has: Collection[int]) -> No | None:
    """Why a tag cannot be added to an instance that has tags with the ids in `has`."""
    if instance is None or tag is None or tag.account_id != instance.account_id:
        return No(Refusal.GONE)
    if tag.pk in has:
        return No(Refusal.ALREADY, instance)
    return why_not_bind(instance) or (
        No(Refusal.TOO_MANY, instance) if len(has) >= MOST_TAGS else None
    )


def add(tag: Tag, instances: QuerySet[Instance], *, context: Context) -> Outcome:
    def step(instance: Instance) -> No | None:
        if not may(context, instance.account_id):
            return No(Refusal.ROLE)
        target = lock_instance(instance.pk)
        # A shared lock would do; this one keeps the tag from being deleted in between.
        locked = lock(Tag.objects.all(), tag.pk)
        has = InstanceTag.objects.filter(instance=instance.pk).values_list("tag", flat=True)
        if no := why_not_add(locked, target, has=set(has)):
            return no
        assert target is not None
        assert locked is not None
        InstanceTag.objects.create(instance=target, tag=locked)
        record(
            context,
            ResourceAction.BIND,
            Kind.TAG,
            locked,
            account_id=target.account_id,
            instance=target,
        )
        return None

    return each(ResourceAction.BIND, instances, context, step)


def take_off(instance_tags: QuerySet[InstanceTag], *, context: Context) -> Outcome:
    def step(instance_tag: InstanceTag) -> No | None:
        if not may(context, instance_tag.instance.account_id):
            return No(Refusal.ROLE)
        instance = lock_instance(instance_tag.instance_id)
        locked = lock(InstanceTag.objects.all(), instance_tag.pk)
        if locked is None or instance is None:
            return No(Refusal.GONE)
        if no := why_not_unbind(instance):
            return no
        record(
            context,
            ResourceAction.UNBIND,
            Kind.TAG,
            instance_tag.tag,
            account_id=instance.account_id,
            instance=instance,
        )
        locked.delete()
        return None

    return each(
        ResourceAction.UNBIND, instance_tags.select_related("instance", "tag"), context, step
    )


def remove(tags: QuerySet[Tag], *, context: Context, unbind: bool = False) -> Outcome:
    """Delete tags. One that is on an instance is refused, or with `unbind` taken off first."""

    def step(tag: Tag) -> No | None:
        if not may(context, tag.account_id):
            return No(Refusal.ROLE)
        tagged = InstanceTag.objects.filter(tag=tag.pk)
        if unbind and is_too_much(tagged):
            return No(Refusal.TOO_WIDE)
        instances = lock_instances_of(tagged) if unbind else set()
        locked = lock(Tag.objects.all(), tag.pk)
        if locked is None:
            return No(Refusal.GONE)
        rows = locked.instance_tags.select_related("instance").order_by("pk")
        # One is enough to refuse for.
        on = list(rows if unbind else rows[:1])
        if no := why_not_unbind_all(on, instances, unbind=unbind):
            return no
        record_all(
            context,
            [
                event(
                    context,
                    ResourceAction.UNBIND,
                    Kind.TAG,
                    locked,
                    account_id=locked.account_id,
                    instance=instance_tag.instance,
                )
                for instance_tag in on
            ],
        )
        record(
            context,
            ResourceAction.REMOVE,
            Kind.TAG,
            locked,
            account_id=locked.account_id,
            instances=len(on),
        )
        locked.delete()
        return None

    return each(ResourceAction.REMOVE, tags, context, step)
