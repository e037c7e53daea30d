"""Tags: create, add to instances, remove from instances, delete."""

from collections.abc import Collection
from operator import attrgetter

from django.db.models import QuerySet

from recycle.actions.context import Context
from recycle.actions.limits import Quota
from recycle.actions.outcome import Outcome
from recycle.actions.resources.base import (
    No,
    each,
    event,
    instances_of,
    is_too_much,
    look_up,
    look_up_instance,
    record_all,
    record_one,
    why_not_bind,
    why_not_unbind,
    why_not_unbind_all,
)
from recycle.lifecycle import ResourceAction
from recycle.models import Instance, InstanceTag, Kind, Tag
from recycle.policy import MOST_TAGS, Refusal


def create(tag: Tag, *, context: Context, dry_run: bool = False) -> Outcome:
    """Make a tag that is not saved yet; the same key and value are there once in an account."""

    def step(tag: Tag) -> No | None:
        # Of two who create the same one, the second looks when the first is done.
        quota = Quota(tag.account_id, lock=not dry_run)
        same = Tag.objects.filter(account=tag.account_id, key=tag.key, value=tag.value).first()
        if same is not None:
            return No(Refusal.ALREADY, same)
        if quota.left_for(Tag) < 1:
            return No(Refusal.QUOTA)
        if dry_run:
            return None
        tag.save(force_insert=True)
        record_one(context, ResourceAction.CREATE, Kind.TAG, tag, account_id=tag.account_id)
        return None

    return each(ResourceAction.CREATE, [tag], step, context=context, dry_run=dry_run)


def why_not_add(tag: Tag | None, instance: Instance | None, *, has: Collection[int]) -> No | None:
    """Why a tag cannot be added to an instance that has tags with the ids in `has`."""
    if instance is None or tag is None or tag.account_id != instance.account_id:
        return No(Refusal.GONE)
    if tag.pk in has:
        return No(Refusal.ALREADY, instance)
    return why_not_bind(instance) or (
        No(Refusal.TOO_MANY, instance) if len(has) >= MOST_TAGS else None
    )


def add(
    tag: Tag, instances: QuerySet[Instance], *, context: Context, dry_run: bool = False
) -> Outcome:
    """Add a tag to instances, each of which takes MOST_TAGS."""

    def step(instance: Instance) -> No | None:
        target = look_up_instance(instance.pk, lock=not dry_run)
        # A shared lock would do; this one keeps the tag from being deleted in between.
        locked = look_up(Tag.objects.all(), tag.pk, lock=not dry_run)
        has = InstanceTag.objects.filter(instance=instance.pk).values_list("tag", flat=True)
        if no := why_not_add(locked, target, has=set(has)):
            return no
        if dry_run:
            return None
        assert target is not None
        assert locked is not None
        InstanceTag.objects.create(instance=target, tag=locked)
        record_one(
            context,
            ResourceAction.BIND,
            Kind.TAG,
            locked,
            account_id=target.account_id,
            instance=target,
        )
        return None

    return each(ResourceAction.BIND, instances, step, context=context, dry_run=dry_run)


def take_off(
    instance_tags: QuerySet[InstanceTag], *, context: Context, dry_run: bool = False
) -> Outcome:
    """Take tags off instances; the tags themselves stay."""

    def step(instance_tag: InstanceTag) -> No | None:
        instance = look_up_instance(instance_tag.instance_id, lock=not dry_run)
        locked = look_up(InstanceTag.objects.all(), instance_tag.pk, lock=not dry_run)
        if locked is None or instance is None:
            return No(Refusal.GONE)
        if no := why_not_unbind(instance):
            return no
        if dry_run:
            return None
        record_one(
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
        ResourceAction.UNBIND,
        instance_tags.select_related("instance", "tag"),
        step,
        context=context,
        dry_run=dry_run,
        account_of=attrgetter("instance.account_id"),
    )


def remove(
    tags: QuerySet[Tag], *, unbind: bool = False, context: Context, dry_run: bool = False
) -> Outcome:
    """Delete tags. One that is on an instance is refused, or with `unbind` taken off first."""

    def step(tag: Tag) -> No | None:
        tagged = InstanceTag.objects.filter(tag=tag.pk)
        if unbind and is_too_much(tagged):
            return No(Refusal.TOO_WIDE)
        instances = instances_of(tagged, lock=not dry_run) if unbind else set()
        locked = look_up(Tag.objects.all(), tag.pk, lock=not dry_run)
        if locked is None:
            return No(Refusal.GONE)
        rows = locked.instance_tags.select_related("instance").order_by("pk")
        # One is enough to refuse for.
        on = list(rows if unbind else rows[:1])
        if no := why_not_unbind_all(on, instances, unbind=unbind):
            return no
        if dry_run:
            return None
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
        record_one(
            context,
            ResourceAction.REMOVE,
            Kind.TAG,
            locked,
            account_id=locked.account_id,
            instances=len(on),
        )
        locked.delete()
        return None

    return each(ResourceAction.REMOVE, tags, step, context=context, dry_run=dry_run)
