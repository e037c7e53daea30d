"""Regions and zones, and the instance types that they sell."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from recycle.actions.limits import ZONE_LIMITS, Limit, with_zone_use
from recycle.admin.base import FixedAdmin, used
from recycle.models import InstanceType, Region, Zone


@admin.display(description=gettext_lazy("shown as"))
def shown(place: Region | Zone) -> str:
    """What the pages call it, in the language of who looks."""
    return place.label


@admin.register(Region)
class RegionAdmin(FixedAdmin):
    """Left without a name, a region or a zone goes by the one that it is known by."""

    fixed = ("code",)
    ordering = ("code",)
    list_display = ("code", shown, "name", "chinese_name")
    search_fields = ("code", "name_folded__contains", "chinese_name_folded__contains")


@admin.register(Zone)
class ZoneAdmin(FixedAdmin):
    fixed = ("code", "region")
    ordering = ("code",)
    list_display = ("code", shown, "region", *(f"used_{limit}" for limit in ZONE_LIMITS))
    list_filter = ("region",)
    list_select_related = ("region",)
    search_fields = ("code", "name_folded__contains", "chinese_name_folded__contains")
    used_vcpu_capacity = used(Limit.VCPU)
    used_memory_gb_capacity = used(Limit.MEMORY_GB)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Zone]:
        return with_zone_use(super().get_queryset(request))


@admin.register(InstanceType)
class InstanceTypeAdmin(FixedAdmin):
    fixed = ("name",)
    ordering = ("name",)
    list_display = ("name", "family", "vcpu", "memory_gb", "no_fees")
    list_filter = ("family",)
    search_fields = ("name",)

    @admin.display(description=gettext_lazy("No Fees Upon Shutdown"), boolean=True)
    def no_fees(self, instance_type: InstanceType) -> bool:
        return instance_type.no_fees_upon_shutdown
