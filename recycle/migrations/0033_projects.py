"""What an account divides its instances, volumes, EIPs and load balancers into: all of them are in
project 0 so far.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import recycle.models.folded
import recycle.text


class Migration(migrations.Migration):
    dependencies = [("recycle", "0032_machine_verbs")]

    operations = [
        migrations.CreateModel(
            name="Project",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.BigIntegerField(editable=False, verbose_name="project ID")),
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
                    "name_folded",
                    recycle.models.folded.FoldedField("name", editable=False, null=True),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                (
                    "disabled_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="disabled"),
                ),
            ],
            options={
                "verbose_name": "project",
                "verbose_name_plural": "projects",
            },
        ),
        migrations.CreateModel(
            name="ProjectRole",
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
            ],
            options={
                "verbose_name": "role in a project",
                "verbose_name_plural": "roles in projects",
            },
        ),
        migrations.AddField(
            model_name="elasticip",
            name="project_number",
            field=models.BigIntegerField(
                db_default=0, default=0, editable=False, verbose_name="project"
            ),
        ),
        migrations.AddField(
            model_name="event",
            name="project_number",
            field=models.BigIntegerField(
                db_default=0, editable=False, null=True, verbose_name="project"
            ),
        ),
        migrations.AddField(
            model_name="instance",
            name="project_number",
            field=models.BigIntegerField(
                db_default=0, default=0, editable=False, verbose_name="project"
            ),
        ),
        migrations.AddField(
            model_name="loadbalancer",
            name="project_number",
            field=models.BigIntegerField(
                db_default=0, default=0, editable=False, verbose_name="project"
            ),
        ),
        migrations.AddField(
            model_name="membership",
            name="restricted",
            field=models.BooleanField(
                db_default=False, default=False, verbose_name="restricted to projects"
            ),
        ),
        migrations.AddField(
            model_name="volume",
            name="project_number",
            field=models.BigIntegerField(
                db_default=0, default=0, editable=False, verbose_name="project"
            ),
        ),
        migrations.AlterField(
            model_name="event",
            name="kind",
            field=models.CharField(
                blank=True,
                choices=[
                    ("volume", "EBS volume"),
                    ("eip", "EIP"),
                    ("load_balancer", "Load balancer"),
                    ("listener", "Listener"),
                    ("real_server", "Backend server"),
                    ("tag", "Tag"),
                    ("member", "Member"),
                    ("account", "Account"),
                    ("job", "Batch job"),
                    ("project", "Project"),
                ],
                db_default="",
                max_length=16,
                verbose_name="resource",
            ),
        ),
        migrations.AddField(
            model_name="project",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="projects",
                to="recycle.account",
                verbose_name="account",
            ),
        ),
        migrations.AddField(
            model_name="projectrole",
            name="user",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="project_roles",
                to=settings.AUTH_USER_MODEL,
                verbose_name="user",
            ),
        ),
        migrations.AddField(
            model_name="projectrole",
            name="project",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="roles",
                to="recycle.project",
                verbose_name="project",
            ),
        ),
        migrations.AddConstraint(
            model_name="project",
            constraint=models.UniqueConstraint(
                fields=("account", "number"), name="project_number_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="project",
            constraint=models.UniqueConstraint(
                condition=models.Q(("name", ""), _negated=True),
                fields=("account", "name"),
                name="project_name_once_per_account",
            ),
        ),
        migrations.AddConstraint(
            model_name="project",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__gte", 0)), name="project_number_is_one"
            ),
        ),
        migrations.AddConstraint(
            model_name="project",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("number", 0), _negated=True), ("disabled_at", None), _connector="OR"
                ),
                name="project_default_is_never_disabled",
            ),
        ),
        migrations.AddConstraint(
            model_name="projectrole",
            constraint=models.UniqueConstraint(
                fields=("user", "project"), name="project_role_once_per_user_and_project"
            ),
        ),
        migrations.AddConstraint(
            model_name="projectrole",
            constraint=models.CheckConstraint(
                condition=models.Q(("role__in", [10, 20, 30])), name="project_role_is_known"
            ),
        ),
        migrations.AlterField(
            model_name="event",
            name="action",
            field=models.CharField(
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
                    ("rename", "Rename"),
                    ("resize", "Change configuration"),
                    ("reset_password", "Reset password"),
                    ("schedule", "Schedule deletion"),
                    ("unschedule", "Cancel scheduled deletion"),
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
                    ("enable", "Enable"),
                    ("disable", "Disable"),
                    ("weigh", "Change weight"),
                    ("move", "Move to project"),
                    ("cancel", "Cancel"),
                ],
                max_length=16,
                verbose_name="action",
            ),
        ),
    ]
