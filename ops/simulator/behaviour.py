"""How simulated players behave: how often they attack, whom they choose, what changes that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ops.target import OperatorError

SHOWN = 20
"""How many targets a page of /targets shows."""
FIRST_PLACES = 100
"""How many places of the board somebody chooses from."""
TRIES = 3
"""How many targets somebody looks at, one after another, until one can be robbed."""
SCHEMERS_TRIES = 10
HIGHEST_RATE = 100
HIGHEST_ELASTICITY = 5
HIGHEST_SHARE = 1000


class Choice(StrEnum):
    """Whom an attacker looks at next."""

    RANDOM = "random"
    """One of those that /targets suggests: about half to four times the attacker's points."""
    RICHEST = "richest"
    """The richest of twenty such suggestions."""
    BOARD = "board"
    """One of the first hundred places of the leaderboard."""
    REVENGE = "revenge"
    """Whoever robbed them last, in the last seven days; else a suggestion."""


MIX: Mapping[Choice, float] = {
    Choice.RANDOM: 50,
    Choice.REVENGE: 20,
    Choice.BOARD: 20,
    Choice.RICHEST: 10,
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Per player and 30 days: `attacks` that are tried, and `referrals`, each of which is a token.

    An attack that brings x times as much is tried x to the power of `elasticity` times as often.
    """

    attacks: float = 2
    referrals: float = 2
    elasticity: float = 0
    choices: Mapping[Choice, float] = field(default_factory=lambda: MIX)

    def __str__(self) -> str:
        whole = sum(self.choices.values())
        whom = ", ".join(f"{name} {share / whole:.0%}" for name, share in self.choices.items())
        return (
            f"a player tries {self.attacks:g} attacks and refers {self.referrals:g} friends in 30 "
            f"days, unequally; targets: {whom}; elasticity {self.elasticity:g}"
        )


def number_of(name: str, text: str, highest: int) -> float:
    """What was typed, from 0 on. Raises OperatorError."""
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= highest:
        raise OperatorError(f"{name} must be a number, 0 to {highest}, got {text!r}.")
    return number


def choices_of(text: str) -> Mapping[Choice, float]:
    """`board`, or shares as in `random=50,board=50`. Raises OperatorError."""
    choices: dict[Choice, float] = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        if name not in set(Choice):
            raise OperatorError(
                f"A choice must be one of {', '.join(Choice)}, or shares as in "
                f"random=50,board=50, got {part!r}."
            )
        choices[Choice(name)] = number_of(f"The share of {name}", share or "1", HIGHEST_SHARE)
    if not any(choices.values()):
        raise OperatorError("One of the choices must have a share above 0.")
    return choices
