"""A subscription that was renewed elsewhere: its end here moves forward, never back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from recycle.actions.move import Changes, Move
from recycle.actions.verbs import NO_RETRY
from recycle.lifecycle import Action, State
from recycle.models import Instance
from recycle.policy import Refusal


@dataclass
class RenewUntil(Move):
    """The verb is renew, with all its rules: an expired subscription runs again, one past its time
    stays so.
    """

    action = Action.RENEW
    ends: Mapping[UUID, datetime]

    def refuses(self, instance: Instance) -> Refusal | None:
        if refusal := super().refuses(instance):
            return refusal
        assert instance.expires_at is not None
        # Somebody may have renewed it here since it was read.
        return Refusal.ALREADY if instance.expires_at >= self.ends[instance.pk] else None

    def changes(self, instance: Instance, target: State) -> Changes:
        return {"expires_at": self.ends[instance.pk], "purge_at": None, **NO_RETRY}
