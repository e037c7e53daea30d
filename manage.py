#!/usr/bin/env python3
"""The one command: makes the project's own environment, then runs the console, its tests or any
Django command.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036
    SENTENCE = "The console needs Python 3.11 or newer; this is Python %d.%d."
    sys.exit(SENTENCE % sys.version_info[:2])

USAGE = """\
python3 manage.py up [--host 127.0.0.1] [--port 8000] [--data-dir D] [--no-demo] start the console
python3 manage.py test [--fast] [pytest arguments]                               run the tests
python3 manage.py lint [--bare [suite ...] | --figures [-v]]                     run the checks
python3 manage.py mutate [module ...]                                            test the tests
python3 manage.py help                                                           every other command
"""


def main(argv: list[str]) -> int:
    command, *arguments = argv or [""]
    if command in ("", "-h", "--help"):
        print(USAGE, end="")
        return 0

    # Only the standard library until this call returns.
    from console import bootstrap

    bootstrap.refuse_what_is_not_utf8(argv)
    bootstrap.enter(command)

    if command == "up":
        from console import supervisor

        return supervisor.main(arguments)
    if command == "lint":
        from console import lint

        return lint.main(arguments)
    if command == "mutate":
        from console import mutate

        return mutate.main(arguments)
    if command == "test":
        from tests.__main__ import main as test

        return test(arguments)

    import os

    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    try:
        execute_from_command_line(["manage.py", *argv])
    except ImproperlyConfigured as error:
        # A wrong value in the environment: the message is the whole story.
        if command == "doctor":
            print(f"FAIL  configuration  {error}")
            return 2
        sys.exit(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
