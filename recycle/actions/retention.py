"""How long instances are kept in the bin, for a whole chunk at a time."""

from collections import defaultdict
from collections.abc import Sequence

from recycle.models import Account, Instance, InstanceTag, RetentionRule
from recycle.policy import Retention, retention


class Retentions:
    """What accounts and tags make of the time of these instances in the bin. Costs three statements
    at most.
    """

    def __init__(self, instances: Sequence[Instance]) -> None:
        accounts = {instance.account_id for instance in instances}
        self.account_keeps = dict(
            Account.objects.filter(pk__in=accounts).values_list("pk", "keep_for")
        )
        self.rules: dict[int, list[RetentionRule]] = defaultdict(list)
        for rule in RetentionRule.objects.filter(account__in=accounts).order_by("pk"):
            self.rules[rule.account_id].append(rule)
        self.tags: dict[object, set[tuple[str, str]]] = defaultdict(set)
        if self.rules:
            tagged = InstanceTag.objects.filter(
                instance__id__among=[instance.pk for instance in instances]
            )
            for instance, key, value in tagged.values_list("instance", "tag__key", "tag__value"):
                self.tags[instance].add((key, value))

    def of(self, instance: Instance) -> Retention | None:
        """None where there is no bin."""
        return retention(
            instance.billing_mode,
            self.account_keeps.get(instance.account_id),
            self.rules.get(instance.account_id, ()),
            self.tags.get(instance.pk, ()),
        )
