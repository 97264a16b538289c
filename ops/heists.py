"""List the heists of a span of time.

For a look, or with --ids for `reverse --file`. Reads the whole table. Without
--since it lists the last seven days; times are UTC. --setting-version takes the
span in which that version was in effect. Refused attempts are only counted,
unless --code asks for those of a code; they are kept for 30 days.
"""

import argparse
from collections import Counter
from datetime import UTC, datetime, timedelta

from heist_core.domain.heist import Heist, RefusedHeist
from heist_core.domain.times import from_rfc3339, to_iso
from heist_core.storage import items, operator
from heist_core.storage.keys import SETTINGS, SETTINGS_VERSIONS
from ops.command import whole
from ops.lookup import player_id_of
from ops.output import Output, moment, short
from ops.target import OperatorError, Target

UNLESS_SAID = timedelta(days=7)
FOLLOWING = timedelta(minutes=1)
"""How long instances may go on with the settings before."""

Found = list[Heist | RefusedHeist]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", metavar="TIME", help="a day or a time, as 2026-11-27T18:00:00Z")
    parser.add_argument("--until", metavar="TIME", help="that moment itself not included")
    parser.add_argument(
        "--setting-version",
        type=whole(0),
        metavar="VERSION",
        help="while these settings were in effect",
    )
    parser.add_argument("--attacker", metavar="PLAYER", help="only heists by this player")
    parser.add_argument("--code", help="refused attempts with this code instead")
    parser.add_argument(
        "--ids", action="store_true", help="print the ids alone, one a line, for reverse --file"
    )


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    since, until = span(target, options)
    attacker = player_id_of(target, options.attacker, out) if options.attacker else None
    scanned = target.table.scan(out.items_read, operator.heists_between(since, until))
    facts = [items.heist_from(item) for item in scanned]
    facts = [fact for fact in facts if attacker in (None, fact.attacker_id)]
    refused = Counter(fact.refusal.code for fact in facts if isinstance(fact, RefusedHeist))
    found = sorted(
        (fact for fact in facts if _is_asked_for(fact, options.code)), key=lambda fact: fact.at
    )
    if options.ids:
        for fact in found:
            out.line(fact.attempt.id)
    else:
        _show(found, out)
        out.line(f"{len(found)} from {moment(to_iso(since))} to {moment(to_iso(until))}")
        if refused:
            codes = (f"{number} {code}" for code, number in sorted(refused.items()))
            out.line(f"Refused in that time: {', '.join(codes)}")
    out.document(
        {
            "since": to_iso(since),
            "until": to_iso(until),
            "heists": [_document(fact) for fact in found],
            "refused": dict(refused),
        }
    )
    return 0


def span(target: Target, options: argparse.Namespace) -> tuple[datetime, datetime]:
    """From when to when. Raises OperatorError."""
    since, until = _time(options.since, "--since"), _time(options.until, "--until")
    if options.setting_version is not None:
        began, ended = _in_effect(target, options.setting_version)
        since, until = max(since or began, began), min(until or ended, ended)
    until = until or target.now()
    since = since or until - UNLESS_SAID
    if since >= until:
        raise OperatorError(f"Nothing lies between {to_iso(since)} and {to_iso(until)}.")
    return since, until


def _in_effect(target: Target, version: int) -> tuple[datetime, datetime]:
    times = {
        int(str(item["version"])): from_rfc3339(str(item["at"]))
        for item in target.table.partition(SETTINGS["pk"], SETTINGS_VERSIONS)
    }
    if version not in times:
        raise OperatorError(f"There is no version {version}: ./heist config --history lists them.")
    later = [at for number, at in times.items() if number > version]
    return times[version], min(later) + FOLLOWING if later else target.now()


def _time(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        if len(text) == len("2026-11-27"):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        return from_rfc3339(text)
    except ValueError:
        raise OperatorError(
            f"{option} must be a day or a time of RFC 3339, as 2026-11-27 or 2026-11-27T18:00:00Z"
        ) from None


def _is_asked_for(fact: Heist | RefusedHeist, code: str | None) -> bool:
    if isinstance(fact, RefusedHeist):
        return fact.refusal.code == code
    return code is None


def _show(found: Found, out: Output) -> None:
    out.entries(
        ("when", "points", "attacker", "victim"),
        (
            (
                (
                    moment(to_iso(fact.at)),
                    fact.plan.points_stolen if isinstance(fact, Heist) else "-",
                    *(
                        (short(fact.attacker_name or "-"), short(fact.victim_name or "-"))
                        if isinstance(fact, Heist)
                        else ("-", "-")
                    ),
                ),
                f"{fact.attempt.id} {fact.attacker_id} → {fact.victim_id}",
            )
            for fact in found
        ),
    )


def _document(fact: Heist | RefusedHeist) -> dict[str, object]:
    what: dict[str, object] = (
        {"code": fact.refusal.code}
        if isinstance(fact, RefusedHeist)
        else {"pointsStolen": fact.plan.points_stolen, "season": fact.plan.season}
    )
    return {
        "heistId": fact.attempt.id,
        "at": to_iso(fact.at),
        "attackerId": fact.attacker_id,
        "victimId": fact.victim_id,
        **what,
    }
