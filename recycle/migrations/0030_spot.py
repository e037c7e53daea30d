from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recycle", "0029_listener_enabled"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="instance",
            name="instance_billing_mode_is_known",
        ),
        migrations.AddField(
            model_name="instance",
            name="charge_type",
            field=models.CharField(
                blank=True,
                choices=[
                    ("PostPaidByHour", "hourly, settled monthly"),
                    ("HourlySettlement", "hourly, settled monthly"),
                    ("FreeTrial", "trial"),
                ],
                max_length=32,
                null=True,
                verbose_name="way to pay",
            ),
        ),
        migrations.AlterField(
            model_name="elasticip",
            name="billing_mode",
            field=models.CharField(
                choices=[
                    ("Monthly", "Subscription"),
                    ("Daily", "Pay-By-Daily-Config"),
                    ("HourlyInstantSettlement", "Pay-As-You-Go"),
                    ("Spot", "Spot"),
                ],
                default="Daily",
                max_length=32,
                verbose_name="billing mode",
            ),
        ),
        migrations.AlterField(
            model_name="instance",
            name="billing_mode",
            field=models.CharField(
                choices=[
                    ("Monthly", "Subscription"),
                    ("Daily", "Pay-By-Daily-Config"),
                    ("HourlyInstantSettlement", "Pay-As-You-Go"),
                    ("Spot", "Spot"),
                ],
                max_length=32,
                verbose_name="billing mode",
            ),
        ),
        migrations.AlterField(
            model_name="volume",
            name="billing_mode",
            field=models.CharField(
                choices=[
                    ("Monthly", "Subscription"),
                    ("Daily", "Pay-By-Daily-Config"),
                    ("HourlyInstantSettlement", "Pay-As-You-Go"),
                    ("Spot", "Spot"),
                ],
                default="Daily",
                max_length=32,
                verbose_name="billing mode",
            ),
        ),
        migrations.AddConstraint(
            model_name="instance",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("billing_mode__in", ["Monthly", "Daily", "HourlyInstantSettlement", "Spot"])
                ),
                name="instance_billing_mode_is_known",
            ),
        ),
    ]
