"""What people do to volumes, addresses, load balancers and tags, and to instances by
binding these.
"""

from recycle.actions.resources import addresses, balancers, tags, volumes
from recycle.actions.resources.base import Context

__all__ = ["Context", "addresses", "balancers", "tags", "volumes"]
