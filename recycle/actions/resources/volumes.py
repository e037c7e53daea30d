"""EBS volumes: create, attach, detach, delete."""

from collections.abc import Collection

from django.db.models import QuerySet

from recycle.actions.context import Context
from recycle.actions.limits import Quota
from recycle.actions.outcome import Outcome
from recycle.actions.resources.base import (
    No,
    each,
    look_up,
    look_up_instance,
    record_one,
    why_not_bind,
    why_not_in,
    why_not_unbind,
)
from recycle.lifecycle import ResourceAction
from recycle.models import Instance, Kind, Volume
from recycle.policy import Refusal

# Data volumes on one instance. The vendor's pages say 8 in one place and 32 in another.
MOST_VOLUMES = 8
MOUNT_POINTS = tuple(f"/dev/vd{letter}" for letter in "bcdefghi")


def create(volume: Volume, *, context: Context, dry_run: bool = False) -> Outcome:
    """Make a volume that is not saved yet, within the account's quota."""

    def step(volume: Volume) -> No | None:
        quota = Quota(volume.account_id, lock=not dry_run)
        if no := why_not_in(volume):
            return no
        if quota.left_for(Volume) < 1 or quota.gb_left() < volume.size_gb:
            return No(Refusal.QUOTA)
        if dry_run:
            return None
        volume.save(force_insert=True)
        record_one(
            context, ResourceAction.CREATE, Kind.VOLUME, volume, account_id=volume.account_id
        )
        return None

    return each(ResourceAction.CREATE, [volume], step, context=context, dry_run=dry_run)


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
    delete_with_instance: bool | None = None,
    wanted: str = "",
    context: Context,
    dry_run: bool = False,
) -> Outcome:
    """Attach volumes to an instance of their zone, at the mount point that is `wanted` if it is
    free.

    `delete_with_instance` None leaves the volume's own setting.
    """
    # The mount points that a dry run would have given to the volumes before.
    given: list[str] = []

    def step(volume: Volume) -> No | None:
        target = look_up_instance(instance.pk, lock=not dry_run)
        locked = look_up(Volume.objects.all(), volume.pk, lock=not dry_run)
        attached = Volume.objects.filter(instance=instance.pk)
        taken = [*attached.values_list("mount_point", flat=True), *given]
        if no := why_not_attach(locked, target, taken=taken):
            return no
        point = mount_point(taken, wanted) or ""
        if dry_run:
            given.append(point)
            return None
        assert target is not None
        assert locked is not None
        locked.instance, locked.mount_point = target, point
        if delete_with_instance is not None:
            locked.delete_with_instance = delete_with_instance
        locked.save(update_fields=["instance", "mount_point", "delete_with_instance"])
        record_one(
            context,
            ResourceAction.BIND,
            Kind.VOLUME,
            locked,
            account_id=locked.account_id,
            instance=target,
            mount_point=locked.mount_point,
        )
        return None

    bind = ResourceAction.BIND
    return each(bind, volumes, step, context=context, dry_run=dry_run, other=instance)


def detach(volumes: QuerySet[Volume], *, context: Context, dry_run: bool = False) -> Outcome:
    """Detach volumes from their instances; the account keeps them."""

    def step(volume: Volume) -> No | None:
        instance = look_up_instance(volume.instance_id, lock=not dry_run)
        locked = look_up(Volume.objects.all(), volume.pk, lock=not dry_run)
        if no := _why_not_detach(locked, instance):
            return no
        if not dry_run:
            _detach(locked, instance, context)
        return None

    return each(ResourceAction.UNBIND, volumes, step, context=context, dry_run=dry_run)


def _why_not_detach(volume: Volume | None, instance: Instance | None) -> No | None:
    """Why a volume cannot be detached from the instance that it was on when it was chosen."""
    if volume is None:
        return No(Refusal.GONE)
    if volume.instance_id is None:
        return No(Refusal.NOT_BOUND)
    if instance is None or volume.instance_id != instance.pk:
        return No(Refusal.CHANGED)
    return why_not_unbind(instance)


def _detach(volume: Volume | None, instance: Instance | None, context: Context) -> None:
    assert volume is not None
    assert instance is not None
    volume.instance, volume.mount_point, volume.delete_with_instance = None, "", False
    volume.save(update_fields=["instance", "mount_point", "delete_with_instance"])
    record_one(
        context,
        ResourceAction.UNBIND,
        Kind.VOLUME,
        volume,
        account_id=volume.account_id,
        instance=instance,
    )


def remove(
    volumes: QuerySet[Volume], *, unbind: bool = False, context: Context, dry_run: bool = False
) -> Outcome:
    """Delete volumes for good. An attached one is refused, or with `unbind` detached first."""

    def step(volume: Volume) -> No | None:
        attached = volume.instance_id is not None
        if attached and not unbind:
            return No(Refusal.BOUND, volume.instance)
        instance = look_up_instance(volume.instance_id, lock=not dry_run)
        locked = look_up(Volume.objects.all(), volume.pk, lock=not dry_run)
        if locked is None:
            return No(Refusal.GONE)
        if attached and (no := _why_not_detach(locked, instance)):
            return no
        if not attached and locked.instance_id is not None:
            # It came after the person had said yes.
            return No(Refusal.BOUND, locked.instance)
        if dry_run:
            return None
        if attached:
            _detach(locked, instance, context)
        record_one(
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

    chosen = volumes.select_related("instance")
    return each(ResourceAction.REMOVE, chosen, step, context=context, dry_run=dry_run)
