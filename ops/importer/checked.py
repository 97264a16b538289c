"""Checked rows in a temporary SQLite database, so that no export is too large for memory.

It is private to this process and gone with it. It finds duplicate rows and rows that name players
who are not there, adds up, and returns players and heists in the form that is written.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from heist_core.domain.award import Award
from heist_core.domain.heist import Attempt, Heist, HeistPlan
from heist_core.domain.player import Dated, Profile
from heist_core.domain.times import from_iso, season_before, season_of, to_iso
from heist_core.storage.importing.mapping import (
    ITEMS_AT_ONCE,
    UNDATED,
    Balance,
    ImportedHeist,
    ImportedPlayer,
    ImportedReferral,
    Sums,
    Unit,
)

from .files import HEISTS, POINTS, TOKENS, USERS, Export, ExportError, Rows
from .rows import HeistRow, PointRow, RawRow, RowError, TokenRow, UserRow

_SCHEMA = """
CREATE TABLE users (id TEXT PRIMARY KEY, line INTEGER, points INTEGER, name TEXT, email TEXT,
  email_opt_out INTEGER, locale TEXT, joined_at TEXT, changed_at TEXT, referred_by TEXT)
  WITHOUT ROWID;
CREATE TABLE tokens (user_id TEXT PRIMARY KEY, line INTEGER, earned INTEGER, spent INTEGER,
  last_earned_at TEXT, last_spent_at TEXT) WITHOUT ROWID;
CREATE TABLE heists (id TEXT PRIMARY KEY, line INTEGER, attacker TEXT, victim TEXT, stolen INTEGER,
  attacker_before INTEGER, victim_before INTEGER, at TEXT, season TEXT, network TEXT) WITHOUT ROWID;
CREATE TABLE points (id TEXT PRIMARY KEY, line INTEGER, user_id TEXT, points INTEGER, season TEXT)
  WITHOUT ROWID;
CREATE TABLE balances (user_id TEXT, season TEXT, points INTEGER, by_heists INTEGER,
  robberies INTEGER, lost INTEGER, PRIMARY KEY (user_id, season)) WITHOUT ROWID;
"""
_NO_SUCH_USER = "must be the id of a row of User that was taken"
_ROWS_PER_STEP = 2000

Reject = Callable[[str, int, RowError], None]
"""Takes the file, the line and what is wrong."""


@dataclass(slots=True)
class FileReport:
    """What became of the rows of a file. `left_out` are those that nothing needs.

    `form` is what the file was taken for, `nulls` how many values in it say `\\N`.
    """

    name: str
    form: str
    rows: int = 0
    taken: int = 0
    rejected: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    ignored_columns: tuple[str, ...] = ()
    nulls: int = 0


class CheckedExport:
    """Filled by `load`; then `season` is the month of monthlyPoints."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(_SCHEMA)
        self.files: dict[str, FileReport] = {}
        self.notes: list[str] = []
        self.season = ""
        self._newest = ""
        self._last_season = ""

    def close(self) -> None:
        self._db.close()

    def load(
        self,
        export: Export,
        season: str | None,
        now: datetime,
        reject: Reject,
        progress: Callable[[int], None],
    ) -> None:
        """Take every row that can be taken.

        `season`: the month that monthlyPoints belong to, by default that of the newest time in the
        export. `now`: what lies later is rejected. `progress` gets how many bytes were read in
        all. Raises ExportError.
        """
        takers: dict[str, Callable[[int, RawRow, datetime], str | None]] = {
            USERS.name: self._user,
            TOKENS.name: self._token,
            HEISTS.name: self._heist,
            POINTS.name: self._point,
        }
        before = 0
        self._last_season = season_before(season_of(now))
        self._db.execute("BEGIN")
        for source in export.sources:
            rows = Rows(source)
            report = self.files[source.table.name] = FileReport(source.path.name, rows.form)
            take = takers[source.table.name]
            for line, row in rows:
                report.rows += 1
                try:
                    if isinstance(row, RowError):
                        raise row
                    if reason := take(line, row, now):
                        report.left_out[reason] += 1
                except RowError as error:
                    report.rejected += 1
                    reject(report.name, line, error)
                if report.rows % _ROWS_PER_STEP == 0:
                    progress(before + rows.position)
            report.ignored_columns, report.nulls = rows.ignored_columns, rows.nulls
            before += source.path.stat().st_size
            progress(before)
        self._reject_strangers(reject)
        for report in self.files.values():
            report.taken = report.rows - report.rejected - report.left_out.total()
        self._settle_season(season)
        self._add_up()
        self.notes = list(self._oddities())
        self._db.execute("COMMIT")

    # Rows in

    def _user(self, line: int, raw: RawRow, now: datetime) -> None:
        row = UserRow.of(raw, now)
        profile = (row.name, row.email, row.emailOptOut, row.locale)
        times = (self._iso(row.createdAt), self._iso(row.updatedAt or row.createdAt))
        values = (row.id, line, row.monthlyPoints, *profile, *times, row.referredByUserId)
        self._insert("users", "id", values)

    def _token(self, line: int, raw: RawRow, now: datetime) -> None:
        row = TokenRow.of(raw, now)
        times = (self._iso(row.lastEarnedAt), self._iso(row.lastSpentAt))
        self._insert(
            "tokens", "userId", (row.userId, line, row.totalEarned, row.totalSpent, *times)
        )

    def _heist(self, line: int, raw: RawRow, now: datetime) -> str | None:
        if isinstance(raw.get("status"), str) and raw["status"] != "SUCCESS":
            return "did not succeed, so it moved nothing"
        row = HeistRow.of(raw, now)
        players = (row.attackerId, row.victimId)
        points = (row.pointsStolen, row.attackerPointsBefore, row.victimPointsBefore)
        when = (self._iso(row.createdAt), season_of(row.createdAt))
        self._insert("heists", "id", (row.id, line, *players, *points, *when, row.ipAddress))
        return None

    def _point(self, line: int, raw: RawRow, now: datetime) -> None:
        row = PointRow.of(raw, now)
        self._iso(row.createdAt)
        values = (row.id, line, row.userId, row.points, season_of(row.createdAt))
        self._insert("points", "id", values)

    def _insert(self, table: str, key: str, values: tuple[object, ...]) -> None:
        places = ", ".join("?" * len(values))
        try:
            self._db.execute(f"INSERT INTO {table} VALUES ({places})", values)  # noqa: S608 - names of our own
        except sqlite3.IntegrityError:
            raise RowError(key, "must not be there twice; the first row counts") from None

    def _iso(self, moment: datetime | None) -> str | None:
        if moment is None:
            return None
        text = to_iso(moment)
        self._newest = max(self._newest, text)
        return text

    # What only the whole shows

    def _reject_strangers(self, reject: Reject) -> None:
        """Reject rows of players who are not among the users."""
        for table, kind, column, name in (
            ("tokens", TOKENS, "user_id", "userId"),
            ("heists", HEISTS, "attacker", "attackerId"),
            ("heists", HEISTS, "victim", "victimId"),
            ("points", POINTS, "user_id", "userId"),
        ):
            if kind.name not in self.files:
                continue
            report = self.files[kind.name]
            unknown = f"FROM {table} WHERE {column} NOT IN (SELECT id FROM users)"  # noqa: S608 - names of our own
            for (line,) in self._db.execute(f"SELECT line {unknown} ORDER BY line"):
                report.rejected += 1
                reject(report.name, line, RowError(name, _NO_SUCH_USER))
            self._db.execute(f"DELETE {unknown}")

    def _settle_season(self, season: str | None) -> None:
        users = self.files[USERS.name]
        if season is None and not self._newest and users.rejected:
            raise ExportError(
                f"Every row with a time is rejected; {users.name} was taken for {users.form}."
            )
        if season is None and not self._newest:
            raise ExportError(
                "Nothing in the export has a time: name the month that monthlyPoints belong to, "
                "as in --season 2026-11."
            )
        self.season = season or self._newest[:7]
        [(later,)] = self._db.execute("SELECT MAX(season) FROM heists")
        if later and later > self.season:
            raise ExportError(
                f"There are heists of {later}: monthlyPoints cannot be those of {self.season}. "
                "Name the month of the export with --season."
            )

    def _add_up(self) -> None:
        """Points that each player had in each season, and how many of them imported heists brought.

        This season's are monthlyPoints. Earlier ones are what the point events of the month add up
        to, if there are any; else nobody knows them and they are 0.
        """
        self._db.execute(
            "INSERT INTO balances SELECT id, ?, points, 0, 0, 0 FROM users", (self.season,)
        )
        self._db.execute(
            "INSERT INTO balances SELECT user_id, season, MAX(SUM(points), 0), 0, 0, 0 FROM points "
            "WHERE season != ? GROUP BY user_id, season",
            (self.season,),
        )
        by_heists = (
            "INSERT INTO balances SELECT {side}, season, 0, {figures} FROM heists "
            "WHERE true GROUP BY {side}, season "
            "ON CONFLICT (user_id, season) DO UPDATE SET "
            "by_heists = by_heists + excluded.by_heists, "
            "robberies = excluded.robberies, lost = excluded.lost"
        )
        gains, losses = "SUM(stolen), 0, 0", "-SUM(stolen), COUNT(*), SUM(stolen)"
        self._db.execute(by_heists.format(side="attacker", figures=gains))
        self._db.execute(by_heists.format(side="victim", figures=losses))
        self._db.execute("CREATE INDEX robbing ON heists (attacker, at)")
        self._db.execute("CREATE INDEX robbed ON heists (victim, at)")
        self._db.execute("CREATE INDEX earning ON points (user_id, season)")
        [(most,)] = self._db.execute(
            "SELECT MAX(seasons) FROM (SELECT COUNT(*) AS seasons FROM balances GROUP BY user_id)"
        )
        taken = ITEMS_AT_ONCE - 2  # the player and the old seasons are an item each
        if most and most > taken:
            raise ExportError(
                f"A player has {most} months of history; at most {taken} can be imported."
            )

    def _oddities(self) -> Iterator[str]:
        """Remarks that stop nothing."""
        if POINTS.name in self.files:
            [(differing,)] = self._db.execute(
                "SELECT COUNT(*) FROM users WHERE points != IFNULL((SELECT SUM(points.points) "
                "FROM points "
                "WHERE user_id = users.id AND season = ?), 0)",
                (self.season,),
            )
            if differing:
                yield (
                    f"{differing} players have other monthlyPoints than their point events of "
                    f"{self.season} add up to: monthlyPoints count."
                )
            [(below,)] = self._db.execute(
                "SELECT COUNT(*) FROM (SELECT 1 FROM points WHERE season != ? "
                "GROUP BY user_id, season HAVING SUM(points) < 0)",
                (self.season,),
            )
            if below:
                yield f"{below} totals of earlier months are below zero: they are taken as 0."
        [(unpaid,)] = self._db.execute(
            "SELECT COUNT(*) FROM (SELECT attacker FROM heists LEFT JOIN tokens ON user_id = "
            "attacker "
            "GROUP BY attacker HAVING COUNT(*) > IFNULL(MAX(spent), 0))"
        )
        if unpaid:
            yield (
                f"{unpaid} players have more heists than tokens spent: both are taken as they are."
            )

    # What comes of it

    def kinds(self) -> tuple[tuple[str, int, Iterator[Unit]], ...]:
        """All units by kind, with how many there are, in the order in which they are written: once
        a player is there, everything about them is."""
        sums = self.sums()
        return (
            ("heists", sums.heists, self.heists()),
            ("referrals", sums.referrals, self.referrals()),
            ("players", sums.players, self.players()),
        )

    def sums(self) -> Sums:
        """The accepted rows, added up one by one, independently of how they will be written."""
        [(players,)] = self._db.execute("SELECT COUNT(*) FROM users")
        [(earned, spent)] = self._db.execute(
            "SELECT IFNULL(SUM(earned), 0), IFNULL(SUM(spent), 0) FROM tokens"
        )
        [(heists, stolen)] = self._db.execute("SELECT COUNT(*), IFNULL(SUM(stolen), 0) FROM heists")
        [(referrals,)] = self._db.execute("SELECT COUNT(referred_by) FROM users")
        points = self._db.execute("SELECT season, SUM(points) FROM balances GROUP BY season")
        return Sums(
            players=players,
            tokens_earned=earned,
            tokens_spent=spent,
            heists=heists,
            points_stolen=stolen,
            referrals=referrals,
            points=Counter(dict(points)),
        )

    def players(self) -> Iterator[ImportedPlayer]:
        """Every player, by id."""
        balances = groupby(
            self._db.execute(
                "SELECT user_id, season, points, by_heists, robberies, lost FROM balances "
                "ORDER BY user_id, season"
            ),
            itemgetter(0),
        )
        rows = self._db.execute(
            "SELECT users.id, name, email, email_opt_out, locale, joined_at, changed_at, "
            "user_id IS NOT NULL, IFNULL(earned, 0), IFNULL(spent, 0), "
            "last_earned_at, last_spent_at, "
            "(SELECT MAX(at) FROM heists WHERE attacker = users.id), "
            "(SELECT MAX(at) FROM heists WHERE victim = users.id) "
            "FROM users LEFT JOIN tokens ON user_id = users.id ORDER BY users.id"
        )
        for row, (_, seasons) in zip(rows, balances, strict=True):
            player_id, name, email, opt_out, locale, *rest = row
            joined_at, changed_at, has_tokens, earned, spent, *times = rest
            last_earned_at, last_spent_at, last_heist_at, last_robbed_at = map(_moment, times)
            at = _moment(changed_at) or UNDATED
            yield ImportedPlayer(
                id=player_id,
                profile=Profile(
                    name=Dated(name, at) if name else Dated(),
                    email=Dated(email, at) if email else Dated(),
                    email_opt_out=Dated() if opt_out is None else Dated(bool(opt_out), at),
                    locale=Dated(locale, at) if locale else Dated(),
                ),
                has_tokens=bool(has_tokens),
                tokens_earned=earned,
                tokens_spent=spent,
                last_earned_at=last_earned_at,
                last_spent_at=last_spent_at,
                last_heist_at=last_heist_at,
                last_robbed_at=last_robbed_at,
                joined_at=_moment(joined_at) or UNDATED,
                balances=tuple(Balance(*values) for _, *values in seasons),
                last_season=self._last_season,
            )

    def heists(self) -> Iterator[ImportedHeist]:
        """Every heist, by id, with the names that both sides have now."""
        for row in self._db.execute(
            "SELECT heists.id, attacker, victim, stolen, attacker_before, victim_before, at, "
            "season, "
            "network, robber.name, robbed.name FROM heists "
            "JOIN users AS robber ON robber.id = attacker JOIN users AS robbed ON robbed.id = "
            "victim "
            "ORDER BY heists.id"
        ):
            old_id, attacker, victim, stolen, attacker_before, victim_before, at, season, *rest = (
                row
            )
            network, attacker_name, victim_name = rest
            yield ImportedHeist(
                Heist(
                    attempt=Attempt(f"imported-{old_id}", attacker, victim, network),
                    plan=HeistPlan(
                        at=from_iso(at),
                        season=season,
                        points_stolen=stolen,
                        attacker_points_before=attacker_before,
                        victim_points_before=victim_before,
                        tokens_left=0,
                        cooldown_ends_at=from_iso(at),
                    ),
                    attacker_name=attacker_name,
                    victim_name=victim_name,
                )
            )

    def referrals(self) -> Iterator[ImportedReferral]:
        """Everybody who joined by a referral, by id: nobody earns a token by them again."""
        for referred, referrer, name, joined_at in self._db.execute(
            "SELECT id, referred_by, name, joined_at FROM users WHERE referred_by IS NOT NULL "
            "ORDER BY id"
        ):
            at = _moment(joined_at) or UNDATED
            yield ImportedReferral(Award(referred, referrer, "imported", name, at))


def _moment(text: str | None) -> datetime | None:
    return None if text is None else from_iso(text)
