"""Checks a history against the model: every commit, in order, and every answer that a client got.

Works on what the engine stored, never on what was asked of it: a request that lies about its
condition, or forgets a player, leaves an image behind that the model does not.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from heist_core.storage.keys import inbox_tag
from tests.application import Answer

from .engine import Wire
from .model import Game, Player, Rules, locked_until, loot, remembered, season_of, verdict
from .scheduler import Deviation

Item = Mapping[str, Any]
Names = tuple[str, ...]

PROFILE = ("name", "email", "emailOptOut", "locale")
CHOICES = ("passive", "passiveSwitchedAt", "hidden", "emailChoices")
REVERSAL = "#REVERSAL"
_OWING = ("HEIST", "REVERSAL", "REFERRAL")
_OWED = frozenset({"owed", "owedBucket", "owedSince", "countedIn"})
_RELEASED = _OWED | {"heldAt", "createdAt"}
_SETTLING = timedelta(seconds=90)
"""So long after the freeze somebody may still tell an erased player what they were about to
tell."""
_REFUSED_FOR_GOOD = ("FEATURE_DISABLED", "ATTACKER_BLOCKED", "NO_TOKENS")
"""What an erased player is told, of which nothing is stored."""
_MAIL = frozenset({"mailState", "mailAttempts", "mailOwner", "mailLeaseUntil"})
_UNDER_WAY = ("PENDING", "SENDING")
_plain = TypeDeserializer()
_MINUTE = timedelta(minutes=1)


@dataclass
class Attempt:
    """What is known of a heist's id: who asked, for whom, since when, and in what situations.

    `situations` are the states of attacker and victim that stood since it was first asked; None
    when the order of questions and commits is not known.
    """

    attacker: str
    victims: set[str]
    since: datetime
    situations: list[tuple[str, Player, Player]] | None


@dataclass(frozen=True)
class Asked:
    """One request for a heist. `decided`: an outcome stood under its id before it was sent."""

    heist_id: str
    attacker: str
    victim: str
    at: datetime
    decided: bool


@dataclass
class Checker:
    """`rules_of` gives the rules that an instance may go by at a moment."""

    rules_of: Callable[[datetime], Sequence[Rules]]
    now: Callable[[], datetime]
    game: Game = field(default_factory=Game)
    attempts: dict[str, Attempt] = field(default_factory=dict)
    heists: dict[str, Item] = field(default_factory=dict)
    """Outcomes by id, SUCCESS and FAILED, as they were stored."""
    reversals: dict[str, Item] = field(default_factory=dict)
    referrals: dict[str, str] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    """Referrals that were no token yet when they were last seen: referrers by referred player."""
    erased: dict[str, datetime] = field(default_factory=dict)
    here_before: set[str] = field(default_factory=set)
    """Players from before it was kept when somebody was first seen."""
    owing: dict[str, frozenset[str]] = field(default_factory=dict)
    notices: dict[tuple[str, str], Item] = field(default_factory=dict)
    inboxes: dict[str, list[Item]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[str] = field(default_factory=Counter)
    history: dict[str, list[Player]] = field(default_factory=lambda: defaultdict(list))
    inserted: Callable[[Wire, Wire], None] = lambda *_: None
    """Called with key and image of every new record that owes something: the table's stream."""
    _open: dict[str, Attempt] = field(default_factory=dict)
    """Attempts asked for and not decided."""
    _may_remember: dict[str, list[dict[str, datetime]]] = field(default_factory=dict)
    """What attackers may know of their victims after a heist, by the rules that it may have had."""
    asked_for: dict[str, str] = field(default_factory=dict)
    """What is to stand on the receipt of a grant, by the id of the operator's action."""
    _points_events: set[str] = field(default_factory=set)
    _due: dict[tuple[str, str], object] = field(default_factory=dict)
    _old_seasons: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """What lies beside players, in an item of its own, which is written before the player's."""
    _read_counts: dict[str, Item] = field(default_factory=dict)
    _untold: dict[tuple[str, str], Item] = field(default_factory=dict)
    """Notices whose inbox items are still to come: `HEIST#…` and player."""
    answers: Counter[str] = field(default_factory=Counter)
    replays: int = 0
    _first: dict[str, Answer] = field(default_factory=dict)
    _fresh: Counter[str] = field(default_factory=Counter)
    _tries: dict[tuple[str, datetime], set[str]] = field(default_factory=lambda: defaultdict(set))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # Answers

    def asks(self, heist_id: str, attacker: str, victim: str, *, exact: bool = True) -> Asked:
        """A client asks for a heist, maybe not for the first time under this id.

        `exact`: the order of questions and commits is known, and so what a refusal may be based on.
        """
        with self._lock:
            decided = heist_id in self.heists
            attempt = self.attempts.setdefault(
                heist_id, Attempt(attacker, set(), self.now(), [] if exact else None)
            )
            attempt.victims.add(victim)
            if attempt.situations is not None and not decided:
                self._open[heist_id] = attempt
                self._note(attempt.situations, attacker, victim)
            now = self.now()
            for minute in (_minute(now), _minute(now) + _MINUTE):
                self._tries[attacker, minute].add(heist_id)
            return Asked(heist_id, attacker, victim, now, decided)

    def hears(self, asked: Asked, answer: Answer, until: datetime | None = None) -> None:
        """Check an answer that came at `until` (now, if it is not given)."""
        until = until or self.now()
        self.answers[answer.code] += 1
        self.replays += answer.replayed
        what = (
            f"{asked.heist_id} ({asked.attacker} on {asked.victim}): {answer.status} {answer.text}"
        )
        match answer.status:
            case 200 | 400:
                self._definite(asked, answer, what)
            case 422:
                record = self.heists.get(asked.heist_id)
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
        record = self.heists.get(asked.heist_id)
        if record is None:
            if asked.attacker in self.erased and answer.body.get("code") in _REFUSED_FOR_GOOD:
                return
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
        limit = min(rules.rate_limit_per_minute for rules in self.rules_of(until))
        if most < limit:
            raise Deviation(f"{what}: only {most} other attempts, and the limit is {limit}")

    def final(self) -> None:
        """What can only be told at the end: no minute saw more attempts decided than its limit."""
        decided: Counter[tuple[str, datetime]] = Counter()
        for heist_id, record in self.heists.items():
            attempt = self.attempts[heist_id]
            minute = _minute(attempt.since)
            if minute == _minute(moment(record["createdAt"])):
                decided[attempt.attacker, minute] += 1
        for (attacker, minute), count in decided.items():
            end = minute + _MINUTE
            allowed = self.rules_of(minute), self.rules_of(end)
            limit = max(rules.rate_limit_per_minute for some in allowed for rules in some)
            if count > limit:
                raise Deviation(f"{attacker} had {count} attempts decided at {minute} of {limit}")

    # Commits

    def _note(
        self, situations: list[tuple[str, Player, Player]], attacker: str, victim: str
    ) -> None:
        players = self.game.players
        situations.append((victim, players[attacker], players[victim]))

    def changed(self, key: Wire, old: Wire | None, new: Wire | None) -> None:
        """One item of a commit; causes come before what they change."""
        pk, sk = str(key["pk"]["S"]), str(key["sk"]["S"])
        kind, _, rest = pk.partition("#")
        before, after = plain(old), plain(new)
        if after is None:
            raise Deviation(f"{pk}/{sk} was deleted")
        match kind, sk.partition("#")[0]:
            case "HEIST", "HEIST":
                self._heist(rest, before, after)
            case "HEIST", "REVERSAL":
                pk += REVERSAL
                self._reversal(rest, before, after)
            case "ACTIONS", _:
                self._new(f"{pk}/{sk}", before)
                self._expect(("ACTIONS", ""), True)
            case "REFERRAL", "REFERRAL":
                self._referral(rest, before, after)
            case "POINTS", "POINTS":
                self._earned(rest, before, after)
            case "GRANT", _:
                pk = f"{pk}/{sk}"
                self._granted(rest, pk, before, after)
            case "REQUEST", _:
                self._new(pk, before)
                if after["status"] == 200:
                    self._expect(("REQUEST", ""), after["content"])
            case "PLAYER", "SEASONS":
                if (pk, "STATE") not in self._due:
                    raise Deviation(f"{pk}/{sk} was written without the player")
                self._old_seasons[rest] = points_in(after)
                self.counts["old seasons"] += 1
            case "PLAYER", "STATE":
                self._player(rest, before, after)
            case "LEDGER", _:
                self._new(pk, before)
                self._expect((pk, sk), after["points"])
            case (("HEIST" | "REFERRAL"), "NOTICE"):
                self._notice(pk + REVERSAL * sk.endswith(REVERSAL), before, after)
            case "INBOX", "READ":
                self._read_counts[rest] = after
            case "INBOX", _:
                self._inbox(rest, sk, before, after)
            case "DIGEST", "NEXT":
                self._digest(rest, before or {}, after)
            case (("RATE" | "SETTINGS" | "POINT_TYPES" | "DIGEST"), _):
                pass
            case (("DAY" | "BALANCES" | "HOLDING" | "ROBBER"), _):
                pass  # held against the whole simulation at its end
            case _:
                raise Deviation(f"nobody should write {pk}/{sk}")
        owing = sk in _OWING or kind == "GRANT"
        if owing and before is not None:
            self._told(pk, before.get("owed", ()), after.get("owed", ()))
        if owing and "owedBucket" in after:
            if set(after.get("owed", ())) - set((before or {}).get("owed", ())):
                self._due.pop((pk, "owed again"), None)
            if before is None and new is not None:
                self.inserted(key, new)
            if "heldAt" not in after:
                self.owing[pk] = frozenset(after.get("owed", ()))
        elif owing:
            self.owing.pop(pk, None)

    def committed(self) -> None:
        """A commit is complete: whatever it had to change must have been changed by it."""
        for who, count in self._read_counts.items():
            read = sum("unread" not in item for item in self.inboxes[who])
            if int(count["readItems"]) != read:
                raise Deviation(f"{who} has read {read}, and {count} is kept")
        if self._due:
            raise Deviation(f"a commit left out {sorted(self._due)}")

    # One kind of item each

    def _heist(self, heist_id: str, before: Item | None, after: Item) -> None:
        if before is not None:
            self._only(f"heist {heist_id}", before, after, _OWED)
            return
        self._new(f"heist {heist_id}", self.heists.get(heist_id))
        attempt = self.attempts.get(heist_id)
        attacker, victim = after["attackerId"], after["victimId"]
        if attempt is None or attempt.attacker != attacker or victim not in attempt.victims:
            raise Deviation(f"heist {heist_id} of {attacker} on {victim} was never asked for")
        at = moment(after["createdAt"])
        if not attempt.since <= at <= self.now():
            raise Deviation(f"heist {heist_id} is dated {at}, asked for at {attempt.since}")
        self.heists[heist_id] = after
        self._open.pop(heist_id, None)
        if after["status"] == "SUCCESS":
            self._success(heist_id, attacker, victim, at, after)
        else:
            self._refusal(heist_id, attempt, victim, at, after)

    def _success(
        self, heist_id: str, attacker: str, victim: str, at: datetime, record: Item
    ) -> None:
        players = self.game.players
        robber, robbed = players[attacker], players[victim]
        if attacker == victim:
            raise Deviation(f"heist {heist_id}: {attacker} robbed themselves")
        verdicts, fitting = {}, []
        for rules in self.rules_of(at):
            code, _ = verdict(robber, robbed, victim, False, rules, at)
            ends_at = iso(at + timedelta(hours=rules.cooldown_hours))
            stolen = loot(robbed, rules, at)
            if not code and (record["cooldownEndsAt"], record["pointsStolen"]) == (ends_at, stolen):
                fitting.append(rules)
            verdicts[code or f"{stolen} points, cooldown until {ends_at}"] = rules
        if not fitting:
            raise Deviation(f"heist {heist_id} succeeded against {verdicts}: {record}")
        self._may_remember[attacker] = [remembered(robber, victim, one, at) for one in fitting]
        stolen = self.game.rob(attacker, victim, fitting[0], at)
        season = season_of(at)
        expected = {
            "pointsStolen": stolen,
            "attackerPointsBefore": robber.points.get(season, 0),
            "attackerPointsAfter": robber.points.get(season, 0) + stolen,
            "victimPointsBefore": robbed.points.get(season, 0),
            "victimPointsAfter": robbed.points.get(season, 0) - stolen,
            "tokensLeft": robber.tokens - 1,
            "season": season,
            "attackerName": robber.name,
            "victimName": robbed.name,
        }
        self._same(f"heist {heist_id}", {name: record.get(name) for name in expected}, expected)
        self.counts["successes"] += 1
        self._await_players(attacker, victim)
        for player, word, points in ((attacker, "GAIN", stolen), (victim, "LOSS", -stolen)):
            entry = f"{season}#{word}#{record['createdAt']}#{heist_id}"
            self._due[f"LEDGER#{player}", entry] = points

    def _refusal(
        self, heist_id: str, attempt: Attempt, victim: str, at: datetime, record: Item
    ) -> None:
        self.counts[record["code"]] += 1
        if attempt.situations is None:
            return
        said = (record["code"], *record["details"].values())
        possible = set()
        for target, robber, robbed in attempt.situations:
            for rules in self.rules_of(at):
                code, until = verdict(
                    robber, robbed, target, attempt.attacker == target == victim, rules, at
                )
                if target == victim:
                    possible.add((code, iso(until)) if until else (code,))
        if said not in possible:
            raise Deviation(
                f"heist {heist_id} was refused for {said}; possible was {sorted(possible)}"
            )
        attempt.situations = []

    def _reversal(self, heist_id: str, before: Item | None, after: Item) -> None:
        if before is not None:
            self._only(f"reversal of {heist_id}", before, after, _OWED)
            return
        self._new(f"reversal of {heist_id}", self.reversals.get(heist_id))
        heist = self.heists[heist_id]
        attacker, victim, season = heist["attackerId"], heist["victimId"], heist["season"]
        robber, robbed = self.game.players[attacker], self.game.players[victim]
        at, stolen, refund = (
            moment(heist["createdAt"]),
            heist["pointsStolen"],
            after["tokenRefunded"],
        )
        back = self.game.reverse(attacker, victim, int(stolen), season, at, refund)
        expected = {
            "attackerId": attacker,
            "victimId": victim,
            "season": season,
            "pointsStolen": stolen,
            "pointsReturned": back,
            "shortfall": stolen - back,
            "attackerPointsBefore": robber.points.get(season, 0),
            "attackerPointsAfter": robber.points.get(season, 0) - back,
            "victimPointsBefore": robbed.points.get(season, 0),
            "victimPointsAfter": robbed.points.get(season, 0) + back,
            "cooldownLifted": refund and robber.last_heist == at,
        }
        self._same(f"reversal of {heist_id}", {one: after[one] for one in expected}, expected)
        self.reversals[heist_id] = after
        self.counts["reversals"] += 1
        self._await_players(attacker, victim)
        for player, points in ((attacker, -back), (victim, back)):
            self._due[f"LEDGER#{player}", f"{season}#REVERSAL#{heist_id}"] = points
        self._due["ACTIONS", ""] = True

    def _referral(self, referred: str, before: Item | None, after: Item) -> None:
        referrer = after["referrerId"]
        if before is None:
            self._new(f"referral {referred}", self.referrals.get(referred, self.held.get(referred)))
            self.held[referred] = referrer
            self.counts["held"] += "heldAt" in after
        else:
            self._only(f"referral {referred}", before, after, _RELEASED)
        if "heldAt" in after or referred not in self.held:
            return
        self.referrals[referred] = self.held.pop(referred)
        self._gains(referrer, f"referral {referred}")
        self.game.award(referrer)
        self._await_players(referrer)
        self.counts["awards" if before is None else "released"] += 1

    def _granted(self, who: str, grant: str, before: Item | None, after: Item) -> None:
        """With the operator's log and what the request was answered, and once under a key."""
        if before is not None:
            self._only(grant, before, after, _OWED)
            return
        self._gains(who, grant)
        self.game.grant(who, int(after["tokens"]))
        self._await_players(who)
        self._due["ACTIONS", ""] = True
        self._due["REQUEST", ""] = self.asked_for[after["actionId"]]
        self.counts["grants"] += 1

    def _earned(self, event_id: str, before: Item | None, after: Item) -> None:
        self._new(f"points event {event_id}", before or event_id in self._points_events or None)
        self._points_events.add(event_id)
        season = season_of(moment(after["occurredAt"]))
        who, points = after["playerId"], int(after["points"])
        self._gains(who, f"points event {event_id}")
        self.game.earn(who, season, points)
        self._await_players(who)
        self._due[f"LEDGER#{who}", f"{season}#EVENT#{event_id}"] = points
        self.counts["points events"] += 1

    def _player(self, who: str, before: Item | None, after: Item) -> None:
        if before is None and "erasedAt" not in after:
            self._first_seen(who, after)
        victims = {one: moment(at) for one, at in after.get("victims", {}).items()}
        if victims in self._may_remember.pop(who, []):
            self.game.remember(who, victims)
        if self._due.pop((f"PLAYER#{who}", "STATE"), None) is None:
            if "erasedAt" in after and who not in self.erased:
                self.game.erase(who)
                self.erased[who] = self.now()
                self._operated(who, "erased")
            elif ("blockedAt" in after) != ("blockedAt" in (before or {})):
                self.game.block(who, "blockedAt" in after)
                self._operated(who, "blocked or not")
            elif any(after.get(name) != (before or {}).get(name) for name in CHOICES):
                self._choice(who, after)
            else:
                self._profile(who, before or {}, after)
        model = self.game.players[who]
        found = player_of(after, self._old_seasons[who])
        points = {season: each for season, each in model.points.items() if each}
        self._same(f"player {who}", vars(found), {**vars(model), "known": False, "points": points})
        self.history[who].append(self.game.players[who])
        negative = [name for name, value in after.items() if _is_negative(value)]
        if negative:
            raise Deviation(f"{who} has a negative {negative}")

    def _operated(self, who: str, what: str) -> None:
        self.counts[what] += 1
        self._due["ACTIONS", ""] = True
        self._note_all(who)

    def _gains(self, who: str, what: str) -> None:
        if who in self.erased:
            raise Deviation(f"{what}: {who} was erased, and gains by it")

    def _profile(self, who: str, before: Item, after: Item) -> None:
        for name in PROFILE:
            dated = name + "At"
            if after.get(dated, "") < before.get(dated, ""):
                raise Deviation(f"{who}'s {name} of {before.get(dated)} gave way to an older one")
        self._gains(who, "a profile")
        self.game.meet(who, after.get("name"))
        self._note_all(who)

    def _first_seen(self, who: str, after: Item) -> None:
        if who in self.here_before:
            return
        first = moment(after["firstSeenAt"]) if "firstSeenAt" in after else None
        if first is None or first > self.now():
            raise Deviation(f"{who} is new, and first seen {first}")
        self.game.see(who, first)
        self._note_all(who)

    def _choice(self, who: str, after: Item) -> None:
        """A switch of passive mode was not locked, by rules that it may have had."""
        self._gains(who, "a choice")
        was, passive = self.game.players[who], after.get("passive", False)
        at = "passiveSwitchedAt" in after and moment(after["passiveSwitchedAt"])
        switched = at or None
        if passive != was.passive:
            if switched is None or switched > self.now():
                raise Deviation(f"{who} switched passive mode at {switched}")
            locks = [locked_until(was, rules, switched) for rules in self.rules_of(switched)]
            if all(locks):
                raise Deviation(f"{who} switched passive mode at {switched}, locked until {locks}")
            self.counts["switches"] += 1
        elif switched != was.switched:
            raise Deviation(f"{who} did not switch passive mode, but {switched} is kept")
        hidden, mails = after.get("hidden", False), after.get("emailChoices", {})
        self.game.choose(who, passive, switched, hidden, mails)
        self.counts["choices"] += 1
        self._note_all(who)

    def _notice(self, subject: str, before: Item | None, after: Item) -> None:
        recipient = after["recipientId"]
        if before is not None:
            self._only(f"notice {subject}/{recipient}", before, after, _MAIL | {"inboxPosition"})
            if before.get("inboxPosition") != after.get("inboxPosition"):
                if (subject, recipient) not in self._untold:
                    raise Deviation(f"notice {subject}/{recipient} moved, and was told before")
                self._untold[subject, recipient] = after
                return
            if not ("mailState" in before and "mailState" in after):
                raise Deviation(f"notice {subject}/{recipient} was written again")
            self.notices[subject, recipient] = after
            if before["mailState"] not in _UNDER_WAY and after["mailState"] in _UNDER_WAY:
                self._due[subject, "owed again"] = True
            return
        self._new(f"notice {subject}/{recipient}", self.notices.get((subject, recipient)))
        if recipient not in self.recipients(subject):
            raise Deviation(f"{recipient} is told of {subject}, which is not theirs")
        self.notices[subject, recipient] = after
        if "inboxPosition" in after:
            self._untold[subject, recipient] = after
        elif recipient not in self.erased:
            raise Deviation(f"{recipient} gets no inbox item of {subject}")

    def _digest(self, who: str, before: Item, after: Item) -> None:
        """Forward only; and whatever waits that is not being told is due some day."""
        for name in ("awaited", "told", "version"):
            if int(after.get(name, 0)) < int(before.get(name, 0)):
                raise Deviation(f"{who}'s digests went back: {before}, then {after}")
        self.counts["digests"] += after.get("told") != before.get("told")
        waits = int(after["awaited"]) > int(after.get("told", 0))
        if waits != ("owedBucket" in after):
            raise Deviation(f"{who}'s digest is due and nothing waits, or not due: {after}")

    def _inbox(self, who: str, position: str, before: Item | None, after: Item) -> None:
        inbox = self.inboxes[who]
        if before is not None:
            self._only(
                f"inbox {who}/{position}",
                before,
                after,
                frozenset({"unread", "readAt", "expiresAt"}),
            )
            if "unread" not in before or "unread" in after:
                raise Deviation(f"inbox {who}/{position} was read twice, or unread again")
            inbox[int(position) - 1] = after
            return
        if who in self.erased and self.now() > self.erased[who] + _SETTLING:
            raise Deviation(f"{who} was erased, and is told of {after['heistId']}")
        self._tell(who, position, after)
        if int(position) != len(inbox) + 1:
            raise Deviation(f"inbox item {who}/{position} is not the next after {len(inbox)}")
        if after["type"] != "TOKEN_EARNED":
            points = after["metadata"].get("pointsStolen", after["metadata"].get("pointsLost"))
            self._same(
                f"inbox {who}", {"points": points}, self.heists[after["heistId"]], "pointsStolen"
            )
        inbox.append(after)

    def _tell(self, who: str, position: str, item: Item) -> None:
        """An inbox item comes after its notice, once, and where that says."""
        for (subject, recipient), notice in self._untold.items():
            key = {"pk": str(notice["pk"]), "sk": str(notice["sk"])}
            same = recipient == who and item["tag"] == inbox_tag(key)
            if same and int(notice["inboxPosition"]) == int(position):
                del self._untold[subject, recipient]
                return
        raise Deviation(f"inbox item {who}/{position} came without its notice")

    def _told(self, subject: str, before: Iterable[str], after: Iterable[str]) -> None:
        """No notice or mail is owed any more only when everybody was told, and every mail ended."""
        if not _owes_notices(before) or _owes_notices(after):
            return
        for who in self.recipients(subject):
            notice = self.notices.get((subject, who))
            untold = (subject, who) in self._untold and who not in self.erased
            if notice is None or notice.get("mailState") in _UNDER_WAY or untold:
                raise Deviation(f"{subject} is settled, and {who} was told {notice}")

    # What they share

    def recipients(self, subject: str) -> frozenset[str]:
        """Who is to be told of `HEIST#…`, `HEIST#…#REVERSAL` or `REFERRAL#…`."""
        kind, _, rest = subject.partition("#")
        if kind == "REFERRAL":
            return frozenset({self.referrals[rest]})
        heist = self.heists[rest.removesuffix(REVERSAL)]
        return frozenset({heist["attackerId"], heist["victimId"]})

    def _await_players(self, *players: str) -> None:
        self.committed()
        for who in players:
            self._due[f"PLAYER#{who}", "STATE"] = True
            self._note_all(who)

    def _note_all(self, who: str) -> None:
        """Attempts not decided yet may have been decided on what stood before, or on this."""
        for attempt in self._open.values():
            for victim in attempt.victims:
                if attempt.situations is not None and who in (attempt.attacker, victim):
                    self._note(attempt.situations, attempt.attacker, victim)

    def _expect(self, key: tuple[str, str], value: object) -> None:
        if key not in self._due or self._due.pop(key) != value:
            raise Deviation(f"{key} with {value} was not to be written")

    def _new(self, what: str, standing: object) -> None:
        if standing is not None:
            raise Deviation(f"{what} was there already")

    def _only(self, what: str, before: Item, after: Item, may_change: Iterable[str]) -> None:
        different = {
            name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
        } - set(may_change)
        if different:
            raise Deviation(f"{what} changed its {sorted(different)}")

    def _same(self, what: str, found: Item, expected: Item, under: str = "") -> None:
        different = {
            name: (found[name], expected.get(under or name))
            for name in found
            if found[name] != expected.get(under or name)
        }
        if different:
            raise Deviation(f"{what}: found and expected {different}")


def points_in(item: Item) -> Counter[str]:
    """By season."""
    return Counter(
        {
            name.removeprefix("points#"): int(value)
            for name, value in item.items()
            if name.startswith("points#")
        }
    )


def player_of(item: Item, old_seasons: Counter[str]) -> Player:
    """What a player's items say, in the model's words."""

    def at(name: str) -> datetime | None:
        return moment(item[name]) if name in item else None

    return Player(
        name=item.get("name"),
        tokens=int(item.get("tokens", 0)),
        earned=int(item.get("tokensEarned", 0)),
        spent=int(item.get("tokensSpent", 0)),
        granted=int(item.get("tokensGranted", 0)),
        points=points_in(item) + old_seasons,
        last_heist=at("lastHeistAt"),
        last_robbed=at("lastRobbedAt"),
        last_spent=at("lastSpentAt"),
        blocked="blockedAt" in item,
        erased="erasedAt" in item,
        passive=item.get("passive", False),
        switched=at("passiveSwitchedAt"),
        hidden=item.get("hidden", False),
        mails=item.get("emailChoices", {}),
        first_seen=at("firstSeenAt"),
        losses={
            season: (int(each["robberies"]), int(each["points"]))
            for season, each in item.get("losses", {}).items()
        },
        victims={one: moment(at) for one, at in item.get("victims", {}).items()},
    )


def plain(wire: Wire | None) -> dict[str, Any] | None:
    if wire is None:
        return None
    empty: Any = {"M": {}}  # DynamoDB Local's stream leaves the type of an empty map away
    return {name: _plain.deserialize(value or empty) for name, value in wire.items()}


def iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _owes_notices(owed: Iterable[str]) -> bool:
    """Whether a marker speaks of notices or of mails asked for again."""
    return bool(set(owed) - {"event", "statistics"})


def _is_negative(value: object) -> bool:
    return isinstance(value, Decimal) and value < 0


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _whole_seconds(answer: Answer, most: int, what: str) -> None:
    if not 1 <= int(answer.headers.get("Retry-After", 0)) <= most:
        raise Deviation(f"{what}: no good Retry-After")
