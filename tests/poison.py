"""Rows that the database rejects, whoever writes to them."""

from django.db import connection


class Poison:
    """A trigger in the database that rejects whatever is done to some instances, until it is
    lifted.
    """

    def __init__(self, instances, event="UPDATE OF state"):
        ids = [instance.pk.hex for instance in instances]
        # What was inserted is checked now; PostgreSQL makes no trigger before that.
        connection.check_constraints()
        row = "OLD" if event == "DELETE" else "NEW"
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("""
                    CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN RAISE EXCEPTION 'poisoned'; END $$
                """)
                listed = ", ".join(f"'{pk}'::uuid" for pk in ids)
                body = "EXECUTE FUNCTION poison()"
            else:
                listed = ", ".join(f"'{pk}'" for pk in ids)
                body = "BEGIN SELECT RAISE(ABORT, 'poisoned'); END"
            cursor.execute(
                f"CREATE TRIGGER poison BEFORE {event} ON recycle_instance FOR EACH ROW"
                f" WHEN ({row}.id IN ({listed})) {body}"
            )

    def lift(self):
        with connection.cursor() as cursor:
            on = " ON recycle_instance" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER poison{on}")
