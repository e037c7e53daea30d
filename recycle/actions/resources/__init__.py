"""What people do to volumes, addresses, load balancers and tags, and to instances by
binding these.
"""

from recycle.actions.resources import addresses, balancers, tags, volumes

__all__ = ["addresses", "balancers", "tags", "volumes"]
