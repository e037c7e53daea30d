"""All tables of a new database at once, as the twenty-four migrations before make them one after the
other.

One by one they rewrite the tables of SQLite and the models in memory for ten seconds. A database
that has seen some of them goes on with them one by one. `manage.py lint` and the tests of upgrades
read those too, as `console.schema.History`.
"""

import datetime
import uuid

import django.contrib.auth.models
import django.contrib.auth.validators
import django.core.serializers.json
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.comparison
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import recycle.models.agreement
import recycle.models.folded
import recycle.models.tenancy
import recycle.text


class Migration(migrations.Migration):
    replaces = [
        ("recycle", "0001_initial"),
        ("recycle", "0002_volume_zone_trigger"),
        ("recycle", "0003_repeated_columns"),
        ("recycle", "0004_end_wrong_bindings"),
        ("recycle", "0005_agreements"),
        ("recycle", "0006_billing_anchor"),
        ("recycle", "0007_visible_text_and_tags"),
        ("recycle", "0008_recycled_by_name"),
        ("recycle", "0009_fill_recycled_by_name"),
        ("recycle", "0010_event_origin"),
        ("recycle", "0011_audit"),
        ("recycle", "0012_copy_admin_log"),
        ("recycle", "0013_search_columns"),
        ("recycle", "0014_fill_search_columns"),
        ("recycle", "0015_sessions"),
        ("recycle", "0016_sessions_end_by_deletion"),
        ("recycle", "0017_log_indexes"),
        ("recycle", "0018_event_edge"),
        ("recycle", "0019_retention_kind"),
        ("recycle", "0020_fill_retention_kind"),
        ("recycle", "0021_quarantine"),
        ("recycle", "0022_batch_jobs"),
        ("recycle", "0023_quarantine_actions"),
        ("recycle", "0024_job_agreement"),
    ]

    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="Region",
            fields=[
                (
                    "code",
                    models.CharField(
                        max_length=32,
                        primary_key=True,
                        serialize=False,
                        validators=[recycle.text.check_text],
                        verbose_name="code",
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=64, validators=[recycle.text.check_text], verbose_name="name"
                    ),
                ),
                (
                    "name_folded",
                    recycle.models.folded.FoldedField("name", editable=False, null=True),
                ),
            ],
            options={
                "verbose_name": "region",
                "verbose_name_plural": "regions",
            },
        ),
        migrations.CreateModel(
            name="Sweep",
            fields=[
                (
                    "name",
                    models.CharField(
                        max_length=32, primary_key=True, serialize=False, verbose_name="name"
                    ),
                ),
                ("ran_at", models.DateTimeField(verbose_name="last ran")),
                ("done", models.PositiveIntegerField(default=0, verbose_name="done")),
                ("failed", models.PositiveIntegerField(default=0, verbose_name="failed")),
            ],
            options={
                "verbose_name": "scheduled pass",
                "verbose_name_plural": "scheduled passes",
            },
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                (
                    "last_login",
                    models.DateTimeField(blank=True, null=True, verbose_name="last login"),
                ),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "username",
                    models.CharField(
                        error_messages={"unique": "A user with that username already exists."},
                        help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
                        max_length=150,
                        unique=True,
                        validators=[django.contrib.auth.validators.UnicodeUsernameValidator()],
                        verbose_name="username",
                    ),
                ),
                (
                    "first_name",
                    models.CharField(blank=True, max_length=150, verbose_name="first name"),
                ),
                (
                    "last_name",
                    models.CharField(blank=True, max_length=150, verbose_name="last name"),
                ),
                (
                    "email",
                    models.EmailField(blank=True, max_length=254, verbose_name="email address"),
                ),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        help_text="Designates whether the user can log into this admin site.",
                        verbose_name="staff status",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                        verbose_name="active",
                    ),
                ),
                (
                    "date_joined",
                    models.DateTimeField(
                        default=django.utils.timezone.now, verbose_name="date joined"
                    ),
                ),
                (
                    "preferences",
                    models.JSONField(blank=True, default=dict, verbose_name="preferences"),
                ),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
                (
                    "first_name_folded",
                    recycle.models.folded.FoldedField("first_name", editable=False, null=True),
                ),
                (
                    "last_name_folded",
                    recycle.models.folded.FoldedField("last_name", editable=False, null=True),
                ),
                (
                    "username_folded",
                    recycle.models.folded.FoldedField("username", editable=False, null=True),
                ),
            ],
            options={
                "verbose_name": "user",
                "verbose_name_plural": "users",
                "abstract": False,
            },
            managers=[
                ("objects", django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name="Account",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=64,
                        unique=True,
                        validators=[recycle.text.check_text],
                        verbose_name="name",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                (
                    "max_instances",
                    models.PositiveIntegerField(
                        blank=True, null=True, verbose_name="instances at most"
                    ),
                ),
                (
                    "max_elastic_ips",
                    models.PositiveIntegerField(blank=True, null=True, verbose_name="EIPs at most"),
                ),
                (
                    "max_volumes",
                    models.PositiveIntegerField(
                        blank=True, null=True, verbose_name="EBS volumes at most"
                    ),
                ),
                (
                    "max_volume_gb",
                    models.PositiveIntegerField(
                        blank=True, null=True, verbose_name="GB of EBS volumes at most"
                    ),
                ),
                (
                    "max_load_balancers",
                    models.PositiveIntegerField(
                        blank=True, null=True, verbose_name="load balancers at most"
                    ),
                ),
                (
                    "keep_for",
                    models.DurationField(
                        blank=True, null=True, verbose_name="time in the recycle bin"
                    ),
                ),
                (
                    "billing_time_zone",
                    models.CharField(
                        blank=True,
                        db_default="",
                        max_length=64,
                        validators=[recycle.models.tenancy.check_time_zone],
                        verbose_name="billing time zone",
                    ),
                ),
                (
                    "max_tags",
                    models.PositiveIntegerField(blank=True, null=True, verbose_name="tags at most"),
                ),
                (
                    "name_folded",
                    recycle.models.folded.FoldedField("name", editable=False, null=True),
                ),
            ],
            options={
                "verbose_name": "account",
                "verbose_name_plural": "accounts",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("keep_for", None),
                            models.Q(
                                ("keep_for__gt", datetime.timedelta(0)),
                                ("keep_for__lte", datetime.timedelta(days=30)),
                            ),
                            _connector="OR",
                        ),
                        name="account_keeps_30_days_at_most",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="InstanceType",
            fields=[
                (
                    "name",
                    models.CharField(
                        max_length=32,
                        primary_key=True,
                        serialize=False,
                        validators=[recycle.text.check_text],
                        verbose_name="name",
                    ),
                ),
                (
                    "family",
                    models.CharField(
                        max_length=16, validators=[recycle.text.check_text], verbose_name="family"
                    ),
                ),
                ("vcpu", models.PositiveSmallIntegerField(verbose_name="vCPU")),
                ("memory_gb", models.PositiveIntegerField(verbose_name="memory (GB)")),
            ],
            options={
                "verbose_name": "instance type",
                "verbose_name_plural": "instance types",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("name__startswith", models.F("family"))),
                        name="instance_type_name_starts_with_its_family",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="LoadBalancer",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=64, validators=[recycle.text.check_text], verbose_name="name"
                    ),
                ),
                (
                    "type",
                    models.CharField(
                        choices=[("public", "Public"), ("internal", "Internal")],
                        default="public",
                        max_length=16,
                        verbose_name="type",
                    ),
                ),
                ("vpc_id", models.UUIDField(blank=True, null=True, verbose_name="VPC")),
                ("created_at", models.DateTimeField(verbose_name="created")),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="load_balancers",
                        to="recycle.account",
                        verbose_name="account",
                    ),
                ),
                (
                    "region",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="recycle.region",
                        verbose_name="region",
                    ),
                ),
                (
                    "name_folded",
                    recycle.models.folded.FoldedField("name", editable=False, null=True),
                ),
            ],
            options={
                "verbose_name": "load balancer",
                "verbose_name_plural": "load balancers",
                "indexes": [
                    models.Index(
                        fields=["account", "-created_at", "-id"], name="load_balancer_newest"
                    ),
                    models.Index(fields=["account", "name", "id"], name="load_balancer_name"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("id", "account", "region"),
                        name="load_balancer_with_account_and_region",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Listener",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        blank=True,
                        max_length=64,
                        validators=[recycle.text.check_text],
                        verbose_name="name",
                    ),
                ),
                (
                    "protocol",
                    models.CharField(
                        choices=[
                            ("TCP", "TCP"),
                            ("UDP", "UDP"),
                            ("HTTP", "HTTP"),
                            ("HTTPS", "HTTPS"),
                        ],
                        max_length=8,
                        verbose_name="protocol",
                    ),
                ),
                ("port", models.PositiveIntegerField(verbose_name="port")),
                (
                    "method",
                    models.CharField(
                        choices=[
                            ("RoundRobin", "Round robin"),
                            ("LeastConnections", "Least connections"),
                            ("MasterSlave", "Primary and standby"),
                            ("QUIC_CID", "QUIC CID"),
                            ("IPHash", "IP hash"),
                        ],
                        default="RoundRobin",
                        max_length=24,
                        verbose_name="method",
                    ),
                ),
                ("created_at", models.DateTimeField(verbose_name="created")),
                (
                    "load_balancer",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="listeners",
                        to="recycle.loadbalancer",
                        verbose_name="load balancer",
                    ),
                ),
                (
                    "account",
                    recycle.models.agreement.Repeated(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        of="load_balancer",
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="recycle.account",
                        verbose_name="account",
                    ),
                ),
                (
                    "region",
                    recycle.models.agreement.Repeated(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        of="load_balancer",
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="recycle.region",
                        verbose_name="region",
                    ),
                ),
                (
                    "name_folded",
                    recycle.models.folded.FoldedField("name", editable=False, null=True),
                ),
            ],
            options={
                "verbose_name": "listener",
                "verbose_name_plural": "listeners",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("port__gte", 1), ("port__lte", 65535)),
                        name="listener_port_in_range",
                    ),
                    models.UniqueConstraint(
                        fields=("load_balancer", "protocol", "port"),
                        name="listener_port_once_per_load_balancer",
                    ),
                    models.UniqueConstraint(
                        fields=("id", "account", "region"), name="listener_with_account_and_region"
                    ),
                    recycle.models.agreement.Agreement(
                        name="listener_agrees_with_its_load_balancer",
                        on=("account", "region"),
                        relation="load_balancer",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "role",
                    models.PositiveSmallIntegerField(
                        choices=[(10, "Viewer"), (20, "Operator"), (30, "Administrator")],
                        verbose_name="role",
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to="recycle.account",
                        verbose_name="account",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "membership",
                "verbose_name_plural": "memberships",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "account"), name="membership_once_per_user_and_account"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", [10, 20, 30])),
                        name="membership_role_is_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RetentionRule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "key",
                    models.CharField(
                        max_length=128, validators=[recycle.text.check_text], verbose_name="tag key"
                    ),
                ),
                (
                    "value",
                    models.CharField(
                        blank=True,
                        max_length=255,
                        validators=[recycle.text.check_text],
                        verbose_name="tag value",
                    ),
                ),
                (
                    "keep_for",
                    models.DurationField(
                        blank=True, null=True, verbose_name="time in the recycle bin"
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="retention_rules",
                        to="recycle.account",
                        verbose_name="account",
                    ),
                ),
                ("key_folded", recycle.models.folded.FoldedField("key", editable=False, null=True)),
                (
                    "value_folded",
                    recycle.models.folded.FoldedField("value", editable=False, null=True),
                ),
            ],
            options={
                "verbose_name": "retention rule",
                "verbose_name_plural": "retention rules",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account", "key", "value"), name="retention_rule_once_per_tag"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("keep_for", None),
                            models.Q(
                                ("keep_for__gt", datetime.timedelta(0)),
                                ("keep_for__lte", datetime.timedelta(days=30)),
                            ),
                            _connector="OR",
                        ),
                        name="retention_rule_keeps_30_days_at_most",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Tag",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "key",
                    models.CharField(
                        max_length=128, validators=[recycle.text.check_text], verbose_name="key"
                    ),
                ),
                (
                    "value",
                    models.CharField(
                        blank=True,
                        max_length=255,
                        validators=[recycle.text.check_text],
                        verbose_name="value",
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="tags",
                        to="recycle.account",
                        verbose_name="account",
                    ),
                ),
                ("key_folded", recycle.models.folded.FoldedField("key", editable=False, null=True)),
                (
                    "value_folded",
                    recycle.models.folded.FoldedField("value", editable=False, null=True),
                ),
            ],
            options={
                "verbose_name": "tag",
                "verbose_name_plural": "tags",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account", "key", "value"), name="tag_once_per_account"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("key__istartswith", "ksc"),
                            ("value__istartswith", "ksc"),
                            _connector="OR",
                            _negated=True,
                        ),
                        name="tag_ksc_is_reserved",
                    ),
                    models.UniqueConstraint(fields=("id", "account"), name="tag_with_account"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Zone",
            fields=[
                (
                    "code",
                    models.CharField(
                        max_length=32,
                        primary_key=True,
                        serialize=False,
                        validators=[recycle.text.check_text],
                        verbose_name="code",
                    ),
                ),
                (
                    "vcpu_capacity",
                    models.PositiveIntegerField(blank=True, null=True, verbose_name="vCPU at most"),
                ),
                (
                    "memory_gb_capacity",
                    models.PositiveIntegerField(
                        blank=True, null=True, verbose_name="memory (GB) at most"
                    ),
                ),
                (
                    "region",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="zones",
                        to="recycle.region",
                        verbose_name="region",
                    ),
                ),
            ],
            options={
                "verbose_name": "zone",
                "verbose_name_plural": "zones",
                "constraints": [
                    models.UniqueConstraint(fields=("code", "region"), name="zone_with_region")
                ],
            },
        ),
        migrations.CreateModel(
            name="Instance",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=64, validators=[recycle.text.check_text], verbose_name="name"
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("active", "Running"),
                            ("stopped", "Stopped"),
                            ("expired", "Expired"),
                            ("recycled", "Recycled"),
                            ("purged", "Deleted for good"),
                        ],
                        max_length=16,
                        verbose_name="status",
                    ),
                ),
                (
                    "billing_mode",
                    models.CharField(
                        choices=[
                            ("Monthly", "Subscription"),
                            ("Daily", "Pay-By-Daily-Config"),
                            ("HourlyInstantSettlement", "Pay-As-You-Go"),
                        ],
                        max_length=32,
                        verbose_name="billing mode",
                    ),
                ),
                (
                    "no_fees",
                    models.BooleanField(default=False, verbose_name="stopped with no fees"),
                ),
                (
                    "image_id",
                    models.CharField(
                        blank=True,
                        max_length=64,
                        validators=[recycle.text.check_text],
                        verbose_name="image ID",
                    ),
                ),
                (
                    "image_name",
                    models.CharField(
                        blank=True,
                        max_length=64,
                        validators=[recycle.text.check_text],
                        verbose_name="image",
                    ),
                ),
                (
                    "system_disk_type",
                    models.CharField(blank=True, max_length=32, verbose_name="system disk type"),
                ),
                (
                    "system_disk_gb",
                    models.PositiveIntegerField(default=20, verbose_name="system disk (GB)"),
                ),
                ("private_ip", models.GenericIPAddressField(verbose_name="private IP")),
                ("subnet_id", models.UUIDField(verbose_name="subnet")),
                ("vpc_id", models.UUIDField(blank=True, null=True, verbose_name="VPC")),
                (
                    "security_group_ids",
                    models.JSONField(blank=True, default=list, verbose_name="security groups"),
                ),
                ("created_at", models.DateTimeField(verbose_name="created")),
                ("changed_at", models.DateTimeField(verbose_name="changed")),
                ("expires_at", models.DateTimeField(blank=True, null=True, verbose_name="expires")),
                (
                    "recycled_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="deleted"),
                ),
                ("purge_at", models.DateTimeField(blank=True, null=True, verbose_name="ends")),
                (
                    "retention",
                    models.CharField(
                        blank=True, editable=False, max_length=420, verbose_name="retention"
                    ),
                ),
                (
                    "purged_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="deleted for good"),
                ),
                ("protected", models.BooleanField(default=False, verbose_name="protected")),
                ("held_at", models.DateTimeField(blank=True, null=True, verbose_name="held since")),
                ("held_by", models.CharField(blank=True, max_length=150, verbose_name="held by")),
                (
                    "hold_reason",
                    models.CharField(
                        blank=True,
                        max_length=200,
                        validators=[recycle.text.check_text],
                        verbose_name="reason of the hold",
                    ),
                ),
                (
                    "hold_review_on",
                    models.DateField(blank=True, null=True, verbose_name="review of the hold"),
                ),
                ("retry_at", models.DateTimeField(blank=True, null=True, verbose_name="next try")),
                (
                    "attempts",
                    models.PositiveSmallIntegerField(default=0, verbose_name="failed attempts"),
                ),
                (
                    "last_error",
                    models.CharField(blank=True, max_length=200, verbose_name="last error"),
                ),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="instances",
                        to="recycle.account",
                        verbose_name="account",
                    ),
                ),
                (
                    "recycled_by",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="deleted by",
                    ),
                ),
                (
                    "instance_type",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="instances",
                        to="recycle.instancetype",
                        verbose_name="instance type",
                    ),
                ),
                (
                    "zone",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="instances",
                        to="recycle.zone",
                        verbose_name="zone",
                    ),
                ),
                (
                    "anchor_day",
                    models.PositiveSmallIntegerField(
                        blank=True, editable=False, null=True, verbose_name="anchor day"
                    ),
                ),
                (
                    "recycled_by_name",
                    models.CharField(
                        blank=True, max_length=150, null=True, verbose_name="deleted by"
                    ),
                ),
                (
                    "name_folded",
                    recycle.models.folded.FoldedField("name", editable=False, null=True),
                ),
                (
                    "recycled_by_name_folded",
                    recycle.models.folded.FoldedField(
                        "recycled_by_name", editable=False, null=True
                    ),
                ),
                (
                    "retention_kind",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("standard", "standard"),
                            ("account", "set for the account"),
                            ("rule", "rule"),
                            ("extended", "extended"),
                        ],
                        max_length=16,
                        null=True,
                        verbose_name="retention",
                    ),
                ),
                (
                    "retention_subject",
                    models.CharField(
                        blank=True,
                        max_length=400,
                        null=True,
                        verbose_name="subject of the retention",
                    ),
                ),
                (
                    "quarantined_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="in quarantine since"),
                ),
            ],
            options={
                "verbose_name": "instance",
                "verbose_name_plural": "instances",
                "indexes": [
                    models.Index(
                        condition=models.Q(("state__in", ("expired", "recycled"))),
                        fields=["account", "state", "purge_at", "id"],
                        name="instance_bin_soonest",
                    ),
                    models.Index(
                        condition=models.Q(("state", "recycled")),
                        fields=["account", "-recycled_at", "-id"],
                        name="instance_bin_newest",
                    ),
                    models.Index(
                        condition=models.Q(("state__in", ("active", "stopped", "expired"))),
                        fields=["account", "-created_at", "-id"],
                        name="instance_living_newest",
                    ),
                    models.Index(
                        condition=models.Q(("state__in", ("active", "stopped", "expired"))),
                        fields=["account", "name", "id"],
                        name="instance_living_name",
                    ),
                    models.Index(
                        django.db.models.functions.comparison.Coalesce("retry_at", "purge_at"),
                        models.F("id"),
                        condition=models.Q(
                            ("held_at", None),
                            ("protected", False),
                            ("quarantined_at", None),
                            ("state__in", ("expired", "recycled")),
                        ),
                        name="instance_due",
                    ),
                    models.Index(
                        django.db.models.functions.comparison.Coalesce("retry_at", "expires_at"),
                        models.F("id"),
                        condition=models.Q(
                            ("expires_at__isnull", False),
                            ("quarantined_at", None),
                            ("state__in", ("active", "stopped")),
                        ),
                        name="instance_expiring",
                    ),
                    models.Index(
                        django.db.models.functions.comparison.Coalesce("retry_at", "purged_at"),
                        models.F("id"),
                        condition=models.Q(("state", "purged")),
                        name="instance_purged",
                    ),
                    models.Index(
                        condition=models.Q(("quarantined_at__isnull", False)),
                        fields=["account", "quarantined_at", "id"],
                        name="instance_quarantined",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["active", "stopped", "expired", "recycled", "purged"])
                        ),
                        name="instance_state_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("billing_mode__in", ["Monthly", "Daily", "HourlyInstantSettlement"])
                        ),
                        name="instance_billing_mode_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("purge_at", None),
                                ("recycled_at", None),
                                ("state__in", ("active", "stopped")),
                            ),
                            models.Q(
                                ("purge_at__isnull", False),
                                ("recycled_at", None),
                                ("state", "expired"),
                            ),
                            models.Q(
                                ("purge_at__isnull", False),
                                ("recycled_at__isnull", False),
                                ("state", "recycled"),
                            ),
                            ("state", "purged"),
                            _connector="OR",
                        ),
                        name="instance_bin_times_follow_state",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("purged_at__isnull", False), ("state", "purged")),
                            models.Q(
                                models.Q(("state", "purged"), _negated=True), ("purged_at", None)
                            ),
                            _connector="OR",
                        ),
                        name="instance_purged_at_follows_state",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("recycled_at", None),
                            ("purge_at__gte", models.F("recycled_at")),
                            _connector="OR",
                        ),
                        name="instance_ends_after_it_enters",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("billing_mode", "Monthly"), ("expires_at__isnull", False)),
                            models.Q(
                                models.Q(("billing_mode", "Monthly"), _negated=True),
                                ("expires_at", None),
                            ),
                            _connector="OR",
                        ),
                        name="instance_expires_if_subscription",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "expired"), _negated=True),
                            ("billing_mode", "Monthly"),
                            _connector="OR",
                        ),
                        name="instance_only_subscriptions_expire",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("no_fees", False),
                            models.Q(
                                ("billing_mode", "HourlyInstantSettlement"), ("state", "stopped")
                            ),
                            _connector="OR",
                        ),
                        name="instance_no_fees_only_while_stopped",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("held_at", None), ("hold_reason", "")),
                            models.Q(
                                ("held_at__isnull", False),
                                models.Q(("hold_reason", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="instance_hold_has_a_reason",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "purged"), _negated=True),
                            models.Q(("held_at", None), ("protected", False)),
                            _connector="OR",
                        ),
                        name="instance_held_or_protected_is_never_purged",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state", "recycled"), ("protected", True), _negated=True
                        ),
                        name="instance_protected_is_never_recycled",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "purged"), _negated=True),
                        fields=("subnet_id", "private_ip"),
                        name="instance_private_ip_unique_in_subnet",
                    ),
                    models.UniqueConstraint(
                        fields=("id", "account", "zone"), name="instance_with_account_and_zone"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RealServer",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("address", models.GenericIPAddressField(verbose_name="address")),
                ("port", models.PositiveIntegerField(verbose_name="port")),
                ("weight", models.PositiveSmallIntegerField(default=1, verbose_name="weight")),
                (
                    "instance",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="real_servers",
                        to="recycle.instance",
                        verbose_name="instance",
                    ),
                ),
                (
                    "listener",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="real_servers",
                        to="recycle.listener",
                        verbose_name="listener",
                    ),
                ),
                (
                    "account",
                    recycle.models.agreement.Repeated(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        of="instance",
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="recycle.account",
                        verbose_name="account",
                    ),
                ),
                (
                    "zone",
                    recycle.models.agreement.Repeated(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        of="instance",
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="recycle.zone",
                        verbose_name="zone",
                    ),
                ),
                (
                    "region",
                    recycle.models.agreement.Repeated(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        of="listener",
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="recycle.region",
                        verbose_name="region",
                    ),
                ),
            ],
            options={
                "verbose_name": "real server",
                "verbose_name_plural": "real servers",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("port__gte", 1), ("port__lte", 65535)),
                        name="real_server_port_in_range",
                    ),
                    models.UniqueConstraint(
                        fields=("listener", "address", "port"),
                        name="real_server_once_per_listener_address_and_port",
                    ),
                    recycle.models.agreement.Agreement(
                        name="real_server_agrees_with_its_instance",
                        on=("account", "zone"),
                        relation="instance",
                    ),
                    recycle.models.agreement.Agreement(
                        name="real_server_agrees_with_its_listener",
                        on=("account", "region"),
                        relation="listener",
                    ),
                    recycle.models.agreement.Agreement(
                        name="real_server_in_a_zone_of_its_region", on=("region",), relation="zone"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ElasticIP",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("address", models.GenericIPAddressField(unique=True, verbose_name="address")),
                (
                    "bandwidth_mbps",
                    models.PositiveIntegerField(default=1, verbose_name="bandwidth (Mbps)"),
                ),
                (
                    "line",
                    models.CharField(
                        default="BGP",
                        max_length=36,
                        validators=[recycle.text.check_text],
                        verbose_name="line",
                    ),
                ),
                (
                    "billing_mode",
                    models.CharField(
                        choices=[
                            ("Monthly", "Subscription"),
                            ("Daily", "Pay-By-Daily-Config"),
                            ("HourlyInstantSettlement", "Pay-As-You-Go"),
                        ],
                        default="Daily",
                        max_length=32,
                        verbose_name="billing mode",
                    ),
                ),
                ("created_at", models.DateTimeField(verbose_name="created")),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="elastic_ips",
                        to="recycle.account",
                        verbose_name="account",
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="elastic_ips",
                        to="recycle.instance",
                        verbose_name="instance",
                    ),
                ),
                (
                    "load_balancer",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="elastic_ips",
                        to="recycle.loadbalancer",
                        verbose_name="load balancer",
                    ),
                ),
                (
                    "region",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="recycle.region",
                        verbose_name="region",
                    ),
                ),
                (
                    "zone",
                    recycle.models.agreement.Repeated(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        null=True,
                        of="instance",
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="recycle.zone",
                        verbose_name="zone",
                    ),
                ),
            ],
            options={
                "verbose_name": "elastic IP",
                "verbose_name_plural": "elastic IPs",
                "indexes": [
                    models.Index(
                        fields=["account", "-created_at", "-id"], name="elastic_ip_newest"
                    ),
                    models.Index(fields=["account", "address", "id"], name="elastic_ip_address"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("instance", None), ("load_balancer", None), _connector="OR"
                        ),
                        name="elastic_ip_bound_to_one_thing",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("instance", None), ("zone", None)),
                            models.Q(("instance__isnull", False), ("zone__isnull", False)),
                            _connector="OR",
                        ),
                        name="elastic_ip_zone_follows_its_instance",
                    ),
                    recycle.models.agreement.Agreement(
                        name="elastic_ip_agrees_with_its_instance",
                        on=("account", "zone"),
                        relation="instance",
                    ),
                    recycle.models.agreement.Agreement(
                        name="elastic_ip_in_region_of_its_instance", on=("region",), relation="zone"
                    ),
                    recycle.models.agreement.Agreement(
                        name="elastic_ip_agrees_with_its_load_balancer",
                        on=("account", "region"),
                        relation="load_balancer",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="InstanceTag",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="instance_tags",
                        to="recycle.instance",
                        verbose_name="instance",
                    ),
                ),
                (
                    "tag",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="instance_tags",
                        to="recycle.tag",
                        verbose_name="tag",
                    ),
                ),
                (
                    "account",
                    recycle.models.agreement.Repeated(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        of="instance",
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="recycle.account",
                        verbose_name="account",
                    ),
                ),
                (
                    "zone",
                    recycle.models.agreement.Repeated(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        of="instance",
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="recycle.zone",
                        verbose_name="zone",
                    ),
                ),
            ],
            options={
                "verbose_name": "tag of an instance",
                "verbose_name_plural": "tags of instances",
                "constraints": [
                    models.UniqueConstraint(fields=("instance", "tag"), name="instance_tag_once"),
                    recycle.models.agreement.Agreement(
                        name="instance_tag_agrees_with_its_instance",
                        on=("account", "zone"),
                        relation="instance",
                    ),
                    recycle.models.agreement.Agreement(
                        name="instance_tag_agrees_with_its_tag", on=("account",), relation="tag"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Volume",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        blank=True,
                        max_length=50,
                        validators=[recycle.text.check_text],
                        verbose_name="name",
                    ),
                ),
                ("type", models.CharField(max_length=32, verbose_name="type")),
                ("size_gb", models.PositiveIntegerField(verbose_name="size (GB)")),
                (
                    "billing_mode",
                    models.CharField(
                        choices=[
                            ("Monthly", "Subscription"),
                            ("Daily", "Pay-By-Daily-Config"),
                            ("HourlyInstantSettlement", "Pay-As-You-Go"),
                        ],
                        default="Daily",
                        max_length=32,
                        verbose_name="billing mode",
                    ),
                ),
                (
                    "delete_with_instance",
                    models.BooleanField(default=False, verbose_name="delete with instance"),
                ),
                (
                    "mount_point",
                    models.CharField(blank=True, max_length=32, verbose_name="mount point"),
                ),
                ("created_at", models.DateTimeField(verbose_name="created")),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="volumes",
                        to="recycle.account",
                        verbose_name="account",
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="volumes",
                        to="recycle.instance",
                        verbose_name="instance",
                    ),
                ),
                (
                    "zone",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="recycle.zone",
                        verbose_name="zone",
                    ),
                ),
                (
                    "name_folded",
                    recycle.models.folded.FoldedField("name", editable=False, null=True),
                ),
            ],
            options={
                "verbose_name": "EBS volume",
                "verbose_name_plural": "EBS volumes",
                "indexes": [
                    models.Index(fields=["account", "-created_at", "-id"], name="volume_newest"),
                    models.Index(fields=["account", "name", "id"], name="volume_name"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("size_gb__gte", 1)), name="volume_has_a_size"
                    ),
                    recycle.models.agreement.Agreement(
                        name="volume_agrees_with_its_instance",
                        on=("account", "zone"),
                        relation="instance",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="time")),
                ("batch", models.UUIDField(verbose_name="batch")),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("start", "Start"),
                            ("stop", "Stop"),
                            ("restart", "Restart"),
                            ("delete", "Delete"),
                            ("recycle", "Move to the recycle bin"),
                            ("release", "Release at once"),
                            ("expire", "Expire"),
                            ("renew", "Renew"),
                            ("restore", "Restore"),
                            ("purge", "Delete permanently"),
                            ("extend", "Extend"),
                            ("protect", "Protect"),
                            ("unprotect", "Switch protection off"),
                            ("hold", "Place legal hold"),
                            ("unhold", "End legal hold"),
                            ("quarantine", "Put in quarantine"),
                            ("retry", "Try again"),
                            ("create", "Create"),
                            ("update", "Change"),
                            ("bind", "Bind"),
                            ("unbind", "Unbind"),
                            ("remove", "Delete"),
                            ("cancel", "Cancel"),
                        ],
                        max_length=16,
                        verbose_name="action",
                    ),
                ),
                (
                    "instance_id",
                    models.UUIDField(blank=True, null=True, verbose_name="instance ID"),
                ),
                (
                    "instance_name",
                    models.CharField(blank=True, max_length=64, verbose_name="instance"),
                ),
                (
                    "from_state",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("active", "Running"),
                            ("stopped", "Stopped"),
                            ("expired", "Expired"),
                            ("recycled", "Recycled"),
                            ("purged", "Deleted for good"),
                        ],
                        max_length=16,
                        verbose_name="from",
                    ),
                ),
                (
                    "to_state",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("active", "Running"),
                            ("stopped", "Stopped"),
                            ("expired", "Expired"),
                            ("recycled", "Recycled"),
                            ("purged", "Deleted for good"),
                        ],
                        max_length=16,
                        verbose_name="to",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("volume", "EBS volume"),
                            ("eip", "EIP"),
                            ("load_balancer", "Load balancer"),
                            ("listener", "Listener"),
                            ("real_server", "Real server"),
                            ("tag", "Tag"),
                            ("member", "Member"),
                            ("account", "Account"),
                            ("job", "Batch job"),
                        ],
                        db_default="",
                        max_length=16,
                        verbose_name="resource",
                    ),
                ),
                (
                    "resource_id",
                    models.CharField(
                        blank=True, db_default="", max_length=36, verbose_name="resource ID"
                    ),
                ),
                (
                    "resource_name",
                    models.CharField(
                        blank=True, db_default="", max_length=400, verbose_name="resource name"
                    ),
                ),
                ("by_name", models.CharField(blank=True, max_length=150, verbose_name="by")),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        max_length=200,
                        validators=[recycle.text.check_text],
                        verbose_name="reason",
                    ),
                ),
                ("detail", models.JSONField(blank=True, default=dict, verbose_name="detail")),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="recycle.account",
                        verbose_name="account",
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="by",
                    ),
                ),
                (
                    "address",
                    models.GenericIPAddressField(blank=True, null=True, verbose_name="address"),
                ),
                ("request_id", models.UUIDField(blank=True, null=True, verbose_name="request ID")),
                (
                    "by_name_folded",
                    recycle.models.folded.FoldedField("by_name", editable=False, null=True),
                ),
                (
                    "instance_name_folded",
                    recycle.models.folded.FoldedField("instance_name", editable=False, null=True),
                ),
                (
                    "resource_name_folded",
                    recycle.models.folded.FoldedField("resource_name", editable=False, null=True),
                ),
                (
                    "edge",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("page", "Page"),
                            ("admin", "Admin"),
                            ("api", "API"),
                            ("schedule", "Schedule"),
                            ("command", "Command line"),
                        ],
                        max_length=16,
                        null=True,
                        verbose_name="through",
                    ),
                ),
            ],
            options={
                "verbose_name": "event",
                "verbose_name_plural": "events",
                "indexes": [
                    models.Index(fields=["instance_id", "-id"], name="event_of_instance"),
                    models.Index(fields=["account", "-id"], name="event_of_account"),
                    models.Index(
                        condition=models.Q(("resource_id", ""), _negated=True),
                        fields=["resource_id", "-id"],
                        name="event_of_resource",
                    ),
                    models.Index(
                        condition=models.Q(("request_id__isnull", False)),
                        fields=["request_id"],
                        name="event_of_request",
                    ),
                    models.Index(fields=["batch"], name="event_of_batch"),
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="time")),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("login", "Log in"),
                            ("login_failed", "Failed login"),
                            ("logout", "Log out"),
                            ("password", "Change password"),
                            ("create", "Create"),
                            ("update", "Change"),
                            ("remove", "Delete"),
                        ],
                        max_length=16,
                        verbose_name="action",
                    ),
                ),
                ("kind", models.CharField(max_length=100, verbose_name="resource")),
                (
                    "subject_id",
                    models.CharField(blank=True, max_length=64, verbose_name="resource ID"),
                ),
                ("subject_name", models.CharField(blank=True, max_length=400, verbose_name="name")),
                ("by_name", models.CharField(blank=True, max_length=150, verbose_name="by")),
                (
                    "address",
                    models.GenericIPAddressField(blank=True, null=True, verbose_name="address"),
                ),
                ("request_id", models.UUIDField(blank=True, null=True, verbose_name="request ID")),
                ("detail", models.JSONField(blank=True, default=dict, verbose_name="detail")),
                ("count", models.PositiveIntegerField(default=1, verbose_name="count")),
                ("last_at", models.DateTimeField(blank=True, null=True, verbose_name="last")),
                (
                    "by",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="by",
                    ),
                ),
                (
                    "by_name_folded",
                    recycle.models.folded.FoldedField("by_name", editable=False, null=True),
                ),
                (
                    "subject_name_folded",
                    recycle.models.folded.FoldedField("subject_name", editable=False, null=True),
                ),
                (
                    "edge",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("page", "Page"),
                            ("admin", "Admin"),
                            ("api", "API"),
                            ("schedule", "Schedule"),
                            ("command", "Command line"),
                        ],
                        max_length=16,
                        null=True,
                        verbose_name="through",
                    ),
                ),
            ],
            options={
                "verbose_name": "audit event",
                "verbose_name_plural": "audit events",
                "indexes": [
                    models.Index(
                        condition=models.Q(("action", "login_failed")),
                        fields=["address", "-id"],
                        name="audit_failed_from",
                    ),
                    models.Index(
                        condition=models.Q(("request_id__isnull", False)),
                        fields=["request_id"],
                        name="audit_of_request",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("count", 1), ("action", "login_failed"), _connector="OR"
                        ),
                        name="audit_only_failed_logins_add_up",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Session",
            fields=[
                (
                    "session_key",
                    models.CharField(
                        max_length=40, primary_key=True, serialize=False, verbose_name="session key"
                    ),
                ),
                ("session_data", models.TextField(verbose_name="session data")),
                ("expire_date", models.DateTimeField(db_index=True, verbose_name="expire date")),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sessions",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "session",
                "verbose_name_plural": "sessions",
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="BatchJob",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("start", "Start"),
                            ("stop", "Stop"),
                            ("restart", "Restart"),
                            ("delete", "Delete"),
                            ("recycle", "Move to the recycle bin"),
                            ("release", "Release at once"),
                            ("expire", "Expire"),
                            ("renew", "Renew"),
                            ("restore", "Restore"),
                            ("purge", "Delete permanently"),
                            ("extend", "Extend"),
                            ("protect", "Protect"),
                            ("unprotect", "Switch protection off"),
                            ("hold", "Place legal hold"),
                            ("unhold", "End legal hold"),
                            ("quarantine", "Put in quarantine"),
                            ("retry", "Try again"),
                        ],
                        max_length=16,
                        verbose_name="action",
                    ),
                ),
                (
                    "parameters",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        encoder=django.core.serializers.json.DjangoJSONEncoder,
                        verbose_name="parameters",
                    ),
                ),
                (
                    "chosen",
                    models.CharField(blank=True, max_length=8000, verbose_name="selected from"),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("cancelled", "Cancelled"),
                            ("finished", "Finished"),
                        ],
                        default="waiting",
                        max_length=16,
                        verbose_name="state",
                    ),
                ),
                ("by_name", models.CharField(max_length=150, verbose_name="by")),
                (
                    "by_name_folded",
                    recycle.models.folded.FoldedField("by_name", editable=False, null=True),
                ),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        max_length=200,
                        validators=[recycle.text.check_text],
                        verbose_name="reason",
                    ),
                ),
                (
                    "address",
                    models.GenericIPAddressField(blank=True, null=True, verbose_name="address"),
                ),
                ("request_id", models.UUIDField(blank=True, null=True, verbose_name="request ID")),
                (
                    "edge",
                    models.CharField(
                        choices=[
                            ("page", "Page"),
                            ("admin", "Admin"),
                            ("api", "API"),
                            ("schedule", "Schedule"),
                            ("command", "Command line"),
                        ],
                        max_length=16,
                        verbose_name="through",
                    ),
                ),
                ("created_at", models.DateTimeField(verbose_name="requested")),
                ("started_at", models.DateTimeField(blank=True, null=True, verbose_name="started")),
                (
                    "finished_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="finished"),
                ),
                ("turn_at", models.DateTimeField(verbose_name="last chunk")),
                ("total", models.PositiveIntegerField(default=0, verbose_name="instances")),
                ("done", models.PositiveIntegerField(default=0, verbose_name="done")),
                ("refused", models.PositiveIntegerField(default=0, verbose_name="refused")),
                ("failed", models.PositiveIntegerField(default=0, verbose_name="failed")),
                (
                    "reached",
                    models.PositiveBigIntegerField(
                        default=0, editable=False, verbose_name="last item"
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="recycle.account",
                        verbose_name="account",
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="by",
                    ),
                ),
                (
                    "retry_of",
                    models.OneToOneField(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="retried_as",
                        to="recycle.batchjob",
                        verbose_name="retries",
                    ),
                ),
            ],
            options={
                "verbose_name": "batch job",
                "verbose_name_plural": "batch jobs",
                "indexes": [
                    models.Index(
                        condition=models.Q(("state__in", ("waiting", "running"))),
                        fields=["turn_at", "id"],
                        name="job_turn",
                    ),
                    models.Index(
                        condition=models.Q(("state__in", ("waiting", "running"))),
                        fields=["account", "created_at", "id"],
                        name="job_unfinished",
                    ),
                    models.Index(fields=["account", "-created_at", "-id"], name="job_newest"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["waiting", "running", "cancelled", "finished"])
                        ),
                        name="job_state_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("finished_at", None), ("started_at", None), ("state", "waiting")
                            ),
                            models.Q(
                                ("finished_at", None),
                                ("started_at__isnull", False),
                                ("state", "running"),
                            ),
                            models.Q(("finished_at__isnull", False), ("state", "cancelled")),
                            models.Q(
                                ("finished_at__isnull", False),
                                ("started_at__isnull", False),
                                ("state", "finished"),
                            ),
                            _connector="OR",
                        ),
                        name="job_times_follow_state",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "done__lte",
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        models.F("total"), "-", models.F("refused")
                                    ),
                                    "-",
                                    models.F("failed"),
                                ),
                            )
                        ),
                        name="job_counts_fit",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "finished"), _negated=True),
                            (
                                "total",
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        models.F("done"), "+", models.F("refused")
                                    ),
                                    "+",
                                    models.F("failed"),
                                ),
                            ),
                            _connector="OR",
                        ),
                        name="job_finished_leaves_nothing_out",
                    ),
                    models.UniqueConstraint(fields=("id", "account"), name="job_with_account"),
                    recycle.models.agreement.Agreement(
                        name="job_retries_one_of_its_account", on=("account",), relation="retry_of"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="JobItem",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False, verbose_name="ID")),
                ("instance_id", models.UUIDField(verbose_name="instance ID")),
                ("name", models.CharField(max_length=64, verbose_name="instance")),
                ("changed_at", models.DateTimeField(verbose_name="changed")),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("done", "Done"),
                            ("refused", "Refused"),
                            ("failed", "Failed"),
                        ],
                        default="pending",
                        max_length=16,
                        verbose_name="outcome",
                    ),
                ),
                ("detail", models.CharField(blank=True, max_length=200, verbose_name="detail")),
                (
                    "job",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="items",
                        to="recycle.batchjob",
                        verbose_name="batch job",
                    ),
                ),
            ],
            options={
                "verbose_name": "item of a batch job",
                "verbose_name_plural": "items of batch jobs",
                "indexes": [
                    models.Index(fields=["job", "id"], name="job_item_in_order"),
                    models.Index(
                        condition=models.Q(("outcome__in", ("refused", "failed"))),
                        fields=["job", "outcome", "detail", "id"],
                        name="job_item_left_alone",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("outcome__in", ["pending", "done", "refused", "failed"])
                        ),
                        name="job_item_outcome_is_known",
                    )
                ],
            },
        ),
    ]
