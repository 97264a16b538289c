"""Budgets 2 to 6: instructions of cold starts and of warm calls, ours and others'."""

from dataclasses import dataclass
from pathlib import Path

from local.console import ProblemError

from . import canned, cases
from .artifact import Artifact, with_fresh_byte_code
from .cases import Case
from .stub import running_stub, self_signed

_WARM_CALLS = 5


@dataclass(frozen=True, slots=True)
class Instructions:
    """Millions, without those of a bare Python.

    `cold` is import and first answer; `second` the call after it, which opens the connections that
    the first did not; `warm` each call from then on.
    """

    imports: float
    cold: float
    second: float
    warm: float


def measure(case: Case, bare: int, scratch: Path) -> Instructions:
    """Four processes: one imports, two answer once and twice, one goes on. Over TLS, as on AWS."""
    certificate = scratch / "stub.pem"
    certificate.write_text(self_signed(), "utf-8")
    trusting = case.trusting(certificate, scratch / "bundle.pem")
    with running_stub(canned.answer, certificate=certificate) as stub:
        if '"statusCode": 200' not in trusting.run(2, stub.url):
            raise ProblemError(f"{case.handler} does not answer with a 200")
        imports, once, twice, often = (
            trusting.instructions(calls, stub.url) for calls in (0, 1, 2, 2 + _WARM_CALLS)
        )
    return Instructions(
        imports=(imports - bare) / 1e6,
        cold=(once - bare) / 1e6,
        second=(twice - once) / 1e6,
        warm=(often - twice) / _WARM_CALLS / 1e6,
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
    return {name: measure(case, bare, scratch) for name, case in wanted.items() if case is not None}
