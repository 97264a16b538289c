"""Budgets 2 to 6: instructions of cold starts and of warm calls, ours and others'."""

from dataclasses import dataclass
from pathlib import Path

from local.console import ProblemError

from . import canned, cases
from .artifact import Artifact, with_fresh_byte_code
from .cases import Case
from .stub import running_stub

_WARM_CALLS = 5


@dataclass(frozen=True, slots=True)
class Instructions:
    """Millions, above a bare Python. `cold`: import and first answer; `warm`: each later call."""

    imports: float
    cold: float
    warm: float


def measure(case: Case, bare: int) -> Instructions:
    """Three processes: one imports, one answers once, one goes on."""
    with running_stub(canned.answer) as stub:
        if '"statusCode": 200' not in case.run(2, stub.url):
            raise ProblemError(f"{case.handler} does not answer with a 200")
        imports, once, often = (
            case.instructions(calls, stub.url) for calls in (0, 1, 1 + _WARM_CALLS)
        )
    return Instructions(
        imports=(imports - bare) / 1e6,
        cold=(once - bare) / 1e6,
        warm=(often - once) / _WARM_CALLS / 1e6,
    )


def measure_all(artifact: Artifact, scratch: Path) -> dict[str, Instructions]:
    """By name; the cookbook only where it can be had."""
    bare = cases.bare_python(scratch)
    fresh = with_fresh_byte_code(artifact, scratch / "fresh")
    wanted: dict[str, Case | None] = {
        "execute": cases.function(artifact, "execute_heist"),
        "execute, byte code made on the spot": cases.function(fresh, "execute_heist"),
        "get_tokens": cases.function(artifact, "get_tokens"),
        "typical stack": cases.typical(),
        "handler alone": cases.handler_alone(artifact),
        "handler on full Powertools": cases.handler_on_powertools(artifact),
        "cookbook create-order": cases.cookbook(),
    }
    return {name: measure(case, bare) for name, case in wanted.items() if case is not None}
