"""What has happened: the Operation Log and the passes of the schedule. To look at."""

from django.contrib import admin

from recycle.admin.base import ReadOnlyAdmin
from recycle.models import BatchJob, Event, Sweep


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = (
        "at",
        "action",
        "instance_name",
        "instance_id",
        "from_state",
        "to_state",
        "by_name",
        "address",
        "account",
        "reason",
    )
    list_filter = ("action", "account")
    search_fields = (
        "instance_name_folded__contains",
        "instance_id",
        "by_name_folded__contains",
        "batch",
        "request_id",
    )
    list_select_related = ("account",)
    ordering = ("-id",)


@admin.register(BatchJob)
class BatchJobAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at",
        "action",
        "state",
        "total",
        "done",
        "refused",
        "failed",
        "by_name",
        "account",
        "reason",
    )
    list_filter = ("state", "action", "account")
    search_fields = ("id", "by_name_folded__contains")
    list_select_related = ("account",)
    ordering = ("-created_at",)


@admin.register(Sweep)
class SweepAdmin(ReadOnlyAdmin):
    list_display = ("name", "ran_at", "done", "failed")
