"""From here on the database sees to it that a project is one of the account."""

from django.db import migrations

import recycle.models.agreement


class Migration(migrations.Migration):
    dependencies = [("recycle", "0034_default_projects")]

    operations = [
        migrations.AddConstraint(
            model_name="elasticip",
            constraint=recycle.models.agreement.InProject(
                name="elastic_ip_in_a_project_of_its_account",
                on=("project_number",),
                relation="account",
            ),
        ),
        migrations.AddConstraint(
            model_name="instance",
            constraint=recycle.models.agreement.InProject(
                name="instance_in_a_project_of_its_account",
                on=("project_number",),
                relation="account",
            ),
        ),
        migrations.AddConstraint(
            model_name="loadbalancer",
            constraint=recycle.models.agreement.InProject(
                name="load_balancer_in_a_project_of_its_account",
                on=("project_number",),
                relation="account",
            ),
        ),
        migrations.AddConstraint(
            model_name="volume",
            constraint=recycle.models.agreement.InProject(
                name="volume_in_a_project_of_its_account",
                on=("project_number",),
                relation="account",
            ),
        ),
    ]
