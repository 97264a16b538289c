"""`make mutants` breaks what the unit tests only read: every condition and every step of a transaction, and
more that a race could get through. Each must be found out by playing it on an engine.

First the tests nearest to it run on moto where there are some, then the search plays its seeds, then all
integration tests run on moto. The exit code is 1 if a mutant survives them all.
`python -m tests.torture.mutants version` tries those with "version" in their names.
"""
# ruff: noqa: T201 - a command line

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.tools import ROOT

from .broken import breakable

SEEDS = 200
_CODE = Path("layers/heist_core/heist_core")
_COPIED = (
    "layers",
    "functions",
    "tests",
    "events",
    "ops",
    "local",
    "docs",
    "benchmarks",
    "template.yaml",
    "pyproject.toml",
)
_TRANSACTIONS = "storage/transactions.py"
_EXECUTE = "use_cases/execute_heist.py"
_NOTIFY = "use_cases/notify_players.py"
_SETTLE = "use_cases/settle_owed.py"
_STORE = "storage/store.py"
_OPERATOR = "storage/operator.py"
_REVERSE = "use_cases/reverse_heist.py"
_REVERSAL = "domain/reversal.py"
_HEIST = "domain/heist.py"
_KILLED = 3
_PLAY = f"""
import os, sys
if "BROKEN" in os.environ:
    import tests.torture.broken
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
NEAREST = {
    ".action": "operators",
    "ask_mail_again": "owed",
    "block": "operators",
    "certify": "operators",
    "clear_marker": "owed",
    "commit_award": "awards_points_profiles",
    "commit_heist": "heist_commits",
    "commit_points": "awards_points_profiles",
    "commit_refund": "reversals",
    "commit_reversal": "reversals",
    "count_attempt": "heist_commits",
    "count_check": "heist_commits",
    "count_": "statistics",
    "deliver_notice": "inbox",
    "freeze": "operators",
    "generation": "statistics",
    "hold_award": "operators",
    "mail": "inbox",
    "mark_read": "inbox",
    "move_": "statistics",
    "note_only": "inbox",
    "profile": "awards_points_profiles",
    "put_back": "owed",
    "record_refusal": "heist_commits",
    "release_award": "operators",
    "set_aside": "owed",
    "settings": "operators",
    "settle": "owed",
}
"""Which tests find out most quickly what a request lacks whose name holds the word; the first word counts."""


@dataclass(frozen=True)
class Mutant:
    """In `file`, every `old` (each there once) becomes its `new`; without a file, see `broken`."""

    name: str
    file: str = ""
    changes: tuple[tuple[str, str], ...] = ()

    def apply(self, root: Path) -> None:
        path = root / _CODE / self.file
        text = path.read_text("utf-8")
        for old, new in self.changes:
            if text.count(old) != 1:
                raise LookupError(f"{self.name}: there {text.count(old)} times: {old}")
            text = text.replace(old, new)
        path.write_text(text, "utf-8")

    @contextmanager
    def standing(self) -> Iterator[tuple[Path, dict[str, str]]]:
        """Where the mutant can be run, and with what variables."""
        if not self.file:
            yield ROOT, {"BROKEN": self.name}
            return
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name in _COPIED:
                source = ROOT / name
                if source.is_dir():
                    ignored = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(source, root / name, ignore=ignored)
                else:
                    shutil.copy(source, root / name)
            self.apply(root)
            yield root, {}


def _mutant(name: str, file: str, *changes: tuple[str, str]) -> Mutant:
    return Mutant(name, file, changes)


MUTANTS = (
    *map(Mutant, breakable()),
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
                "        if not claimed and self._store.mail_record(event, recipient.id) != claim:\n"
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
        "a reversal bumps no version of the attacker",
        _OPERATOR,
        (
            'changes + " ADD version :one"',
            'changes.replace("SET ", "SET version = if_not_exists(version, :one), ")',
        ),
    ),
    _mutant(
        "a reversal bumps no version of the victim",
        _OPERATOR,
        (
            '"SET #season = :points ADD version :one"',
            '"SET #season = :points, version = if_not_exists(version, :one)"',
        ),
    ),
    _mutant(
        "a reversal whose answer was lost is taken for another operator's",
        _REVERSE,
        ("already=standing.action_id != action.id", "already=True"),
    ),
    _mutant(
        "a reversal of a token lifts whatever cooldown there is",
        _REVERSAL,
        (" and attacker.last_heist_at == heist.plan.at", ""),
    ),
    _mutant(
        "settled whether told or not",
        _NOTIFY,
        ("        if told.settled:\n", "        if True:\n"),
    ),
)


def try_out(mutant: Mutant) -> str | None:
    """Who found a mutant out, and by what; None if it survived."""
    with mutant.standing() as (root, variables):
        environment = {
            "PYTHONPATH": f"{root}:{root / _CODE.parent}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": os.environ["PATH"],
            **variables,
        }

        def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                [sys.executable, *arguments],
                cwd=root,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )

        def first_failure(tests: str) -> str | None:
            plugin = ["-p", "tests.torture.broken"] if not mutant.file else []
            tested = run("-m", "pytest", "-qxk", "moto", tests, *plugin)
            if tested.returncode == 0:
                return None
            failed = [line for line in tested.stdout.splitlines() if line.startswith("FAILED")]
            if not failed:  # tests that cannot run find nothing out
                raise RuntimeError(f"{mutant.name}: {tested.stdout}{tested.stderr}")
            return failed[0].partition(" - ")[0]

        nearest = next((NEAREST[word] for word in NEAREST if word in mutant.name), None)
        if nearest and not mutant.file:
            found = first_failure(f"tests/integration/test_{nearest}.py")
            if found:
                return found
        played = run("-c", _PLAY)
        if played.returncode == _KILLED:
            return played.stdout.strip()
        if played.returncode:
            raise RuntimeError(f"{mutant.name}: {played.stderr}")
        return first_failure("tests/integration")


def main(wanted: list[str]) -> int:
    """Try out those whose names hold one of the words; all without words."""
    chosen = [
        mutant for mutant in MUTANTS if not wanted or any(word in mutant.name for word in wanted)
    ]
    survivors, started = 0, time.monotonic()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {pool.submit(try_out, mutant): mutant for mutant in chosen}
        for done in as_completed(running):
            mutant, found = running[done], done.result()
            print(f"{'killed  ' if found else 'SURVIVED'}  {mutant.name}", flush=True)
            print(f"          {found or 'no test and no seed found it'}", flush=True)
            survivors += not found
    print(
        f"{len(chosen) - survivors} of {len(chosen)} killed in {time.monotonic() - started:.0f} s"
    )
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
