"""What every action is told beside what it is about: who acts, when and why, and through what."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from recycle.lifecycle import AnyAction
from recycle.models import Edge, Origin, User
from recycle.policy import Role, may

# Through these nobody logs in: whoever can use them runs the console.
UNATTENDED = (Edge.SCHEDULE, Edge.COMMAND)


@dataclass(frozen=True, kw_only=True)
class Context:
    """One request, or one pass of the schedule. What an edge makes once, all its actions share."""

    # None when nobody is logged in, as when the schedule acts or an import runs.
    by: User | None
    # The one moment at which everything in the request is decided.
    now: datetime
    edge: Edge
    reason: str = ""
    origin: Origin = field(default_factory=Origin)
    # What was done by one request shares a batch.
    batch: UUID = field(default_factory=uuid4)

    @property
    def person(self) -> User:
        """Who acts, for actions that the schedule never carries out."""
        assert self.by is not None
        return self.by

    def role_in(self, account_id: int, project: int | None = None) -> Role:
        """The role of who acts, at this moment: in a project of the account, or, with None, in the
        account as a whole.
        """
        return self._nobody if self.by is None else self.by.role_in(account_id, project)

    def may(self, action: AnyAction, account_id: int, project: int | None = None) -> bool:
        return may(self.role_in(account_id, project), action)

    def could(self, action: AnyAction, account_id: int) -> bool:
        """Whether it is allowed in any project of the account."""
        best = self._nobody if self.by is None else self.by.best_role_in(account_id)
        return may(best, action)

    @property
    def _nobody(self) -> Role:
        return Role.SYSTEM if self.edge in UNATTENDED else Role.NONE

    @property
    def signature(self) -> dict[str, Any]:
        """Who does it and from where, in the columns that every log has for it."""
        return {
            "by": self.by,
            "by_name": self.by.get_username() if self.by else "",
            "address": self.origin.address,
            "request_id": self.origin.request_id,
            "edge": self.edge.value,
        }
