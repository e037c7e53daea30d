"""A subscription that was renewed elsewhere: its end here moves forward, never back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from recycle.actions.judged import Judged
from recycle.actions.move import Changes, Move
from recycle.actions.verbs import BEFORE_ITS_END, NO_RETRY
from recycle.lifecycle import Action, State
from recycle.models import Instance
from recycle.policy import Refusal, end_of_expired


@dataclass
class RenewUntil(Move):
    """The verb is renew, with all its rules: an expired subscription runs again, one past its time
    stays so.
    """

    action = Action.RENEW
    columns = ("billing_mode", "expires_at", *BEFORE_ITS_END)
    ends: Mapping[UUID, datetime]

    def refuses(self, instance: Judged) -> Refusal | None:
        if refusal := super().refuses(instance):
            return refusal
        assert instance.expires_at is not None
        ends = self.ends[instance.pk]
        # Somebody may have renewed it here since it was read.
        if instance.expires_at >= ends or self._is_sooner(instance, ends):
            return Refusal.ALREADY
        return None

    def _is_sooner(self, instance: Judged, ends: datetime) -> bool:
        """Whether it would be purged before the moment promised here: it expires again at once when
        the new end has passed as well.
        """
        if instance.purge_at is None or ends > self.context.now:
            return False
        end = end_of_expired(Instance(billing_mode=instance.billing_mode, expires_at=ends))
        return end is not None and end < instance.purge_at

    def changes(self, instance: Judged, target: State) -> Changes:
        return {"expires_at": self.ends[instance.pk], "purge_at": None, **NO_RETRY}
