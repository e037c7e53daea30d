"""Regions and zones are called something in both languages; empty is what they are known by."""

from django.db import migrations, models

import recycle.models.folded
import recycle.text


class Migration(migrations.Migration):
    dependencies = [
        ("recycle", "0027_backend_server"),
    ]

    operations = [
        migrations.AddField(
            model_name="region",
            name="chinese_name",
            field=models.CharField(
                blank=True,
                max_length=64,
                null=True,
                validators=[recycle.text.check_text],
                verbose_name="Chinese name",
            ),
        ),
        migrations.AddField(
            model_name="region",
            name="chinese_name_folded",
            field=recycle.models.folded.FoldedField("chinese_name", editable=False, null=True),
        ),
        migrations.AddField(
            model_name="zone",
            name="chinese_name",
            field=models.CharField(
                blank=True,
                max_length=64,
                null=True,
                validators=[recycle.text.check_text],
                verbose_name="Chinese name",
            ),
        ),
        migrations.AddField(
            model_name="zone",
            name="chinese_name_folded",
            field=recycle.models.folded.FoldedField("chinese_name", editable=False, null=True),
        ),
        migrations.AddField(
            model_name="zone",
            name="name",
            field=models.CharField(
                blank=True,
                max_length=64,
                null=True,
                validators=[recycle.text.check_text],
                verbose_name="English name",
            ),
        ),
        migrations.AddField(
            model_name="zone",
            name="name_folded",
            field=recycle.models.folded.FoldedField("name", editable=False, null=True),
        ),
        migrations.AlterField(
            model_name="region",
            name="name",
            field=models.CharField(
                blank=True,
                max_length=64,
                validators=[recycle.text.check_text],
                verbose_name="English name",
            ),
        ),
    ]
