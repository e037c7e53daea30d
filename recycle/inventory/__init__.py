"""Reading an inventory: the JSON answers of the KEC API, streamed item by item, as rows. Nothing is
written here.

What the answers say and what we make of it, where the two differ:

- **What has no rules here** (bare metal, instances of projects that were not asked for,
  ...) is left out and counted, with what refers to it. So is every list that nobody reads, wherever
  it stands. Only what cannot be read refuses the files.
- **Words** are in `words`. An instance of an unknown state counts as Running: what nobody says is
  stopped may be in use. Its charge type must be known. Any other unknown word is noted, and what it
  stands for is the usual.
- **Completeness** is in `pages`: an answer that says there is more refuses the files, unless that
  is accepted.
- **An item told twice** and differently (somebody pages while things happen) is the later one, with
  a note.
- **Dates** are RFC 3339, or `yyyy-MM-dd HH:mm:ss`, which is Beijing time, as is any date without an
  offset.
- **Places.** A region is its zone's code without the last letter. EIPs and load balancers do not
  tell theirs: it is that of what they are bound to, or of the VPC they stand in, or the one given,
  or the only one there is.
- **Disks.** The system disk is part of its instance; volumes of the category `system` are left out.
  `DataDisks` of an instance are no volumes by themselves, but say `DeleteWithInstance` for a volume
  whose own answer does not.
- **Real servers** may be nested in their listener, as DescribeListeners has them.
- **EIPs** bound to something else than an instance or a load balancer (`Havip`, ...) come unbound.
- **Tags** of other things than instances, and those whose key or value begins with `ksc` (the
  vendor's), are left out.
"""

from recycle.inventory.answers import Source
from recycle.inventory.kinds import DISKS_ALONE, LISTINGS, Entry, Listing, region_of
from recycle.inventory.notes import Notes, Remarks, Topic
from recycle.inventory.place import Place, Problem
from recycle.inventory.progress import Progress, ProgressBar
from recycle.inventory.reading import gather, kept

__all__ = [
    "DISKS_ALONE",
    "LISTINGS",
    "Entry",
    "Listing",
    "Notes",
    "Place",
    "Problem",
    "Progress",
    "ProgressBar",
    "Remarks",
    "Source",
    "Topic",
    "gather",
    "kept",
    "region_of",
]
