"""Load balancers with their listeners and real servers, and elastic IPs."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from recycle.models.catalogue import Region
from recycle.models.folded import FoldedField
from recycle.models.instance import Instance
from recycle.models.tenancy import Account, OfBalancerQuerySet, OfInstanceQuerySet, OwnedQuerySet
from recycle.policy import BillingMode

PORT = Q(port__gte=1, port__lte=65535)


class LoadBalancer(models.Model):
    class Type(models.TextChoices):
        PUBLIC = "public", _("Public")
        INTERNAL = "internal", _("Internal")

    id = models.UUIDField("ID", primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(
        Account, models.PROTECT, related_name="load_balancers", verbose_name=_("account"), db_index=False
    )
    region = models.ForeignKey(Region, models.PROTECT, related_name="+", verbose_name=_("region"), db_index=False)
    name = models.CharField(_("name"), max_length=64)
    name_folded = FoldedField("name")
    type = models.CharField(_("type"), max_length=16, choices=Type, default=Type.PUBLIC)
    vpc_id = models.UUIDField("VPC", null=True, blank=True)
    created_at = models.DateTimeField(_("created"))

    objects = OwnedQuerySet.as_manager()

    class Meta:
        verbose_name = _("load balancer")
        verbose_name_plural = _("load balancers")
        indexes = [
            # The Load Balancer page, newest first, and by name.
            models.Index(fields=["account", "-created_at", "-id"], name="load_balancer_newest"),
            models.Index(fields=["account", "name", "id"], name="load_balancer_name"),
        ]

    def __str__(self) -> str:
        return self.name


class Listener(models.Model):
    class Protocol(models.TextChoices):
        TCP = "TCP", "TCP"
        UDP = "UDP", "UDP"
        HTTP = "HTTP", "HTTP"
        HTTPS = "HTTPS", "HTTPS"

    class Method(models.TextChoices):
        ROUND_ROBIN = "RoundRobin", _("Round robin")
        LEAST_CONNECTIONS = "LeastConnections", _("Least connections")
        MASTER_SLAVE = "MasterSlave", _("Primary and standby")
        QUIC_CID = "QUIC_CID", "QUIC CID"
        IP_HASH = "IPHash", _("IP hash")

    id = models.UUIDField("ID", primary_key=True, default=uuid.uuid4, editable=False)
    load_balancer = models.ForeignKey(
        LoadBalancer, models.CASCADE, related_name="listeners", verbose_name=_("load balancer"), db_index=False
    )
    name = models.CharField(_("name"), max_length=64, blank=True)
    name_folded = FoldedField("name")
    protocol = models.CharField(_("protocol"), max_length=8, choices=Protocol)
    port = models.PositiveIntegerField(_("port"))
    method = models.CharField(_("method"), max_length=24, choices=Method, default=Method.ROUND_ROBIN)
    created_at = models.DateTimeField(_("created"))

    objects = OfBalancerQuerySet.as_manager()

    class Meta:
        verbose_name = _("listener")
        verbose_name_plural = _("listeners")
        constraints = [
            models.CheckConstraint(condition=PORT, name="listener_port_in_range"),
            models.UniqueConstraint(
                fields=["load_balancer", "protocol", "port"], name="listener_port_once_per_load_balancer"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.protocol}:{self.port}"


class RealServer(models.Model):
    """An instance behind a listener."""

    id = models.UUIDField("ID", primary_key=True, default=uuid.uuid4, editable=False)
    listener = models.ForeignKey(
        Listener, models.CASCADE, related_name="real_servers", verbose_name=_("listener"), db_index=False
    )
    instance = models.ForeignKey(Instance, models.PROTECT, related_name="real_servers", verbose_name=_("instance"))
    address = models.GenericIPAddressField(_("address"))
    port = models.PositiveIntegerField(_("port"))
    weight = models.PositiveSmallIntegerField(_("weight"), default=1)

    objects = OfInstanceQuerySet.as_manager()

    class Meta:
        verbose_name = _("real server")
        verbose_name_plural = _("real servers")
        constraints = [
            models.CheckConstraint(condition=PORT, name="real_server_port_in_range"),
            models.UniqueConstraint(
                fields=["listener", "address", "port"], name="real_server_once_per_listener_address_and_port"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


class ElasticIP(models.Model):
    id = models.UUIDField("ID", primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(
        Account, models.PROTECT, related_name="elastic_ips", verbose_name=_("account"), db_index=False
    )
    region = models.ForeignKey(Region, models.PROTECT, related_name="+", verbose_name=_("region"), db_index=False)
    address = models.GenericIPAddressField(_("address"), unique=True)
    bandwidth_mbps = models.PositiveIntegerField(_("bandwidth (Mbps)"), default=1)
    line = models.CharField(_("line"), max_length=36, default="BGP")
    billing_mode = models.CharField(_("billing mode"), max_length=32, choices=BillingMode, default=BillingMode.DAILY)
    instance = models.ForeignKey(
        Instance, models.PROTECT, null=True, blank=True, related_name="elastic_ips", verbose_name=_("instance")
    )
    load_balancer = models.ForeignKey(
        LoadBalancer, models.PROTECT, null=True, blank=True, related_name="elastic_ips", verbose_name=_("load balancer")
    )
    created_at = models.DateTimeField(_("created"))

    objects = OwnedQuerySet.as_manager()

    class Meta:
        verbose_name = _("elastic IP")
        verbose_name_plural = _("elastic IPs")
        indexes = [
            # The EIP page, newest first, and by address.
            models.Index(fields=["account", "-created_at", "-id"], name="elastic_ip_newest"),
            models.Index(fields=["account", "address", "id"], name="elastic_ip_address"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(instance=None) | Q(load_balancer=None), name="elastic_ip_bound_to_one_thing"
            ),
        ]

    def __str__(self) -> str:
        return str(self.address)
