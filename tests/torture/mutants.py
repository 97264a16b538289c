"""Does the search have teeth? `python -m tests.torture.mutants` breaks the product on purpose, in a
copy, one condition at a time, and counts the seeds until the search finds out.

The exit code is 1 if a mutant survives. `python -m tests.torture.mutants version` tries those with
"version" in their names.
"""
# ruff: noqa: T201 - a command line

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from local.tools import ROOT

SEEDS = 200
_CODE = Path("layers/heist_core/heist_core")
_COPIED = ("layers", "functions", "tests", "ops", "local", "template.yaml")
_TRANSACTIONS = "storage/transactions.py"
_EXECUTE = "use_cases/execute_heist.py"
_NOTIFY = "use_cases/notify_players.py"
_SETTLE = "use_cases/settle_owed.py"
_STORE = "storage/store.py"
_HEIST = "domain/heist.py"
_KILLED = 3
_PLAY = f"""
import sys
from tests.torture.story import Failure, Theatre
theatre = Theatre()
for seed in range({SEEDS}):
    try:
        theatre.play(seed)
    except Exception as failure:
        text = str(failure) if isinstance(failure, Failure) else repr(failure)
        found = [line for line in text.splitlines() if line.startswith("DEVIATION")] or [text]
        print(f"seed {{seed}}: {{found[0][:150]}}")
        sys.exit({_KILLED})
"""


@dataclass(frozen=True)
class Mutant:
    """What is broken: in `file`, every `old` (each there once) becomes its `new`."""

    name: str
    file: str
    changes: tuple[tuple[str, str], ...]

    def apply(self, root: Path) -> None:
        path = root / _CODE / self.file
        text = path.read_text("utf-8")
        for old, new in self.changes:
            if text.count(old) != 1:
                raise LookupError(f"{self.name}: there {text.count(old)} times: {old}")
            text = text.replace(old, new)
        path.write_text(text, "utf-8")


def _mutant(name: str, file: str, *changes: tuple[str, str]) -> Mutant:
    return Mutant(name, file, changes)


def _plain_put(what: str, item: str) -> Mutant:
    return _mutant(
        f"put of {what} overwrites", _TRANSACTIONS, (f"put_new(table, {item}", f"put(table, {item}")
    )


_ATTACKER_SEEN = '                        ":seen": attacker.version,\n                    },\n                    condition="version = :seen",\n'
_VICTIM_SEEN = '                        ":seen": victim.version,\n                    },\n                    condition="version = :seen",\n'
_NOTHING_SEEN = "                    },\n"

MUTANTS = (
    _mutant("no version condition on the attacker", _TRANSACTIONS, (_ATTACKER_SEEN, _NOTHING_SEEN)),
    _mutant("no version condition on the victim", _TRANSACTIONS, (_VICTIM_SEEN, _NOTHING_SEEN)),
    _plain_put("a heist", "items.heist_item(heist)"),
    _plain_put("a refusal", "items.refused_heist_item(refused)"),
    _plain_put("a referral", "items.award_item(award)"),
    _plain_put("a points event", "items.points_event_item(earned)"),
    _plain_put("a notice", "items.notice_item(subject, notice)"),
    _plain_put("an inbox item", "items.inbox_item(sequence, tag, notice, arrived_at)"),
    _mutant(
        "no comparison of fingerprints",
        _EXECUTE,
        ("if record.attempt.victim_id != attempt.victim_id:", "if False:"),
    ),
    _mutant(
        "an award bumps no version",
        _TRANSACTIONS,
        (
            '"SET lastEarnedAt = :at ADD tokens :one, tokensEarned :one, version :one"',
            (
                '"SET lastEarnedAt = :at, version = if_not_exists(version, :one) '
                'ADD tokens :one, tokensEarned :one"'
            ),
        ),
    ),
    _mutant(
        "points bump no version",
        _TRANSACTIONS,
        (
            '"ADD #season :points, version :one"',
            '"SET version = if_not_exists(version, :one) ADD #season :points"',
        ),
    ),
    _mutant(
        "a profile bumps no version",
        _TRANSACTIONS,
        ('changes = "ADD version :one"', 'changes = "SET version = if_not_exists(version, :one)"'),
        ('changes += " SET " + ", "', 'changes += ", " + ", "'),
    ),
    _mutant(
        "a heist bumps no version of the attacker",
        _TRANSACTIONS,
        (
            'lastHeistAt = :at ADD version :one"',
            'lastHeistAt = :at, version = if_not_exists(version, :one)"',
        ),
    ),
    _mutant(
        "a heist bumps no version of the victim",
        _TRANSACTIONS,
        (
            'lastRobbedAt = :at ADD version :one"',
            'lastRobbedAt = :at, version = if_not_exists(version, :one)"',
        ),
    ),
    _mutant(
        "a profile is written whatever the version",
        _TRANSACTIONS,
        (
            '        condition="version = :seen" if seen.exists else "attribute_not_exists(version)",\n',
            "",
        ),
        ('values[":seen"] = seen.version', "pass"),
    ),
    _mutant(
        "a heist without a gain in the ledger",
        _TRANSACTIONS,
        ('        Step("gain", {"Put": put(table, gain)}),\n', ""),
    ),
    _mutant(
        "a heist without a loss in the ledger",
        _TRANSACTIONS,
        ('        Step("loss", {"Put": put(table, loss)}),\n', ""),
    ),
    _mutant(
        "earned points without a ledger entry",
        _TRANSACTIONS,
        ('        Step("ledger", {"Put": put(table, items.earned_ledger_item(earned))}),\n', ""),
    ),
    _mutant(
        "a limit of attempts that limits nothing",
        _TRANSACTIONS,
        ('"OR size(attempts) < :limit"', '"OR size(attempts) >= :zero OR size(attempts) < :limit"'),
        ('":attempt": attempt,', '":attempt": attempt, ":zero": 0,'),
    ),
    _mutant(
        "a limit of requests instead of attempts",
        _TRANSACTIONS,
        (
            '"contains(attempts, :attempt) OR attribute_not_exists(attempts) "',
            '"attribute_not_exists(attempts) "',
        ),
        ('                ":attempt": attempt,\n', ""),
    ),
    _mutant(
        "a mail moves whatever its state",
        _TRANSACTIONS,
        ('condition = "mailState = :seen"', 'condition = ":seen = :seen"'),
        (
            'condition += " AND mailOwner = :seenOwner"',
            'condition += " AND :seenOwner = :seenOwner"',
        ),
    ),
    _mutant(
        "a refusal is not stored",
        _EXECUTE,
        (" if self._store.record_refusal(refused) else None", ""),
    ),
    _mutant(
        "a refusal that lost to another outcome is given all the same",
        _EXECUTE,
        (
            "if self._store.record_refusal(refused) else None",
            "if (self._store.record_refusal(refused), True) else None",
        ),
    ),
    _mutant(
        "whatever stands under the id is taken for the success that was tried",
        _EXECUTE,
        ("if standing is None else _replay(attempt, standing)", "if True else None"),
    ),
    _mutant(
        "an unknown outcome is taken for a success",
        _EXECUTE,
        (
            "        standing = self._store.commit_heist(heist, attacker, victim)\n",
            (
                "        try:\n"
                "            standing = self._store.commit_heist(heist, attacker, victim)\n"
                "        except Contention:\n"
                "            raise\n"
                "        except Unavailable:\n"
                "            standing = None\n"
            ),
        ),
    ),
    _mutant(
        "a lost race is taken for a refusal",
        _EXECUTE,
        (
            "        standing = self._store.commit_heist(heist, attacker, victim)\n",
            (
                "        try:\n"
                "            standing = self._store.commit_heist(heist, attacker, victim)\n"
                "        except Contention:\n"
                '            no = HeistRefused("NO_TOKENS", "You need at least 1 Heist Token")\n'
                "            return Outcome(RefusedHeist(attempt, now, no), replayed=False)\n"
            ),
        ),
    ),
    _mutant(
        "a key is the same for all attackers",
        _EXECUTE,
        ('f"{len(attacker_id)}:{attacker_id}{key}"', "key"),
    ),
    _mutant(
        "a count is taken back that another request counts on",
        _EXECUTE,
        (
            "counted.added and minute_of(_decided_at(snapshot.record)) != minute_of(now)",
            "counted.added",
        ),
    ),
    _mutant(
        "the record is not read",
        _STORE,
        (
            "        if heist_id is not None:\n            wanted.append(keys.heist(heist_id))\n",
            "",
        ),
    ),
    _mutant(
        "any failed condition is taken for the arbiter's",
        _STORE,
        (
            'if reasons.get(arbiter, {}).get("Code") == "ConditionalCheckFailed":',
            'if any(one.get("Code") == "ConditionalCheckFailed" for one in reasons.values()):',
        ),
    ),
    _mutant(
        "a cooldown that ends a moment late",
        _HEIST,
        (
            "        ends_at = attacker.last_heist_at + rules.cooldown\n        if now < ends_at:",
            "        ends_at = attacker.last_heist_at + rules.cooldown\n        if now <= ends_at:",
        ),
    ),
    _mutant(
        "no protection",
        _HEIST,
        ("if victim.last_robbed_at is not None:", "if False:"),
    ),
    _mutant(
        "a mail is sent by whoever failed to claim it",
        _NOTIFY,
        (
            (
                "        if not claimed and self._store.mail_record(heist, recipient.id) != claim:\n"
                "            return MailState.SENDING\n"
            ),
            "",
        ),
    ),
    _mutant(
        "a lease that nobody respects",
        _NOTIFY,
        (
            "if seen.state.settled or (seen.lease_until is not None and now < seen.lease_until):",
            "if seen.state.settled:",
        ),
    ),
    _mutant(
        "a doubtful mail is sent for ever",
        _NOTIFY,
        ("if seen.attempts >= DOUBTFUL_ATTEMPTS:", "if False:"),
    ),
    _mutant(
        "a mail asked for again is owed like everybody's notices",
        _SETTLE,
        ('owed = f"{MAIL_AGAIN}{uuid.uuid4().hex}"', "owed = Owed.NOTICES"),
    ),
    _mutant(
        "settled whether told or not",
        _NOTIFY,
        ("        if told.settled:\n", "        if True:\n"),
    ),
)


def try_out(mutant: Mutant, root: Path) -> str | None:
    """What the search said of a mutant; None if it survived."""
    shutil.rmtree(root, ignore_errors=True)
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, root / name, ignore=ignored)
        else:
            shutil.copy(source, root / name)
    mutant.apply(root)
    done = subprocess.run(
        [sys.executable, "-c", _PLAY],
        cwd=root,
        env={"PYTHONPATH": f"{root}:{root / _CODE.parent}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, _KILLED):
        raise RuntimeError(done.stderr)
    return done.stdout.strip() if done.returncode else None


def main(wanted: list[str]) -> int:
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        for mutant in MUTANTS:
            if wanted and not any(word in mutant.name for word in wanted):
                continue
            started = time.monotonic()
            found = try_out(mutant, Path(folder) / "copy")
            took = time.monotonic() - started
            print(f"{'killed  ' if found else 'SURVIVED'} {took:4.0f} s  {mutant.name}", flush=True)
            print(f"                 {found or ''}", flush=True)
            if found is None:
                survivors.append(mutant.name)
    print(f"{len(survivors)} survived" + "".join(f"\n  {name}" for name in survivors))
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
