"""The log of the installation, events about members and accounts, and the end of sessions."""

from django.conf import settings
from django.db import migrations, models
from django.db.models.deletion import PROTECT


class Migration(migrations.Migration):
    dependencies = [("recycle", "0010_event_origin")]

    operations = [
        migrations.AddField(
            "user",
            "sessions_ended_at",
            models.DateTimeField(blank=True, null=True, verbose_name="sessions ended"),
        ),
        migrations.AlterField(
            "event",
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
                ],
                db_default="",
                max_length=16,
                verbose_name="resource",
            ),
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
                        on_delete=PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="by",
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
                    )
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
    ]
