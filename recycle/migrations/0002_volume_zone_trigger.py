"""A volume is attached to an instance of its own zone only: a rule over two tables, kept by
triggers in both databases.

On SQLite, Django alters a table by making it anew, and its triggers go with the old one: a
later migration that alters recycle_instance or recycle_volume drops these first and creates
them again afterwards.
"""

from django.db import migrations

POSTGRESQL = """
CREATE FUNCTION volume_in_zone_of_its_instance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.zone_id <> (SELECT zone_id FROM recycle_instance WHERE id = NEW.instance_id) THEN
        RAISE EXCEPTION 'volume_in_zone_of_its_instance'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER volume_in_zone_of_its_instance
    BEFORE INSERT OR UPDATE OF instance_id, zone_id ON recycle_volume
    FOR EACH ROW WHEN (NEW.instance_id IS NOT NULL)
    EXECUTE FUNCTION volume_in_zone_of_its_instance();

CREATE FUNCTION instance_stays_with_its_volumes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM recycle_volume WHERE instance_id = NEW.id) THEN
        RAISE EXCEPTION 'volume_in_zone_of_its_instance'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER instance_stays_with_its_volumes BEFORE UPDATE OF zone_id ON recycle_instance
    FOR EACH ROW WHEN (NEW.zone_id <> OLD.zone_id)
    EXECUTE FUNCTION instance_stays_with_its_volumes();
"""

SQLITE = {
    f"volume_in_zone_of_its_instance_{event}": f"""
        CREATE TRIGGER volume_in_zone_of_its_instance_{event} BEFORE {event} ON recycle_volume
            WHEN NEW.instance_id IS NOT NULL
             AND NEW.zone_id <> (SELECT zone_id FROM recycle_instance WHERE id = NEW.instance_id)
        BEGIN
            SELECT RAISE(ABORT, 'volume_in_zone_of_its_instance');
        END"""
    for event in ("insert", "update")
} | {
    "instance_stays_with_its_volumes": """
        CREATE TRIGGER instance_stays_with_its_volumes BEFORE UPDATE OF zone_id ON recycle_instance
            WHEN NEW.zone_id <> OLD.zone_id
             AND EXISTS (SELECT 1 FROM recycle_volume WHERE instance_id = NEW.id)
        BEGIN
            SELECT RAISE(ABORT, 'volume_in_zone_of_its_instance');
        END"""
}


def create(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRESQL)
    else:
        for trigger in SQLITE.values():
            schema_editor.execute(trigger)


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION volume_in_zone_of_its_instance() CASCADE")
        schema_editor.execute("DROP FUNCTION instance_stays_with_its_volumes() CASCADE")
    else:
        for name in SQLITE:
            schema_editor.execute(f"DROP TRIGGER {name}")


class Migration(migrations.Migration):
    dependencies = [("recycle", "0001_initial")]

    operations = [migrations.RunPython(create, drop)]
