"""The side effects that a fact still owes."""

from enum import StrEnum


class Owed(StrEnum):
    """What has yet to follow from a fact; a refused heist owes statistics only."""

    NOTICES = "notices"
    EVENT = "event"
    STATISTICS = "statistics"


MAIL_AGAIN = "mail#"
"""Prefix of an owed entry for a mail that was asked for again. Each request has an entry of its
own: settling removes the entries that were read, and none that was added since."""
