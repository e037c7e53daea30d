"""Load balancers with their listeners and real servers, and elastic IPs."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from recycle.models.agreement import Agreement, InProject, Repeated
from recycle.models.catalogue import Region, Zone
from recycle.models.folded import FoldedField
from recycle.models.instance import Instance
from recycle.models.tenancy import (
    Account,
    BehindListenerQuerySet,
    InProjectQuerySet,
    OfBalancerQuerySet,
)
from recycle.offer import PORTS
from recycle.policy import DEFAULT_PROJECT, BillingMode
from recycle.text import check_text

PORT = Q(port__gte=PORTS[0], port__lte=PORTS[1])


class LoadBalancer(models.Model):
    class Type(models.TextChoices):
        PUBLIC = "public", _("Public")
        INTERNAL = "internal", _("Internal")

    id = models.UUIDField("ID", primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(
        Account,
        models.PROTECT,
        related_name="load_balancers",
        verbose_name=_("account"),
        db_index=False,
    )
    project_number = models.BigIntegerField(
        _("project"), default=DEFAULT_PROJECT, db_default=DEFAULT_PROJECT, editable=False
    )
    region = models.ForeignKey(
        Region, models.PROTECT, related_name="+", verbose_name=_("region"), db_index=False
    )
    name = models.CharField(_("name"), max_length=64, validators=[check_text])
    name_folded = FoldedField("name")
    type = models.CharField(_("type"), max_length=16, choices=Type, default=Type.PUBLIC)
    vpc_id = models.UUIDField("VPC", null=True, blank=True)
    created_at = models.DateTimeField(_("created"))

    objects = InProjectQuerySet.as_manager()

    class Meta:
        verbose_name = _("load balancer")
        verbose_name_plural = _("load balancers")
        indexes = [
            # The Load Balancer page, newest first, and by name.
            models.Index(fields=["account", "-created_at", "-id"], name="load_balancer_newest"),
            models.Index(fields=["account", "name", "id"], name="load_balancer_name"),
        ]
        constraints = [
            # What the agreements of listeners and elastic IPs refer to.
            models.UniqueConstraint(
                fields=["id", "account", "region"], name="load_balancer_with_account_and_region"
            ),
            InProject(name="load_balancer_in_a_project_of_its_account"),
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
        LoadBalancer,
        models.CASCADE,
        related_name="listeners",
        verbose_name=_("load balancer"),
        db_index=False,
        db_constraint=False,
    )
    account = Repeated(Account, of="load_balancer", verbose_name=_("account"))
    region = Repeated(Region, of="load_balancer", verbose_name=_("region"))
    name = models.CharField(_("name"), max_length=64, blank=True, validators=[check_text])
    name_folded = FoldedField("name")
    protocol = models.CharField(_("protocol"), max_length=8, choices=Protocol)
    port = models.PositiveIntegerField(_("port"))
    method = models.CharField(
        _("method"), max_length=24, choices=Method, default=Method.ROUND_ROBIN
    )
    enabled = models.BooleanField(_("enabled"), default=True, db_default=True)
    created_at = models.DateTimeField(_("created"))

    objects = OfBalancerQuerySet.as_manager()

    class Meta:
        verbose_name = _("listener")
        verbose_name_plural = _("listeners")
        constraints = [
            models.CheckConstraint(condition=PORT, name="listener_port_in_range"),
            models.UniqueConstraint(
                fields=["load_balancer", "protocol", "port"],
                name="listener_port_once_per_load_balancer",
            ),
            Agreement(
                relation="load_balancer",
                on=("account", "region"),
                name="listener_agrees_with_its_load_balancer",
            ),
            # What the agreement of a real server refers to.
            models.UniqueConstraint(
                fields=["id", "account", "region"], name="listener_with_account_and_region"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.protocol}:{self.port}"


class RealServer(models.Model):
    """An instance behind a listener of its account and region."""

    id = models.UUIDField("ID", primary_key=True, default=uuid.uuid4, editable=False)
    listener = models.ForeignKey(
        Listener,
        models.CASCADE,
        related_name="real_servers",
        verbose_name=_("listener"),
        db_index=False,
        db_constraint=False,
    )
    instance = models.ForeignKey(
        Instance,
        models.PROTECT,
        related_name="real_servers",
        verbose_name=_("instance"),
        db_constraint=False,
    )
    account = Repeated(Account, of="instance", verbose_name=_("account"))
    zone = Repeated(Zone, of="instance", verbose_name=_("zone"))
    region = Repeated(Region, of="listener", verbose_name=_("region"))
    address = models.GenericIPAddressField(_("address"))
    port = models.PositiveIntegerField(_("port"))
    weight = models.PositiveSmallIntegerField(_("weight"), default=1)

    objects = BehindListenerQuerySet.as_manager()

    class Meta:
        verbose_name = _("backend server")
        verbose_name_plural = _("backend servers")
        constraints = [
            models.CheckConstraint(condition=PORT, name="real_server_port_in_range"),
            models.UniqueConstraint(
                fields=["listener", "address", "port"],
                name="real_server_once_per_listener_address_and_port",
            ),
            Agreement(
                relation="instance",
                on=("account", "zone"),
                name="real_server_agrees_with_its_instance",
            ),
            Agreement(
                relation="listener",
                on=("account", "region"),
                name="real_server_agrees_with_its_listener",
            ),
            Agreement(relation="zone", on=("region",), name="real_server_in_a_zone_of_its_region"),
        ]

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


class ElasticIP(models.Model):
    """A public address, bound to one instance or load balancer of its account and region, or to
    nothing.
    """

    id = models.UUIDField("ID", primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(
        Account,
        models.PROTECT,
        related_name="elastic_ips",
        verbose_name=_("account"),
        db_index=False,
    )
    project_number = models.BigIntegerField(
        _("project"), default=DEFAULT_PROJECT, db_default=DEFAULT_PROJECT, editable=False
    )
    region = models.ForeignKey(
        Region, models.PROTECT, related_name="+", verbose_name=_("region"), db_index=False
    )
    address = models.GenericIPAddressField(_("address"), unique=True)
    bandwidth_mbps = models.PositiveIntegerField(_("bandwidth (Mbps)"), default=1)
    line = models.CharField(_("line"), max_length=36, default="BGP", validators=[check_text])
    billing_mode = models.CharField(
        _("billing mode"), max_length=32, choices=BillingMode, default=BillingMode.DAILY
    )
    instance = models.ForeignKey(
        Instance,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="elastic_ips",
        verbose_name=_("instance"),
        db_constraint=False,
    )
    # Where the instance stands; empty without one.
    zone = Repeated(Zone, of="instance", null=True, verbose_name=_("zone"))
    load_balancer = models.ForeignKey(
        LoadBalancer,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="elastic_ips",
        verbose_name=_("load balancer"),
        db_constraint=False,
    )
    created_at = models.DateTimeField(_("created"))

    objects = InProjectQuerySet.as_manager()

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
                condition=Q(instance=None) | Q(load_balancer=None),
                name="elastic_ip_bound_to_one_thing",
            ),
            InProject(name="elastic_ip_in_a_project_of_its_account"),
            # Otherwise the database would not look: it compares nothing while a column is null.
            models.CheckConstraint(
                condition=Q(instance=None, zone=None)
                | Q(instance__isnull=False, zone__isnull=False),
                name="elastic_ip_zone_follows_its_instance",
            ),
            Agreement(
                relation="instance",
                on=("account", "zone"),
                name="elastic_ip_agrees_with_its_instance",
            ),
            Agreement(relation="zone", on=("region",), name="elastic_ip_in_region_of_its_instance"),
            Agreement(
                relation="load_balancer",
                on=("account", "region"),
                name="elastic_ip_agrees_with_its_load_balancer",
            ),
        ]

    def __str__(self) -> str:
        return str(self.address)
