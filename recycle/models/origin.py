"""Where a request came from."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Origin:
    """The address and the id of a request. Both are None for what no request asked for."""

    address: str | None = None
    request_id: UUID | None = None
