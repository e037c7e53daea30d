"""Volumes, addresses, load balancers, projects and tags. The actions alone change what is bound."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from recycle.admin.base import BindingAdmin, FixedAdmin, ReadOnlyAdmin
from recycle.models import (
    ElasticIP,
    InstanceTag,
    Listener,
    LoadBalancer,
    Project,
    RealServer,
    Tag,
    Volume,
)


@admin.register(LoadBalancer)
class LoadBalancerAdmin(BindingAdmin):
    # In its VPC are the instances behind it.
    fixed = ("account", "region", "vpc_id")
    bound = ()
    list_display = ("name", "id", "account", "region", "type", "created_at")
    list_filter = ("type", "region", "account")
    search_fields = ("name_folded__contains", "id")
    list_select_related = ("account", "region")


@admin.register(Listener)
class ListenerAdmin(BindingAdmin):
    fixed = ("load_balancer",)
    bound = ()
    list_display = ("name", "load_balancer", "protocol", "port", "method", "enabled")
    list_filter = ("protocol", "enabled")
    search_fields = ("name_folded__contains", "id", "load_balancer__name_folded__contains")
    list_select_related = ("load_balancer",)
    autocomplete_fields = ("load_balancer",)


@admin.register(RealServer)
class RealServerAdmin(ReadOnlyAdmin):
    list_display = ("address", "port", "weight", "listener", "instance")
    search_fields = ("address", "instance__name_folded__contains")
    list_select_related = ("listener", "instance")


@admin.register(ElasticIP)
class ElasticIPAdmin(BindingAdmin):
    list_display = (
        "address",
        "id",
        "account",
        "region",
        "bandwidth_mbps",
        "billing_mode",
        "instance",
        "load_balancer",
    )
    list_filter = ("billing_mode", "region", "account")
    search_fields = ("address", "id", "instance__name_folded__contains")
    list_select_related = ("account", "region", "instance", "load_balancer")
    bound = ("instance", "load_balancer")
    fixed = ("account", "region")


@admin.register(Volume)
class VolumeAdmin(BindingAdmin):
    list_display = (
        "name",
        "id",
        "account",
        "zone",
        "type",
        "size_gb",
        "billing_mode",
        "instance",
        "delete_with_instance",
    )
    list_filter = ("type", "billing_mode", "zone", "account")
    search_fields = ("name_folded__contains", "id", "instance__name_folded__contains")
    list_select_related = ("account", "zone", "instance")
    bound = ("instance", "delete_with_instance", "mount_point")
    fixed = ("account", "zone")


@admin.register(Project)
class ProjectAdmin(FixedAdmin):
    """Made and disabled on the pages; never deleted, since what is in one keeps it."""

    fixed = ("account",)
    fields = ("name", "account")
    list_display = ("label", "number", "account", "disabled_at", "created_at")
    list_filter = ("account",)
    search_fields = ("name_folded__contains", "account__name_folded__contains")
    list_select_related = ("account",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Tag)
class TagAdmin(BindingAdmin):
    fixed = ("account",)
    bound = ()
    list_display = ("key", "value", "account")
    list_filter = ("account",)
    search_fields = ("key_folded__contains", "value_folded__contains")
    list_select_related = ("account",)


@admin.register(InstanceTag)
class InstanceTagAdmin(ReadOnlyAdmin):
    list_display = ("tag", "instance")
    search_fields = (
        "tag__key_folded__contains",
        "tag__value_folded__contains",
        "instance__name_folded__contains",
    )
    list_select_related = ("tag", "instance")
