"""Every request to DynamoDB as it is sent, to the letter: a change shows up as a diff of requests.json.

When one is meant, write the file anew (the failing test says how) and review the diff.
"""

import json
from pathlib import Path
from typing import Any

from heist_core.domain.inbox import MailRecord, MailState
from heist_core.storage import operator, transactions
from tests.builders import NOW, action, award, earned, heist, player
from tests.unit.test_transactions import NOTICE, SUBJECT, TABLE, commit_reversal, every_request

SNAPSHOT = Path(__file__).parent / "requests.json"


def as_json() -> str:
    """All requests; string sets, which have no order, in that of the alphabet."""
    return json.dumps(_sorted_sets(every_request()), indent=1, sort_keys=True) + "\n"


def _sorted_sets(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            name: sorted(value) if name == "SS" else _sorted_sets(value)
            for name, value in node.items()
        }
    return node


def test_requests_are_those_that_were_reviewed() -> None:
    hint = f"if this is meant: {SNAPSHOT.name} = tests.unit.test_request_snapshot.as_json()"
    assert json.loads(as_json()) == json.loads(SNAPSHOT.read_text("utf-8")), hint


def test_the_steps_of_transactions_are_puts_and_updates_in_this_order() -> None:
    transacted = (
        transactions.commit_heist(TABLE, heist(), player("alice"), player("bob")),
        commit_reversal(),
        transactions.commit_award(TABLE, award()),
        transactions.commit_points(TABLE, earned()),
        transactions.deliver_notice(TABLE, SUBJECT, NOTICE, 1, "0a1b2c3d", NOW),
        transactions.ask_mail_again(
            TABLE, SUBJECT, "alice", MailRecord(MailState.FAILED), "mail#1", NOW
        ),
        transactions.release_award(TABLE, award()),
        operator.change_settings(TABLE, None, (), {}, 1, action()),
        operator.freeze(TABLE, player("bob"), NOW, action()),
        operator.certify(TABLE, "bob", "0a1b", action()),
        operator.block(TABLE, player("bob"), NOW, action()),
        operator.unblock(TABLE, player("bob"), action()),
    )
    steps = [[(step.name, *step.action) for step in each] for each in transacted]
    assert steps == [
        [
            ("heist", "Put"),
            ("attacker", "Update"),
            ("victim", "Update"),
            ("gain", "Put"),
            ("loss", "Put"),
        ],
        [
            ("reversal", "Put"),
            ("attacker", "Update"),
            ("victim", "Update"),
            ("given", "Put"),
            ("returned", "Put"),
            ("action", "Put"),
        ],
        [("referral", "Put"), ("referrer", "Update")],
        [("event", "Put"), ("player", "Update"), ("ledger", "Put")],
        [("notice", "Put"), ("inbox", "Put")],
        [("mail", "Update"), ("marker", "Update")],
        [("referral", "Update"), ("referrer", "Update")],
        [("settings", "Put"), ("version", "Put"), ("action", "Put")],
        *[[("player", "Update"), ("action", "Put")]] * 4,
    ]
