"""Models of players' changes (SPEC section 2): preferences, and what they have read."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from .contracts import Wire
from .domain.player import Preferences
from .domain.preferences import EMAIL_CHOICES
from .parsing import parse_notification_id


def _email_choice(value: object) -> str:
    if value not in EMAIL_CHOICES:
        raise ValueError("must be instant, daily or off")
    return str(value)


EmailChoice = Annotated[str, BeforeValidator(_email_choice)]


class MarkReadRequest(Wire):
    """Absent members differ from given ones by `model_fields_set`; null is not absent."""

    notificationIds: Annotated[list[str], Field(max_length=100)] = Field(default=[])
    upTo: str = Field(default="")

    @model_validator(mode="after")
    def _one_selection(self) -> "MarkReadRequest":
        if {"notificationIds", "upTo"} <= self.model_fields_set:
            raise ValueError("notificationIds and upTo must not be given together")
        return self

    @property
    def names_items(self) -> bool:
        return "notificationIds" in self.model_fields_set

    @property
    def items(self) -> Sequence[tuple[str, str]]:
        """Positions and tags of what the ids may name."""
        parsed = {parse_notification_id(each) for each in self.notificationIds}
        return sorted(each for each in parsed if each is not None)

    @property
    def names_last(self) -> bool:
        return "upTo" in self.model_fields_set

    @property
    def last(self) -> tuple[str, str] | None:
        """Position and tag; None for a text that no notification has as id."""
        return parse_notification_id(self.upTo)


class EmailRequest(Wire):
    """A kind of mail that is misspelt would stay as it is, unnoticed: so it is refused."""

    model_config = ConfigDict(extra="forbid")

    robbed: EmailChoice = ""
    success: EmailChoice = ""
    reversed: EmailChoice = ""
    token: EmailChoice = ""


class PreferencesRequest(Wire):
    """What is absent stays as it is; null is not absent."""

    passive: bool = False
    hidden: bool = False
    email: EmailRequest = Field(default=EmailRequest.model_construct())

    @property
    def names_any(self) -> bool:
        """Whether it sets anything at all."""
        return bool(self.model_fields_set - {"email"} or self.email.model_fields_set)

    def applied_to(self, preferences: Preferences) -> Preferences:
        named = self.model_fields_set
        return replace(
            preferences,
            passive=self.passive if "passive" in named else preferences.passive,
            hidden=self.hidden if "hidden" in named else preferences.hidden,
            email={**preferences.email, **self.email.model_dump(exclude_unset=True)},
        )
