"""Fill the columns that searches look into, for the rows there are.

A transaction for each batch, so that nobody waits long; what is filled already is passed over,
so that it can be run again. The other way there is nothing to do: the columns go with the
migration before.
"""

from django.db import migrations, transaction

from recycle.text import fold

BATCH = 1_000
# Of each model, the texts that have a column beside them.
SOURCES = {
    "account": ["name"],
    "auditevent": ["subject_name", "by_name"],
    "event": ["instance_name", "by_name", "resource_name"],
    "instance": ["name", "recycled_by_name"],
    "listener": ["name"],
    "loadbalancer": ["name"],
    "region": ["name"],
    "retentionrule": ["key", "value"],
    "tag": ["key", "value"],
    "user": ["username", "first_name", "last_name"],
    "volume": ["name"],
}


def folded(text):
    return None if text is None else fold(text)


def fill(apps, schema_editor):
    for name, sources in SOURCES.items():
        fill_table(apps.get_model("recycle", name), sources, schema_editor.connection)


def fill_table(model, sources, connection):
    quote, pk = connection.ops.quote_name, model._meta.pk
    columns = ", ".join(f"{quote(f'{source}_folded')} = %s" for source in sources)
    update = (
        f"UPDATE {quote(model._meta.db_table)} SET {columns} "
        f"WHERE {quote(pk.column)} = %s AND {quote(f'{sources[0]}_folded')} IS NULL"
    )
    empty = (
        model.objects.using(connection.alias)
        .filter(**{f"{sources[0]}_folded": None})
        .order_by("pk")
    )
    rows = empty
    while batch := list(rows.values_list("pk", *sources)[:BATCH]):
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            values = [
                [*map(folded, texts), pk.get_db_prep_value(key, connection)]
                for key, *texts in batch
            ]
            cursor.executemany(update, values)
        rows = empty.filter(pk__gt=batch[-1][0])


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("recycle", "0013_search_columns")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
