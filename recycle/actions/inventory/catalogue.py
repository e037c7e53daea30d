"""Regions, zones and instance types that an inventory mentions and that are not known yet."""

from recycle.actions.inventory.imported import Imported
from recycle.inventory import Entry, region_of
from recycle.models import InstanceType, Region, Zone


def ensure_regions(codes: set[str], imported: Imported) -> None:
    missing = codes - set(Region.objects.filter(code__in=codes).values_list("code", flat=True))
    # Another import may be making them as well.
    Region.objects.bulk_create(
        [Region(code=code, name=code) for code in sorted(missing)], ignore_conflicts=True
    )
    imported.created["region", "regions"] += len(missing)


def ensure_zones(codes: set[str], imported: Imported) -> None:
    missing = codes - set(Zone.objects.filter(code__in=codes).values_list("code", flat=True))
    ensure_regions({region_of(code) for code in missing}, imported)
    zones = [Zone(code=code, region_id=region_of(code)) for code in sorted(missing)]
    Zone.objects.bulk_create(zones, ignore_conflicts=True)
    imported.created["zone", "zones"] += len(missing)


def ensure_types(entries: list[Entry], imported: Imported) -> set[str]:
    """Make the types that are missing from what the instances say of them; returns the names that
    are there then.
    """
    shapes = {entry.row.instance_type_id: entry.shape for entry in entries if all(entry.shape)}
    names = {entry.row.instance_type_id for entry in entries}
    known = set(InstanceType.objects.filter(name__in=names).values_list("name", flat=True))
    made = [
        InstanceType(name=name, family=name.partition(".")[0], vcpu=vcpu, memory_gb=memory_gb)
        for name, (vcpu, memory_gb) in sorted(shapes.items())
        if vcpu and memory_gb and name not in known
    ]
    InstanceType.objects.bulk_create(made, ignore_conflicts=True)
    imported.created["instance type", "instance types"] += len(made)
    return known | {made_type.name for made_type in made}
