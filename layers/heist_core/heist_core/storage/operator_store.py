"""Writes operators' changes, each with its entry in the log and the receipt of its answer.

Every method raises what `table` does: Contention, Misconfigured, Unavailable. Those that take a
receipt raise AnsweredAlready if one stands under its id.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from heist_core.domain.action import Action, Receipt
from heist_core.domain.award import TokenGrant
from heist_core.domain.errors import AnsweredAlready, NoSuchPlayer, SettingsMoved
from heist_core.domain.player import Player

from . import keys, operator
from .player_items import player_from
from .table import ConditionFailed, Table
from .wire import Item
from .writes import Transaction


class OperatorStore:
    def __init__(self, table: Table) -> None:
        self._table = table

    def known(self, player_id: str) -> Player:
        """Raises NoSuchPlayer, also for an erased one: nothing new is stored about them."""
        player = player_from(player_id, self._table.get(keys.player(player_id)))
        if not player.exists or player.erased:
            raise NoSuchPlayer
        return player

    def block(self, player: Player, at: datetime, action: Action, receipt: Receipt | None) -> None:
        """Raises Contention when the player is no longer at the version seen."""
        self._commit(operator.block(player, at, action), receipt)

    def unblock(self, player: Player, action: Action, receipt: Receipt | None) -> None:
        """Raises Contention when the player is no longer at the version seen."""
        self._commit(operator.unblock(player, action), receipt)

    def grant(
        self, player: Player, given: TokenGrant, action: Action, receipt: Receipt | None
    ) -> None:
        """Raises Contention when the player is no longer at the version seen."""
        self._commit(operator.grant(player, given, action), receipt)

    # Settings

    def settings_item(self) -> Item | None:
        return self._table.get(keys.SETTINGS)

    def settings_versions(self) -> list[Item]:
        """Every version of the settings, oldest first."""
        return list(self._table.partition(keys.SETTINGS["pk"], keys.SETTINGS_VERSIONS))

    def change_settings(
        self,
        seen: Item | None,
        watched: Collection[str],
        overrides: Mapping[str, object],
        version: int,
        action: Action,
        receipt: Receipt | None,
    ) -> None:
        """Raises SettingsMoved when the item is no longer as seen."""
        change = operator.change_settings(seen, watched, overrides, version, action)
        try:
            self._commit(change, receipt)
        except ConditionFailed as refusal:
            raise SettingsMoved from refusal

    # Receipts

    def receipt(self, request_id: str) -> Receipt | None:
        item = self._table.get(keys.request(request_id))
        return None if item is None else operator.receipt_from(request_id, item)

    def remember(self, receipt: Receipt) -> Receipt | None:
        """Keep what a request is answered that changed nothing; or what stands there already."""
        standing = self._table.put_unless(operator.put_receipt(receipt))
        return None if standing is None else operator.receipt_from(receipt.id, standing)

    def _commit(self, change: Transaction, receipt: Receipt | None) -> None:
        try:
            self._table.transact((*change, *operator.remember(receipt)))
        except ConditionFailed as refusal:
            if operator.RECEIPT in refusal.failed:
                raise AnsweredAlready from refusal
            raise
