"""What the addresses of the database, the broker and the shared store may ask for: all of it is
done, or the start stops with a sentence.
"""

import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from socket import AF_UNIX, create_connection, create_server, socket

import pytest
from celery import Celery
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django.db.utils import ConnectionHandler
from kombu.exceptions import OperationalError as BrokerError
from redis import Redis, RedisError

from console import services
from console.bootstrap import PROJECT
from recycle.models import Region
from recycle.reading import reading_in_chunks
from tests import postgres


@pytest.fixture
def database(monkeypatch, tmp_path):
    def database(url: str) -> dict:
        monkeypatch.setenv("DATABASE_URL", url)
        return services.database("DATABASE_URL", tmp_path)

    return database


# --- DATABASE_URL ---------------------------------------------------------------------------------


def test_what_libpq_knows_is_passed_on(database):
    found = database(
        "postgresql://me:p%40ss@one.example.com:5432,two.example.com:5433/console"
        "?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem&target_session_attrs=read-write"
        "&application_name=a%20node&options=-c%20statement_timeout%3D5s&connect_timeout=9"
    )

    assert {name: found[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")} == {
        "NAME": "console",
        "USER": "me",
        "PASSWORD": "p@ss",
        "HOST": "one.example.com,two.example.com",
        "PORT": "5432,5433",
    }
    asked = {
        "sslmode": "verify-full",
        "sslrootcert": "/etc/ca.pem",
        "target_session_attrs": "read-write",
        "application_name": "a node",
        "options": "-c statement_timeout=5s",
        "connect_timeout": "9",
    }
    assert asked.items() <= found["OPTIONS"].items()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgres://postgres@/console?host=/run/postgresql", ("console", "/run/postgresql", "")),
        ("postgresql://[::1]:5433/console", ("console", "::1", "5433")),
        ("postgresql:///console", ("console", "", "")),
    ],
)
def test_a_place_is_said_in_several_ways(database, url, place):
    found = database(url)

    assert (found["NAME"], found["HOST"], found["PORT"]) == place


def test_who_asks_while_the_database_is_away_is_not_kept_waiting(database):
    options = database("postgresql://db.example.com/console")["OPTIONS"]

    assert int(options["connect_timeout"]) + 1 <= 3
    assert int(options["tcp_user_timeout"]) < 3000


@pytest.mark.django_db
def test_a_request_waits_once_for_a_database_that_is_away(database, free_port):
    url = f"postgresql://postgres@127.0.0.1:{free_port}/console"
    away = ConnectionHandler({"default": database(url)})["default"]
    with pytest.raises(OperationalError, match="refused"):
        away.ensure_connection()

    with create_server(("127.0.0.1", free_port)) as listener:
        listener.settimeout(0)
        with pytest.raises(OperationalError, match="refused"):
            away.ensure_connection()
        with pytest.raises(BlockingIOError):
            listener.accept()

        # The next request asks anew, and nobody answers.
        away.close_if_unusable_or_obsolete()
        with pytest.raises(OperationalError, match="timeout"):
            away.ensure_connection()
        listener.accept()[0].close()


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (
            "sslmod=require",
            'has the parameter "sslmod", which PostgreSQL\'s library does not know.',
        ),
        ("sslmode=requird", 'cannot be used: invalid sslmode value: "requird".'),
        ("sslmode=", "cannot be used: its parameter sslmode is empty."),
        ("target_session_attrs=any-one", "invalid target_session_attrs value"),
        ("channel_binding=perhaps", "invalid channel_binding value"),
        ("connect_timeout=soon", "connect_timeout is 'soon', but must be a whole number."),
        ("keepalives_idle=1h", "keepalives_idle is '1h', but must be a whole number."),
        ("port=port", 'invalid integer value "port" for connection option "port"'),
        ("sslmode", "must look like postgresql://user:password@host:5432/name."),
    ],
)
def test_what_libpq_does_not_take_stops_the_start(database, query, sentence):
    with pytest.raises(ImproperlyConfigured) as refused:
        database(f"postgresql://me:hush@db.example.com/console?{query}")

    assert str(refused.value).startswith("DATABASE_URL ")
    assert sentence in str(refused.value)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "db.example.com/console",
        "console",
        "mysql://me:hush@db.example.com/console",
        "postgresql://me:hush@db.example.com/",
        "postgresql://me:hush@db.example.com:port/console",
        "postgresql://me:hush@[::1/console",
        "postgresql://me:hu sh@db.example.com/console",
        "host=db.example.com dbname=console",
    ],
)
def test_what_is_no_address_of_a_postgresql_stops_the_start_and_keeps_its_secret(database, url):
    with pytest.raises(ImproperlyConfigured) as refused:
        database(url)

    assert str(refused.value).startswith("DATABASE_URL ")
    assert "hu" not in str(refused.value).replace("must", "")


def test_without_an_address_the_database_is_a_file(database, tmp_path):
    assert database("")["NAME"] == tmp_path / "console.sqlite3"


# --- What a pooler takes --------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_nothing_is_left_in_a_session_when_its_transaction_is_over(django_assert_num_queries):
    Region.objects.bulk_create(Region(code=f"r-{number}", name="R") for number in range(9))

    with connection.cursor() as cursor:
        cursors = "SELECT count(*) FROM pg_cursors WHERE is_holdable OR name LIKE '_django%%'"
        rows = Region.objects.order_by("code").iterator(chunk_size=2)
        first = next(rows)
        cursor.execute(cursors)
        outside = cursor.fetchone()
        with reading_in_chunks():
            others = Region.objects.order_by("code").iterator(chunk_size=2)
            next(others)
            cursor.execute(cursors)
            inside = cursor.fetchone()
            list(others)

    assert (outside, inside) == ((0,), (1,))
    assert [first, *rows] == list(Region.objects.order_by("code"))


# --- TLS to the database --------------------------------------------------------------------------


def _check(url: str, tmp_path: Path) -> tuple[int, str]:
    """What a command that needs the database says."""
    program = (
        "import django; django.setup()\n"
        "from django.db import connection as c\n"
        "with c.cursor() as cursor:\n"
        "    cursor.execute('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')\n"
        "    print('encrypted', cursor.fetchone()[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env={
            "PATH": "/usr/bin:/bin",
            "DJANGO_SETTINGS_MODULE": "console.settings",
            "CONSOLE_DATA_DIR": str(tmp_path),
            "DATABASE_URL": url,
        },
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def free_port() -> int:
    with create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.mark.slow
def test_a_connection_that_is_to_be_encrypted_is_none_where_it_cannot_be(tmp_path, free_port):
    options = {"listen_addresses": "127.0.0.1", "port": str(free_port)}
    try:
        with postgres.cluster(options):
            url = f"postgresql://postgres@127.0.0.1:{free_port}/postgres"
            plain = _check(url, tmp_path)
            refused, said = _check(f"{url}?sslmode=require", tmp_path)
    except postgres.Missing as reason:
        pytest.skip(str(reason))

    assert plain == (0, "encrypted False\n")
    assert refused != 0
    assert "server does not support SSL, but SSL was required" in said


@pytest.mark.slow
def test_a_connection_that_is_to_be_encrypted_is(tmp_path, free_port):
    options = {"listen_addresses": "127.0.0.1", "port": str(free_port), "ssl": "on"}
    certificate, key = make_certificate(tmp_path)
    files = {"server.crt": certificate, "server.key": key}
    try:
        with postgres.cluster(options, files, postgres.of_the_system()):
            url = f"postgresql://postgres@localhost:{free_port}/postgres"
            required = _check(f"{url}?sslmode=require", tmp_path)
            known = _check(f"{url}?sslmode=verify-full&sslrootcert={certificate}", tmp_path)
    except postgres.Missing as reason:
        pytest.skip(str(reason))

    assert required == known == (0, "encrypted True\n")


def make_certificate(place: Path) -> tuple[Path, Path]:
    """A certificate of localhost that vouches for itself, and its key."""
    certificate, key = place / "localhost.crt", place / "localhost.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    try:
        subprocess.run(
            [*command, *names, "-out", certificate, "-keyout", key], check=True, capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("this machine has no openssl to make a certificate with")
    return certificate, key


# --- REDIS_URL ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "celery"),
    [
        ("redis://db.example.com:6379/3", "redis://db.example.com:6379/3"),
        ("redis://db.example.com?db=3", "redis://db.example.com/3"),
        ("unix:///run/broker.sock", "redis+socket:///run/broker.sock"),
        ("unix:///run/broker.sock?db=3", "redis+socket:///run/broker.sock?virtual_host=3"),
        (
            "rediss://db.example.com/3",
            "rediss://db.example.com/3?ssl_cert_reqs=required",
        ),
        (
            "rediss://me:p%40ss@db.example.com/3?ssl_cert_reqs=none",
            "rediss://me:p%40ss@db.example.com/3?ssl_cert_reqs=none",
        ),
    ],
)
def test_celery_is_told_the_same_place_in_its_own_spelling(monkeypatch, url, celery):
    monkeypatch.setenv("REDIS_URL", url)

    assert services.celery_broker(services.redis("REDIS_URL")) == celery


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("amqp://me:hush@db.example.com", "must look like redis://"),
        ("db.example.com:6379", "must look like redis://"),
        ("redis://", "must look like redis://"),
        ("redis://:hush@db.example.com?socket_timeout=5", "has the parameter 'socket_timeout'"),
        ("redis://:hush@db.example.com?ssl_ca_certs=/ca", "'ssl_ca_certs', which needs rediss://"),
        ("rediss://:hush@db.example.com?ssl_ca_certs=/nowhere", "but there is no such file"),
        ("rediss://:hush@db.example.com?ssl_cert_reqs=maybe", "must have one of required,"),
        ("rediss://:hush@db.example.com?ssl_check_hostname=0", "must have one of true, false"),
        ("unix:///run/broker.sock?db=first", "must have a whole number"),
    ],
)
def test_what_a_redis_cannot_be_asked_for_stops_the_start(monkeypatch, url, sentence):
    monkeypatch.setenv("REDIS_URL", url)

    with pytest.raises(ImproperlyConfigured) as refused:
        services.redis("REDIS_URL")

    assert str(refused.value).startswith("REDIS_URL ")
    assert sentence in str(refused.value)
    assert "hush" not in str(refused.value)


@pytest.fixture
def tls(valkey, tmp_path) -> Iterator[tuple[str, Path]]:
    """The address of the Valkey behind TLS, and the certificate by which it is known."""
    certificate, key = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    listener = create_server(("127.0.0.1", 0))
    path = valkey.removeprefix("unix://")

    def pass_on(source: socket, target: socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.close()

    def serve() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            try:
                client = context.wrap_socket(raw, server_side=True)
            except (ssl.SSLError, OSError):
                raw.close()
                continue
            server = socket(AF_UNIX)
            server.connect(path)
            for pair in ((client, server), (server, client)):
                threading.Thread(target=pass_on, args=pair, daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    port = listener.getsockname()[1]
    yield f"rediss://localhost:{port}/0", certificate
    # Wakes the thread up, so that it sees that the listener is closed.
    listener.close()
    with suppress(OSError):
        create_connection(("127.0.0.1", port), timeout=1).close()


@pytest.mark.slow
def test_a_redis_is_talked_to_by_tls_and_only_when_it_is_known(tls, settings, monkeypatch):
    url, certificate = tls

    def all_reach(address: str) -> list[bool]:
        """The probe, the shared store and Celery."""
        monkeypatch.setenv("REDIS_URL", address)
        found = services.redis("REDIS_URL")
        settings.CACHES = {"default": services.cache("CACHE_URL", found)}
        reached = []
        for ask in (_ping, _keep, _publish):
            try:
                ask(found)
            except (RedisError, BrokerError, OSError):
                reached.append(False)
            else:
                reached.append(True)
        return reached

    assert all_reach(f"{url}?ssl_ca_certs={certificate}") == [True, True, True]
    # Who does not vouch for itself by anybody we know is not talked to.
    assert all_reach(url) == [False, False, False]
    assert all_reach(url.replace("rediss", "redis")) == [False, False, False]


def _ping(address: str) -> None:
    with Redis.from_url(address, socket_connect_timeout=1, socket_timeout=1) as broker:
        broker.ping()


def _keep(address: str) -> None:
    caches["default"].set("a", "b", 1)
    caches["default"].close()


def _publish(address: str) -> None:
    app = Celery(broker=services.celery_broker(address), set_as_current=False)
    with app.connection_for_write() as broker:
        broker.transport_options = {"socket_timeout": 2, "socket_connect_timeout": 2}
        broker.default_channel.client.ping()  # type: ignore[attr-defined]
