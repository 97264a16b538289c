"""The links at the end of mails: tokens that name a player and a kind of mail, and prove it.

A token is the base64url, without padding, of the HMAC-SHA-256 of a claim and the claim itself:
`KEY-ID KIND PLAYER-ID`. It holds no address, and does not expire by itself.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from .preferences import MAIL_KINDS

DIGEST = "digest"
"""The kind of a mail that holds all that a player has once a day."""
LINKED_KINDS = frozenset({*MAIL_KINDS, DIGEST})
LONGEST_TOKEN = 200


class Link(NamedTuple):
    """What following a link is about; `kind` is one of LINKED_KINDS."""

    player_id: str
    kind: str


NOWHERE = Link("", "")
"""What a wrong token is about: nobody's id is empty."""


def key_id(key: str) -> str:
    """Tells keys apart, and nothing of what they are."""
    return hashlib.sha256(f"id of {key}".encode()).hexdigest()[:8]


def token_of(key: str, link: Link) -> str:
    """The one spelling of the token that a key makes for a link."""
    claim = f"{key_id(key)} {link.kind} {link.player_id}".encode()
    mac = hmac.digest(key.encode(), b"unsubscribe " + claim, hashlib.sha256)
    return base64.urlsafe_b64encode(mac + claim).rstrip(b"=").decode()


def link_in(token: str, keys: Mapping[str, str]) -> Link | None:
    """The link of a token, if one of the keys, by their ids, made it and it is spelled like that.

    Takes as long whatever is wrong with a token of its length.
    """
    signer, link = _claimed(token)
    key = keys.get(signer)
    right = token_of(key or "nobody's", link)
    same = hmac.compare_digest(right.encode(), token.encode("utf-8", "replace"))
    return link if same and key is not None and link.kind in LINKED_KINDS else None


def _claimed(token: str) -> tuple[str, Link]:
    """Key id and link as a token has them, unverified."""
    with suppress(ValueError):
        padded = token[:LONGEST_TOKEN] + "=" * (-len(token[:LONGEST_TOKEN]) % 4)
        claim = base64.urlsafe_b64decode(padded)[hashlib.sha256().digest_size :].decode()
        signer, kind, player_id = claim.split(" ", 2)
        return signer, Link(player_id, kind)
    return "", NOWHERE


def address_hint(address: str) -> str:
    """Enough of an address for its owner to know it: `a…@example.com`."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"
