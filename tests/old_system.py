"""The old system: plays the guide's game for a few months by itself and exports its tables.

Everything follows from a seed. `python -m tests.old_system FOLDER --players 100000` writes an
export of any size, as `COPY ... TO ... CSV HEADER` would.
"""

import argparse
import csv
import json
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

SEASONS = ("2026-09", "2026-10", "2026-11")
FROZEN_AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
"""When the old system stopped and was exported."""

_EARNED, _GAIN, _LOSS = 1, 2, 3
_COOLDOWN, _PROTECTION = timedelta(hours=24), timedelta(hours=48)
_NAMES = (
    *(
        "Ada",
        "Björn",
        "Chloë",
        "Dmitri Петров",
        "Eve O'Neil",
        'Frank "Two Fingers" Costa',
        "李小龙",
    ),
    *("Gus, the Cat", "Hana\nTanaka", "Ιris 🎯", "", "Jo"),
)

Row = Mapping[str, object]


@dataclass
class OldSystem:
    """Its tables, as rows by Prisma's column names."""

    tables: dict[str, list[Row]] = field(default_factory=dict)

    def write(self, folder: Path, *, snake_case: bool = False, as_json: bool = False) -> Path:
        """Export every table that has rows into a folder; the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in self.tables.items():
            if not rows:
                continue
            written = [_snake(row) for row in rows] if snake_case else rows
            if as_json:
                _write_json(folder / f"{name}.jsonl", written)
            else:
                _write_csv(folder / f"{name}.csv", written)
        return folder


@dataclass
class _User:
    id: int
    name: str | None
    joined_at: datetime
    referred_by: int | None
    points: int = 0
    balance: int = 0
    earned: int = 0
    spent: int = 0
    last_earned_at: datetime | None = None
    last_spent_at: datetime | None = None
    last_robbed_at: datetime | None = None


def play(seed: int, players: int, *, heists_each: float = 1.0) -> OldSystem:
    """Three months of the guide's game: sign-ups, referrals, points, heists by its rules."""
    chance = random.Random(seed)
    users = list(_sign_ups(chance, players))
    heists: list[Row] = []
    events: list[Row] = []
    for season in SEASONS:
        for user in users:
            user.points = 0
        for at, attacker in _timetable(chance, season, players, heists_each):
            user = users[attacker]
            if user.joined_at > at:
                continue
            victim = users[chance.randrange(players)]
            if not _rob(user, victim, at, heists, events):
                points = chance.choice((5, 10, 25, 100, 400))
                user.points += points
                _event(events, user, points, _EARNED, at)
    return OldSystem(
        {
            "User": [_user(user) for user in users],
            "HeistToken": [_tokens(user) for user in users if user.earned],
            "Heist": heists,
            "UserPointEvent": events,
            "PointEventTypeMaster": [
                {"id": number, "name": name, "description": name, "points": 0, "active": True}
                for number, name in (
                    (_EARNED, "QUIZ"),
                    (_GAIN, "HEIST_GAIN"),
                    (_LOSS, "HEIST_LOSS"),
                )
            ],
            "HeistNotification": [_notification(heist) for heist in heists],
        }
    )


def _sign_ups(chance: random.Random, players: int) -> Iterator[_User]:
    users: list[_User] = []
    for number in range(1, players + 1):
        at = _moment(chance, datetime(2026, 9, 1, tzinfo=UTC), FROZEN_AT - timedelta(days=20))
        referrer = chance.choice(users) if users and chance.random() < 0.6 else None
        user = _User(
            number, chance.choice(_NAMES) or None, at, None if referrer is None else referrer.id
        )
        if referrer is not None:
            referrer.balance += 1
            referrer.earned += 1
            referrer.last_earned_at = max(referrer.last_earned_at or at, at)
        users.append(user)
        yield user


def _timetable(
    chance: random.Random, season: str, players: int, heists_each: float
) -> list[tuple[datetime, int]]:
    """When who does something: earns points, or robs somebody if the rules allow."""
    begin = datetime.fromisoformat(f"{season}-01T00:00:00+00:00")
    end = min(begin + timedelta(days=30), FROZEN_AT)
    turns = int(players * (1 + heists_each))
    return sorted((_moment(chance, begin, end), chance.randrange(players)) for _ in range(turns))


def _moment(chance: random.Random, begin: datetime, end: datetime) -> datetime:
    milliseconds = int((end - begin) / timedelta(milliseconds=1))
    return begin + timedelta(milliseconds=chance.randrange(milliseconds))


def _rob(
    attacker: _User, victim: _User, at: datetime, heists: list[Row], events: list[Row]
) -> bool:
    """One heist by the guide's rules; False if they say no."""
    stolen = min(victim.points * 5 // 100, 100)
    if (
        attacker is victim
        or attacker.balance < 1
        or (attacker.last_earned_at or at) > at
        or at - (attacker.last_spent_at or at - _COOLDOWN) < _COOLDOWN
        or at - (victim.last_robbed_at or at - _PROTECTION) < _PROTECTION
        or victim.points < 20
        or stolen < 1
    ):
        return False
    heists.append(
        {
            "id": len(heists) + 1,
            "attackerId": attacker.id,
            "victimId": victim.id,
            "pointsStolen": stolen,
            "victimPointsBefore": victim.points,
            "victimPointsAfter": victim.points - stolen,
            "attackerPointsBefore": attacker.points,
            "attackerPointsAfter": attacker.points + stolen,
            "status": "SUCCESS",
            "ipAddress": f"203.0.113.{attacker.id % 250}",
            "createdAt": at,
        }
    )
    attacker.points += stolen
    victim.points -= stolen
    attacker.balance -= 1
    attacker.spent += 1
    attacker.last_spent_at = victim.last_robbed_at = at
    _event(events, attacker, stolen, _GAIN, at)
    _event(events, victim, -stolen, _LOSS, at)
    return True


def _event(events: list[Row], user: _User, points: int, kind: int, at: datetime) -> None:
    events.append(
        {
            "id": len(events) + 1,
            "userId": user.id,
            "points": points,
            "pointEventTypeId": kind,
            "createdAt": at,
        }
    )


def _user(user: _User) -> Row:
    return {
        "id": user.id,
        "email": f"player{user.id}@example.com",
        "password": "not for us",
        "name": user.name,
        "monthlyPoints": user.points,
        "emailOptOut": user.id % 7 == 0,
        "locale": ("en", "de-AT", None)[user.id % 3],
        "referredByUserId": user.referred_by,
        "createdAt": user.joined_at,
        "updatedAt": max(user.joined_at, user.last_spent_at or user.joined_at),
    }


def _tokens(user: _User) -> Row:
    return {
        "id": user.id,
        "userId": user.id,
        "balance": user.balance,
        "totalEarned": user.earned,
        "totalSpent": user.spent,
        "lastEarnedAt": user.last_earned_at,
        "lastSpentAt": user.last_spent_at,
    }


def _notification(heist: Row) -> Row:
    return {
        "id": heist["id"],
        "userId": heist["victimId"],
        "heistId": heist["id"],
        "type": "HEIST_VICTIM",
        "message": "Oh no!",
        "metadata": json.dumps({"pointsLost": heist["pointsStolen"]}),
        "read": True,
        "createdAt": heist["createdAt"],
    }


def _snake(row: Row) -> Row:
    return {
        "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name): value
        for name, value in row.items()
    }


def _write_csv(path: Path, rows: Iterable[Row]) -> None:
    """As COPY does: nothing for NULL, t and f, times without a zone."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        for number, row in enumerate(rows):
            if number == 0:
                writer.writerow(row)
            writer.writerow([_copied(value) for value in row.values()])


def _copied(value: object) -> object:
    if isinstance(value, bool):
        return "t" if value else "f"
    return _timestamp(value, " ") if isinstance(value, datetime) else value


def _write_json(path: Path, rows: Iterable[Row]) -> None:
    """As `row_to_json` does."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            members = {
                name: _timestamp(value, "T") if isinstance(value, datetime) else value
                for name, value in row.items()
            }
            file.write(json.dumps(members, ensure_ascii=False) + "\n")


def _timestamp(moment: datetime, separator: str) -> str:
    text = moment.replace(tzinfo=None).isoformat(separator, timespec="milliseconds")
    return text.rstrip("0").rstrip(".") if "." in text else text


def main() -> None:
    parser = argparse.ArgumentParser(prog="old_system", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--players", type=int, default=100_000)
    parser.add_argument(
        "--heists-each", type=float, default=1.0, help="attempts per player and month"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    old = play(options.seed, options.players, heists_each=options.heists_each)
    old.write(options.folder)
    for name, rows in old.tables.items():
        print(f"{len(rows):>9,} {name}")  # noqa: T201


if __name__ == "__main__":
    main()
