"""Behind a real PgBouncer that gives each transaction another session, and has fewer of those than
there are clients: everything is as it is without one.
"""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from console.bootstrap import PROJECT
from tests import postgres

pytestmark = pytest.mark.slow

CONFIGURATION = """
[databases]
postgres = host={database} port=5432 dbname=postgres
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = {place}
auth_type = trust
auth_file = {place}/people
pool_mode = transaction
default_pool_size = 3
max_client_conn = 100
server_check_delay = 0
ignore_startup_parameters =
logfile = {place}/log
"""

# What people and the schedule do, all at once and again and again, each on its own connection.
CLIENTS = """
import csv, io, threading
import django; django.setup()
from django.core.management import call_command
call_command("migrate", interactive=False, verbosity=0)
from uuid import UUID
from django.conf import settings
from django.db import connection, connections
from django.test import Client
from django.utils import timezone
from recycle import tasks
from recycle.models import Account, Event, Membership, User

settings.ALLOWED_HOSTS = ["testserver"]
settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
now = timezone.now()
root = User.objects.create_superuser("root")
account = Account.objects.create(name="Acme")
Membership.objects.create(user=root, account=account, role=30)
common = dict(account=account, at=now, batch=UUID(int=1), action="start")
Event.objects.bulk_create([Event(instance_name=f"web-{n}", **common) for n in range(5000)])
wrong = []

def thread(work):
    def run():
        client = Client()
        client.force_login(root)
        try:
            for _ in range(6):
                work(client)
        except Exception as error:
            wrong.append(repr(error))
        finally:
            connections.close_all()
    return threading.Thread(target=run)

def export(client):
    answer = client.get("/operation-log/export.csv")
    rows = list(csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))
    count = int(rows[-1][0].rpartition(" ")[2])
    if answer.status_code != 200 or len(rows) != count + 2 or count < 5000:
        wrong.append(f"an export has {len(rows)} lines and says {rows[-1]}")

def look(client):
    for page in ("/", "/instances/", "/recycle-bin/", "/operation-log/", "/volumes/"):
        answer = client.get(page)
        if answer.status_code not in (200, 302):
            wrong.append(f"{page}: {answer.status_code}")

def sweep(client):
    tasks.expire_due(); tasks.purge_due(); tasks.forget_tombstones(); tasks.clear_sessions()

every = [thread(work) for work in (export, export, export, look, look, sweep, sweep)]
for one in every: one.start()
for one in every: one.join()
with connection.cursor() as cursor:
    cursor.execute("SHOW TimeZone")
    print("zone", cursor.fetchone()[0])
print("wrong", wrong)
"""


@pytest.fixture
def pooled() -> Iterator[str]:
    """The address of a database behind PgBouncer."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        if os.environ.get("REQUIRE_PGBOUNCER") == "1":
            pytest.fail("there is no pgbouncer; REQUIRE_PGBOUNCER=1 makes that a failure")
        pytest.skip("there is no pgbouncer; Debian has it as a package of that name")
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    try:
        with (
            postgres.cluster() as database,
            tempfile.TemporaryDirectory(prefix="console-pool-", dir="/tmp") as name,
        ):
            place = Path(name)
            if user is not None:
                os.chown(place, user, -1)
            path = place / "pgbouncer.ini"
            path.write_text(CONFIGURATION.format(database=database.place, place=place))
            people = place / "people"
            people.write_text('"postgres" ""\n')
            for file in (path, people):
                file.chmod(0o644)
            pooler = subprocess.Popen([program, "-q", str(path)], user=user, cwd=place)
            try:
                url = f"postgresql://postgres@/postgres?host={quote(name)}&port=6432"
                _wait_for(url)
                yield url
            finally:
                pooler.kill()
                pooler.wait()
    except postgres.Missing as reason:
        pytest.skip(str(reason))


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def test_exports_pages_and_the_sweep_share_three_sessions(pooled, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CLIENTS],
        cwd=PROJECT,
        env={
            "PATH": "/usr/bin:/bin",
            "DJANGO_SETTINGS_MODULE": "console.settings",
            "CONSOLE_DATA_DIR": str(tmp_path),
            "CONSOLE_DEBUG": "1",
            "DATABASE_URL": pooled,
        },
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-2:] == ["zone UTC", "wrong []"], done.stderr[-3000:]


def test_two_nodes_that_migrate_at_once_do_it_one_after_the_other(pooled, tmp_path):
    command = [sys.executable, "manage.py", "migrate", "--noinput", "--verbosity", "1"]
    env = {**os.environ, "CONSOLE_DATA_DIR": str(tmp_path), "DATABASE_URL": pooled}
    both = [
        subprocess.Popen(
            command,
            cwd=PROJECT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    waits = subprocess.run([*command[:3], "--wait"], cwd=PROJECT, env=env)

    said = [process.communicate()[0] for process in both]

    assert [process.returncode for process in both] == [0, 0], said
    assert waits.returncode == 0
    assert sum("No migrations to apply" in text for text in said) == 1
