"""The nouns, one file per subject."""

from recycle.models.audit import AuditAction, AuditEvent
from recycle.models.catalogue import InstanceType, Region, Zone
from recycle.models.event import Event, Kind
from recycle.models.instance import Instance, InstanceQuerySet
from recycle.models.job import BatchJob, JobItem, JobState
from recycle.models.network import ElasticIP, Listener, LoadBalancer, RealServer
from recycle.models.origin import Edge, Origin
from recycle.models.project import Project, ProjectRole
from recycle.models.session import Session, SessionQuerySet
from recycle.models.storage import Volume
from recycle.models.sweep import Sweep
from recycle.models.tag import InstanceTag, Tag
from recycle.models.tenancy import Account, Membership, RetentionRule, User

__all__ = [
    "Account",
    "AuditAction",
    "AuditEvent",
    "BatchJob",
    "Edge",
    "ElasticIP",
    "Event",
    "Instance",
    "InstanceQuerySet",
    "InstanceTag",
    "InstanceType",
    "JobItem",
    "JobState",
    "Kind",
    "Listener",
    "LoadBalancer",
    "Membership",
    "Origin",
    "Project",
    "ProjectRole",
    "RealServer",
    "Region",
    "RetentionRule",
    "Session",
    "SessionQuerySet",
    "Sweep",
    "Tag",
    "User",
    "Volume",
    "Zone",
]
