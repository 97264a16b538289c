"""A heist in the history of one of its two players."""

from dataclasses import dataclass
from enum import StrEnum

from .heist import Heist
from .reversal import Reversal
from .times import to_iso


class Role(StrEnum):
    ATTACKER = "attacker"
    VICTIM = "victim"


@dataclass(frozen=True, slots=True)
class Entry:
    """Points are signed from the player's side, and names are those of then (SPEC section 2)."""

    player_id: str
    heist: Heist
    reversal: Reversal | None

    @property
    def role(self) -> Role:
        return Role.ATTACKER if self.player_id == self.heist.attacker_id else Role.VICTIM

    @property
    def _robbed(self) -> bool:
        return self.role is Role.VICTIM

    @property
    def other_id(self) -> str:
        return self.heist.attacker_id if self._robbed else self.heist.victim_id

    @property
    def other_name(self) -> str | None:
        return self.heist.attacker_name if self._robbed else self.heist.victim_name

    @property
    def points(self) -> int:
        stolen = self.heist.plan.points_stolen
        return -stolen if self._robbed else stolen

    @property
    def points_after(self) -> int:
        """The player's own right after the heist, also when it was reversed since."""
        plan = self.heist.plan
        return plan.victim_points_after if self._robbed else plan.attacker_points_after

    @property
    def points_returned(self) -> int:
        returned = 0 if self.reversal is None else self.reversal.points_returned
        return returned if self._robbed else -returned

    @property
    def document(self) -> dict[str, object]:
        """As the API tells it, but for when it was."""
        reversal = self.reversal
        return {
            "heistId": self.heist.heist_id,
            "role": self.role.value,
            "status": "SUCCESS" if reversal is None else "REVERSED",
            "otherUserId": self.other_id,
            "otherName": self.other_name,
            "points": self.points,
            "pointsAfter": self.points_after,
            "pointsReturned": self.points_returned,
            "reversedAt": None if reversal is None else to_iso(reversal.at),
        }
