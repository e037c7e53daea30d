"""Django's `migrate`, by one node at a time, with a sentence when the database does not answer; or
with --wait, nothing but waiting until another node has done it.
"""

import time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import OperationalError, connections

from console.schema import migrating_alone, unapplied
from recycle.models import Account
from recycle.policy import DEFAULT_PROJECT

# Seconds between two looks at what another node has done.
PAUSE = 1.0


class Command(migrate.Command):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--wait",
            action="store_true",
            help="apply nothing: wait until another node has applied everything",
        )

    def handle(self, *arguments: Any, **options: Any) -> Any:
        connection = connections[options["database"]]
        if options["wait"]:
            return self._wait(connection)
        try:
            connection.ensure_connection()
        except OperationalError as error:
            raise CommandError(f"The database does not answer: {str(error).strip()}") from None
        with migrating_alone(connection, self._another):
            said = super().handle(*arguments, **options)
            if not (options["app_label"] or options["plan"] or options["check_unapplied"]):
                self._complete(options["database"])
            return said

    def _complete(self, database: str) -> None:
        """What an earlier release has made beside this one lacks what that did not know of."""
        for account in Account.objects.using(database).exclude(projects__number=DEFAULT_PROJECT):
            account.add_default_project()

    def _another(self) -> None:
        self.stdout.write("Another node is applying migrations; waiting for it.")

    def _wait(self, connection: Any) -> None:
        said = ""
        while True:
            try:
                left = unapplied(connection)
            except OperationalError:
                sentence = "The database does not answer; waiting for it."
                connection.close()
            else:
                if not left:
                    return
                sentence = f"Waiting for another node to apply {len(left)} migrations."
            if sentence != said:
                self.stdout.write(said := sentence)
                self.stdout.flush()
            time.sleep(PAUSE)
