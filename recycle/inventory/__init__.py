"""Reading an inventory: the JSON answers of the KEC API, streamed item by item, as rows. Nothing is written here.

What the answers say and what we make of it, where the two differ:

- **State.** `stopped`, `stopping`, `error` and `migrating_success_off_line` are Stopped. What is on its way out
  (`recycling`, `deleting`, ...) is left out. Every other word counts as Running: an instance nobody says is stopped
  may be in use. With `ShutdownNoCharge` or `StoppedMode` = `StopCharging` a stopped Pay-As-You-Go one has no fees.
- **Billing.** Instances: Monthly, Daily, HourlyInstantSettlement and nothing else; Spot has no rules here. EIPs and
  volumes: every name of either generation, brought down to those three; without a name Daily. Monthly instances need
  `ServiceEndTime`; one that lies in the past is left to the schedule, which expires it.
- **Dates** are RFC 3339, or `yyyy-MM-dd HH:mm:ss`, which is Beijing time, as is any date without an offset.
- **Places.** A region is its zone's code without the last letter. EIPs and load balancers do not tell theirs: it is
  that of what they are bound to, or of the VPC they stand in, or the one given, or the only one there is.
- **Disks.** The system disk is part of its instance; volumes of the category `system` are left out. `DataDisks` of an
  instance are no volumes by themselves, but say `DeleteWithInstance` for a volume whose own answer does not.
- **EIPs** bound to something else than an instance or a load balancer (`Havip`, ...) come unbound.
- **Tags** of other things than instances, and those whose key or value begins with `ksc` (the vendor's), are left out.
"""

from recycle.inventory.answers import Place, Problem, Source, opened
from recycle.inventory.kinds import KINDS, Entry, Kind, read
from recycle.inventory.notes import Notes

__all__ = ["KINDS", "Entry", "Kind", "Notes", "Place", "Problem", "Source", "opened", "read"]
