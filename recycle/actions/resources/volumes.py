"""EBS volumes: create, attach, detach, delete."""

from collections.abc import Collection

from django.db.models import QuerySet

from recycle.actions.context import Context
from recycle.actions.limits import Quota
from recycle.actions.outcome import Outcome
from recycle.actions.resources.base import (
    No,
    each,
    lock,
    lock_instance,
    may,
    record,
    why_not_bind,
    why_not_unbind,
)
from recycle.lifecycle import ResourceAction
from recycle.models import Instance, Kind, Volume
from recycle.policy import Refusal

# Data volumes on one instance. The vendor's pages say 8 in one place and 32 in another.
MOST_VOLUMES = 8
MOUNT_POINTS = tuple(f"/dev/vd{letter}" for letter in "bcdefghi")


def create(volume: Volume, *, context: Context) -> Outcome:
    """Make a volume that is not saved yet, within the account's quota."""

    def step(volume: Volume) -> No | None:
        if not may(context, volume.account_id):
            return No(Refusal.ROLE)
        quota = Quota(volume.account_id, lock=True)
        if quota.left_for(Volume) < 1 or quota.gb_left() < volume.size_gb:
            return No(Refusal.QUOTA)
        volume.save(force_insert=True)
        record(context, ResourceAction.CREATE, Kind.VOLUME, volume, account_id=volume.account_id)
        return None

    return each(ResourceAction.CREATE, [volume], context, step)


def why_not_attach(
    volume: Volume | None, instance: Instance | None, *, taken: Collection[str]
) -> No | None:
    """Why a volume cannot be attached to an instance, of which `taken` are the mount points of what
    it has.
    """
    if instance is None or volume is None or volume.account_id != instance.account_id:
        return No(Refusal.GONE)
    if volume.instance is not None:
        return No(
            Refusal.ALREADY if volume.instance_id == instance.pk else Refusal.TAKEN, volume.instance
        )
    if no := why_not_bind(instance):
        return no
    if volume.zone_id != instance.zone_id:
        return No(Refusal.OTHER_ZONE, instance)
    if len(taken) >= MOST_VOLUMES or mount_point(taken) is None:
        return No(Refusal.TOO_MANY, instance)
    return None


def mount_point(taken: Collection[str], wanted: str = "") -> str | None:
    """The one wanted when it is free, or else the first that is; None when all are taken."""
    free = [point for point in MOUNT_POINTS if point not in taken]
    return wanted if wanted in free else next(iter(free), None)


def attach(
    volumes: QuerySet[Volume],
    instance: Instance,
    *,
    context: Context,
    delete_with_instance: bool | None = None,
    wanted: str = "",
) -> Outcome:
    """Attach volumes to an instance of their zone, at the mount point that is `wanted` if it is
    free.

    `delete_with_instance` None leaves the volume's own setting.
    """

    def step(volume: Volume) -> No | None:
        if not may(context, volume.account_id):
            return No(Refusal.ROLE)
        target = lock_instance(instance.pk)
        locked = lock(Volume.objects.all(), volume.pk)
        taken = list(
            Volume.objects.filter(instance=instance.pk).values_list("mount_point", flat=True)
        )
        if no := why_not_attach(locked, target, taken=taken):
            return no
        assert target is not None
        assert locked is not None
        locked.instance, locked.mount_point = target, mount_point(taken, wanted) or ""
        if delete_with_instance is not None:
            locked.delete_with_instance = delete_with_instance
        locked.save(update_fields=["instance", "mount_point", "delete_with_instance"])
        record(
            context,
            ResourceAction.BIND,
            Kind.VOLUME,
            locked,
            account_id=locked.account_id,
            instance=target,
            mount_point=locked.mount_point,
        )
        return None

    return each(ResourceAction.BIND, volumes, context, step)


def detach(volumes: QuerySet[Volume], *, context: Context) -> Outcome:
    return each(ResourceAction.UNBIND, volumes, context, lambda volume: _detach(volume, context))


def _detach(volume: Volume, context: Context) -> No | None:
    if not may(context, volume.account_id):
        return No(Refusal.ROLE)
    instance = lock_instance(volume.instance_id)
    locked = lock(Volume.objects.all(), volume.pk)
    if locked is None:
        return No(Refusal.GONE)
    if locked.instance_id is None:
        return No(Refusal.NOT_BOUND)
    if instance is None or locked.instance_id != instance.pk:
        return No(Refusal.CHANGED)
    if no := why_not_unbind(instance):
        return no
    locked.instance, locked.mount_point, locked.delete_with_instance = None, "", False
    locked.save(update_fields=["instance", "mount_point", "delete_with_instance"])
    record(
        context,
        ResourceAction.UNBIND,
        Kind.VOLUME,
        locked,
        account_id=locked.account_id,
        instance=instance,
    )
    return None


def remove(volumes: QuerySet[Volume], *, context: Context, unbind: bool = False) -> Outcome:
    """Delete volumes for good. An attached one is refused, or with `unbind` detached first."""

    def step(volume: Volume) -> No | None:
        if not may(context, volume.account_id):
            return No(Refusal.ROLE)
        if volume.instance_id is not None:
            if not unbind:
                return No(Refusal.BOUND, volume.instance)
            if no := _detach(volume, context):
                return no
        locked = lock(Volume.objects.all(), volume.pk)
        if locked is None:
            return No(Refusal.GONE)
        if locked.instance_id is not None:
            return No(Refusal.BOUND, locked.instance)
        record(
            context,
            ResourceAction.REMOVE,
            Kind.VOLUME,
            locked,
            account_id=locked.account_id,
            size_gb=locked.size_gb,
            type=locked.type,
        )
        locked.delete()
        return None

    return each(ResourceAction.REMOVE, volumes.select_related("instance"), context, step)
