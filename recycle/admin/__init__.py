"""Django admin, for superusers: everything to look at and to search; what happens to instances,
only by the actions.

Whatever is edited here is written to a log, by `LoggedAdmin`, in the transaction that edits it.
"""

from recycle.admin import (  # noqa: F401 (each registers what it shows)
    accounts,
    history,
    instances,
    people,
    places,
    resources,
    retention,
    site,
)
