"""Fills the names of who deleted what lies in the bin, or has lain there.

The event of the deletion knows the name at the time, also of a user who has been deleted since.
"""

from django.db import migrations
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce


def fill(apps, schema_editor):
    instances, events, users = (
        apps.get_model("recycle", name) for name in ("Instance", "Event", "User")
    )
    entry = (
        events.objects.filter(
            instance_id=OuterRef("pk"), action="recycle", at=OuterRef("recycled_at")
        )
        .exclude(by_name="")
        .order_by("-id")
    )
    user = users.objects.filter(pk=OuterRef("recycled_by"))
    instances.objects.filter(recycled_at__isnull=False).update(
        recycled_by_name=Coalesce(
            Subquery(entry.values("by_name")[:1]), Subquery(user.values("username")[:1])
        )
    )


class Migration(migrations.Migration):
    dependencies = [("recycle", "0008_recycled_by_name")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop, elidable=True)]
