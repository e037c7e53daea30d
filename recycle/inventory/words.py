"""The words of the API and what each means here. One table for each kind of word; a new word is a
new line.

Sources, all public:

- States of instances: the Terraform provider (it starts an instance after `resize_success_local`,
  `migrating_success_off_line` and `cross_finish`, so these are stopped; it only reboots one after
  `migrating_success`), and cloudmux, which waits for the words of a deployment.
- Charge types of instances: the SDKs' `CreateModel` and the page of RunInstances.
- Charge types of EIPs, EBS volumes and load balancers: the page of AllocateAddress, the table of
  old and new names in the Terraform provider (`ksyun_eip`, `utils_ksyun_charge.go`), and the order
  centre's list of EIP bills. Whatever is paid for in advance by the month is a Subscription; what
  is settled by the hour or by use is Pay-As-You-Go; what is settled by the day or at the end of a
  month (peak, traffic) is Pay-By-Daily-Config.
"""

from recycle.lifecycle import State
from recycle.models import Listener, LoadBalancer
from recycle.policy import SHARING, BillingMode

STATES = {
    "active": State.ACTIVE,
    "migrating_success": State.ACTIVE,
    "scheduling": State.ACTIVE,
    "block_device_mapping": State.ACTIVE,
    "rebuilding": State.ACTIVE,
    "updating_password": State.ACTIVE,
    "updating_hostname": State.ACTIVE,
    "stopped": State.STOPPED,
    "stopping": State.STOPPED,
    "error": State.STOPPED,
    "resize_success_local": State.STOPPED,
    "migrating_success_off_line": State.STOPPED,
    "cross_finish": State.STOPPED,
}
# These say it themselves; what any other word counts as is told.
PLAIN_STATES = frozenset({"active", "stopped"})
# On its way out, of instances and volumes alike.
LEAVING = frozenset({"recycling", "recycled", "deleting", "deleted", "terminating", "terminated"})

CHARGE_TYPES: dict[str, str] = {mode.value: mode for mode in BillingMode} | {
    word: mode for word, (mode, _said) in SHARING.items()
}
# Of what is not an instance.
CHARGES = {
    **CHARGE_TYPES,
    "PrePaidByMonth": BillingMode.MONTHLY,
    "PrepaidByTime": BillingMode.MONTHLY,
    "Peak": BillingMode.DAILY,
    "PostPaidByPeak": BillingMode.DAILY,
    "DailyPeak": BillingMode.DAILY,
    "RegionPeak": BillingMode.DAILY,
    "PostPaidByRegionPeak": BillingMode.DAILY,
    "PostPaidByAdvanced95Peak": BillingMode.DAILY,
    "PostPaidByDay": BillingMode.DAILY,
    "FreeTrial": BillingMode.DAILY,
    "TrafficMonthly": BillingMode.DAILY,
    "PostPaidByTransfer": BillingMode.DAILY,
    "DailyPaidByTransfer": BillingMode.DAILY,
    "PrePaidByHour": BillingMode.HOURLY,
    "PostPaidByHour": BillingMode.HOURLY,
    "HourlySettlement": BillingMode.HOURLY,
    "Hourly": BillingMode.HOURLY,
    "BandwidthHourly": BillingMode.HOURLY,
    "PostpaidByTime": BillingMode.HOURLY,
}

# What an EIP is bound to.
TO_INSTANCE = frozenset({"Ipfwd", ""})
TO_LOAD_BALANCER = "Slb"
ASSOCIATED = {"associate": True, "disassociate": False}
# The word of the EIP's `HostType` for bare metal, which is bound like an instance but is none.
BARE_METAL = "epc"

TYPES = {kind.value: kind for kind in LoadBalancer.Type}
PROTOCOLS = {protocol.value: protocol for protocol in Listener.Protocol}
METHODS = {method.value: method for method in Listener.Method}
# Whether a listener is enabled.
LISTENER_STATES = {"start": True, "stop": False}

# The lists of the answers we read, and how real servers are nested in a listener.
NESTED_SERVERS = ("RealServer", "RealServerSet")
# Lists of other answers of the API: nothing here is made of them, and no file is refused for them.
OTHER_ANSWERS = frozenset(
    {
        "Attachments",
        "AvailabilityZoneSet",
        "BackendServerGroupSet",
        "BackendServerSet",
        "ImagesSet",
        "InstanceFamilySet",
        "InstanceTypeConfigSet",
        "KeySet",
        "LineSet",
        "NetworkInterfaceSet",
        "RegionSet",
        "SecurityGroupSet",
        "Snapshots",
        "SubnetSet",
        "TagSet",
        "VpcSet",
    }
)
# Lists that hold things, wherever they stand and whatever they hold.
CONTAINERS = OTHER_ANSWERS | {
    "AddressesSet",
    "Attachment",
    "DataDisks",
    "DataDiskQuotaSet",
    "DataGuardSet",
    "GroupSet",
    "InstancesSet",
    "ListenerSet",
    "LoadBalancerDescriptions",
    "Metadata",
    "RealServer",
    "RealServerSet",
    "SystemDiskQuotaSet",
    "Tags",
    "Volumes",
}
