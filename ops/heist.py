"""Show one heist, with everything that followed from it.

Who struck whom, the ledger's entries, notices and mails, and its reversal.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import cast

from ops.actions import action_entry
from ops.output import Output, moment
from ops.target import OperatorError, Target

Fields = Mapping[str, object]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("heist", help="the id of a heist")


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    found = target.timelines.heist(options.heist)
    if found is None:
        raise OperatorError("There is no heist with this id: ./heist heists lists them.")
    heist = cast("Fields", found["heist"])
    out.line(f"{heist['heistId']}  {heist['status']}  {moment(heist['createdAt'])}")
    for side in ("attacker", "victim"):
        name = heist.get(f"{side}Name") or "without a name"
        out.line(f"{side:<11}  {heist[f'{side}Id']}  {name}")
    if "code" in heist:
        out.line(f"{'refused':<11}  {heist['code']}: {heist['message']}")
    else:
        out.line(f"{'stolen':<11}  {heist['pointsStolen']} of {heist['season']}")
    for title, columns, entries in (
        (
            "Ledger",
            ("when", "points", "what"),
            [
                ((moment(one["occurredAt"]), one["points"], one["pointEventType"]), one["userId"])
                for one in _list(found, "ledger")
            ],
        ),
        (
            "Notices",
            ("when", "mail", "about"),
            [
                ((moment(one["createdAt"]), _mail(one), one["type"]), one["recipientId"])
                for one in _list(found, "notifications")
            ],
        ),
        (
            "Operators",
            ("when", "what", "subject"),
            [action_entry(one) for one in _list(found, "actions")],
        ),
    ):
        out.line()
        out.line(f"{title}: {len(entries)}")
        out.entries(columns, [(cells, str(text)) for cells, text in entries])
    out.document(found)
    return 0


def _list(found: Fields, name: str) -> Sequence[Fields]:
    return cast("Sequence[Fields]", found[name])


def _mail(notice: Fields) -> object:
    mail = notice["mail"]
    return "-" if mail is None else cast("Fields", mail)["state"]
