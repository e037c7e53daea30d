"""What the pages of volumes, addresses, load balancers and tags share: dialogs, what they answer,
and pages of one.
"""

from recycle.views.resources.creation import Maker, make
from recycle.views.resources.detail import show_detail
from recycle.views.resources.dialog import Verb, act
from recycle.views.resources.listing import Listing, show
from recycle.views.resources.suggestions import suggest

__all__ = ["Listing", "Maker", "Verb", "act", "make", "show", "show_detail", "suggest"]
