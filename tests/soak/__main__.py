"""`python3 manage.py soak`, in a process of its own: what it starts has to be there before Django
is set up.
"""

import argparse
import json
import os
import secrets
import socket
import sys
import tempfile
from pathlib import Path

from tests import postgres
from tests.soak.parts import Parts

WEB = 2
# As in production: what is committed outlives a restart.
OPTIONS = {
    "synchronous_commit": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "max_connections": "200",
    "jit": "off",
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    # Settings of somebody's own console are none of ours.
    theirs = [name for name in os.environ if name.startswith("CONSOLE_") or name.endswith("_URL")]
    for name in theirs:
        del os.environ[name]
    try:
        # The path of a socket has to be short.
        with (
            tempfile.TemporaryDirectory(prefix="console-soak-", dir="/tmp") as place,
            postgres.cluster(OPTIONS) as cluster,
        ):
            return _run(asked, cluster, Path(place))
    except postgres.Missing as missing:
        print(f"PostgreSQL cannot run here: {missing}.", file=sys.stderr)
        return 1


def _run(asked: argparse.Namespace, cluster: postgres.Cluster, place: Path) -> int:
    os.environ |= {
        "DATABASE_URL": cluster.url,
        "CONSOLE_DATA_DIR": str(place),
        "CONSOLE_SECRET_KEY": secrets.token_urlsafe(50),
        "CONSOLE_WEB_PROCESSES": "1",
        "CONSOLE_LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "console.settings",
    }
    ports = [_free_port() for _node in range(WEB)]
    parts = Parts(place, dict(os.environ), ports)
    os.environ["REDIS_URL"] = parts.env["REDIS_URL"]

    import django

    django.setup()

    # Who sends tasks has to know where.
    import console.celery  # noqa: F401
    from tests.soak.course import soak

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    report = soak(cluster, parts, ports, seed=asked.seed, minutes=asked.minutes, say=say)
    print(*report.lines(), sep="\n", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(report.as_json(), indent=1) + "\n")
    return 1 if report.broken else 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
