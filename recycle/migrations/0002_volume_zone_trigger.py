"""A volume is attached to an instance of its own zone only: a rule over two tables, kept by a trigger in both databases."""

from django.db import migrations

POSTGRESQL = """
CREATE FUNCTION volume_in_zone_of_its_instance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.zone_id <> (SELECT zone_id FROM recycle_instance WHERE id = NEW.instance_id) THEN
        RAISE EXCEPTION 'volume_in_zone_of_its_instance' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER volume_in_zone_of_its_instance BEFORE INSERT OR UPDATE OF instance_id, zone_id ON recycle_volume
    FOR EACH ROW WHEN (NEW.instance_id IS NOT NULL) EXECUTE FUNCTION volume_in_zone_of_its_instance();
"""

SQLITE = """
CREATE TRIGGER volume_in_zone_of_its_instance_{event} BEFORE {event} ON recycle_volume
    WHEN NEW.instance_id IS NOT NULL
     AND NEW.zone_id <> (SELECT zone_id FROM recycle_instance WHERE id = NEW.instance_id)
BEGIN
    SELECT RAISE(ABORT, 'volume_in_zone_of_its_instance');
END
"""


def create(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRESQL)
    else:
        for event in ("INSERT", "UPDATE"):
            schema_editor.execute(SQLITE.format(event=event))


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION volume_in_zone_of_its_instance() CASCADE")
    else:
        for event in ("INSERT", "UPDATE"):
            schema_editor.execute(f"DROP TRIGGER volume_in_zone_of_its_instance_{event}")


class Migration(migrations.Migration):
    dependencies = [("recycle", "0001_initial")]

    operations = [migrations.RunPython(create, drop)]
