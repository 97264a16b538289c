"""Compares every answer of execute with what is stored and with earlier answers of its key."""

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .stage import Deviation
from .witness import Witness, moment

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> dict[str, object]:
        parsed: dict[str, object] = json.loads(self.text)
        return parsed

    @property
    def replayed(self) -> bool:
        return self.headers.get("Idempotent-Replay") == "true"

    @property
    def code(self) -> str:
        """One word for what was said."""
        body = self.body
        return "SUCCESS" if self.status == 200 else str(body.get("code") or body.get("error"))


@dataclass(frozen=True)
class Asked:
    """One request for a heist. `decided`: an outcome stood under its id before it was sent."""

    heist_id: str
    attacker: str
    victim: str
    at: datetime
    decided: bool


@dataclass
class Referee:
    witness: Witness
    answers: Counter[str] = field(default_factory=Counter)
    replays: int = 0
    _first: dict[str, Answer] = field(default_factory=dict)
    _fresh: Counter[str] = field(default_factory=Counter)
    _tries: dict[tuple[str, datetime], set[str]] = field(default_factory=lambda: defaultdict(set))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def asks(self, heist_id: str, attacker: str, victim: str, *, exact: bool = True) -> Asked:
        with self._lock:
            decided = heist_id in self.witness.heists
            self.witness.asked(heist_id, attacker, victim, exact=exact)
            now = self.witness.now()
            for minute in (_minute(now), _minute(now) + _MINUTE):
                self._tries[attacker, minute].add(heist_id)
            return Asked(heist_id, attacker, victim, now, decided)

    def hears(self, asked: Asked, answer: Answer, until: datetime | None = None) -> None:
        """Judge an answer that came at `until` (now, if it is not given)."""
        until = until or self.witness.now()
        self.answers[answer.code] += 1
        self.replays += answer.replayed
        what = (
            f"{asked.heist_id} ({asked.attacker} on {asked.victim}): {answer.status} {answer.text}"
        )
        match answer.status:
            case 200 | 400:
                self._definite(asked, answer, what)
            case 422:
                record = self.witness.heists.get(asked.heist_id)
                if record is None or record["victimId"] == asked.victim:
                    raise Deviation(f"{what}: no other target stands under this key")
            case 429:
                self._limited(asked, answer, until, what)
            case 503:
                if answer.body["code"] not in ("CONTENTION", "DEPENDENCY"):
                    raise Deviation(f"{what}: not a code of 503")
                _whole_seconds(answer, 60, what)
            case _:
                raise Deviation(what)
        if asked.decided and answer.status not in (422, 503) and not answer.replayed:
            raise Deviation(f"{what}: decided before, and not replayed")

    def _definite(self, asked: Asked, answer: Answer, what: str) -> None:
        record = self.witness.heists.get(asked.heist_id)
        if record is None:
            raise Deviation(f"{what}: nothing is stored")
        if (record["attackerId"], record["victimId"]) != (asked.attacker, asked.victim):
            raise Deviation(f"{what}: that is {record['attackerId']} on {record['victimId']}")
        body = answer.body
        if record["status"] == "SUCCESS":
            expected: dict[str, object] = {
                "success": True,
                "heistId": asked.heist_id,
                "pointsStolen": record["pointsStolen"],
                "message": f"Success! You stole {record['pointsStolen']} points!",
                "attackerPointsAfter": record["attackerPointsAfter"],
                "tokensLeft": record["tokensLeft"],
                "cooldownEndsAt": record["cooldownEndsAt"],
            }
        else:
            expected = {"success": False, "error": "ELIGIBILITY_FAILED"} | {
                name: record[name] for name in ("code", "message", "details")
            }
        if (answer.status == 200) != (record["status"] == "SUCCESS") or body != expected:
            raise Deviation(f"{what}: stored is {expected}")
        first = self._first.setdefault(asked.heist_id, answer)
        if (first.status, first.text) != (answer.status, answer.text):
            raise Deviation(f"{what}: the first answer was {first.status} {first.text}")
        self._fresh[asked.heist_id] += not answer.replayed
        if self._fresh[asked.heist_id] > 1:
            raise Deviation(f"{what}: answered twice as if for the first time")

    def _limited(self, asked: Asked, answer: Answer, until: datetime, what: str) -> None:
        _whole_seconds(answer, 60, what)
        minutes = (_minute(asked.at), _minute(until))
        most = max(len(self._tries[asked.attacker, one] - {asked.heist_id}) for one in minutes)
        limit = min(rules.attempts_a_minute for rules in self.witness.rules_of(until))
        if most < limit:
            raise Deviation(f"{what}: only {most} other attempts, and the limit is {limit}")

    def final(self) -> None:
        """What can only be told at the end: no minute saw more attempts decided than its limit."""
        decided: Counter[tuple[str, datetime]] = Counter()
        for heist_id, record in self.witness.heists.items():
            attempt = self.witness.attempts[heist_id]
            minute = _minute(attempt.since)
            if minute == _minute(moment(record["createdAt"])):
                decided[attempt.attacker, minute] += 1
        for (attacker, minute), count in decided.items():
            end = minute + _MINUTE
            allowed = self.witness.rules_of(minute), self.witness.rules_of(end)
            limit = max(rules.attempts_a_minute for some in allowed for rules in some)
            if count > limit:
                raise Deviation(f"{attacker} had {count} attempts decided at {minute} of {limit}")


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _whole_seconds(answer: Answer, most: int, what: str) -> None:
    if not 1 <= int(answer.headers.get("Retry-After", 0)) <= most:
        raise Deviation(f"{what}: no good Retry-After")
