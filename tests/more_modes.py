"""A console that has two billing modes more: `pytest -p tests.more_modes`.

Their rows are put into the source of `recycle/policy.py` before anything reads it, just as somebody
would type them there. So what follows from the table when the console starts (choices of fields,
constraints, lists of modes) follows from these rows as well, and nothing has to be patched.
"""

import importlib.abc
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType
from typing import Any

MODES = """
    WEEKLY = "Weekly", "Pay-By-Week"
    YEARLY = "Yearly", "Yearly Subscription"
"""
POLICIES = """
    BillingMode.WEEKLY: Policy(
        paid="By the week.",
        min_age=timedelta(minutes=10),
        keep_for=timedelta(hours=5),
        no_fees_upon_shutdown=True,
    ),
    BillingMode.YEARLY: Policy(deletable=False, keep_expired_for=timedelta(days=3)),
"""
PLACES = {
    "class BillingMode(TextChoices):": MODES,
    "POLICIES: dict[str, Policy] = {": POLICIES,
}


class WithMoreModes(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        """Compile it anew: what Python keeps compiled is the source as it stands."""
        lines = self.get_data(self.path).decode().splitlines()
        for line, rows in PLACES.items():
            # Behind the docstring of the class, before the first row of the table.
            at = lines.index(line) + (2 if line.startswith("class") else 1)
            lines[at:at] = rows.splitlines()
        return compile("\n".join(lines), self.path, "exec")


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != "recycle.policy":
            return None
        spec = PathFinder.find_spec(fullname, path)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = WithMoreModes(fullname, spec.origin)
        return spec


assert "recycle.policy" not in sys.modules
sys.meta_path.insert(0, Finder())
