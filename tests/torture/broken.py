"""The product with one request to DynamoDB broken: without its condition, or without one step of a transaction.

`python -m pytest -p tests.torture.broken` runs tests on it; the variable BROKEN says what is broken.
"""

import os
import re
from collections.abc import Iterator
from typing import Any

from heist_core.storage import counting, operator, transactions
from heist_core.storage.transactions import Request
from tests.unit.test_transactions import EVERY

BUILDERS = {
    "claim_mail": "move_mail",
    "commit_refund": "commit_reversal",
    "freeze_unknown": "freeze",
    "first_settings": "change_settings",
    "end_mail": "move_mail",
    "save_first_profile": "save_profile",
    "first_generation": "put_generation",
    "count_refusal": "count_facts",
    "count_first": "count_facts",
    "move_first": "move_holdings",
}
"""Which function builds a request, where it is not called like it."""
VARYING = {"change_settings.settings": "attribute_exists(pk) AND "}
"""How a condition begins that names what was seen."""


def breakable() -> Iterator[str]:
    """Every condition, and every step of a transaction."""
    for name, request in EVERY.items():
        if "ConditionExpression" in request:
            yield f"condition of {name}"
    for name in EVERY:
        if "." in name:
            yield f"step {name}"


def apply(broken: str) -> None:
    """Break it in this process, for good."""
    part, _, name = broken.rpartition(" ")
    builder, _, step = name.partition(".")
    builder = BUILDERS.get(builder, builder)
    (module,) = (one for one in (transactions, operator, counting) if hasattr(one, builder))
    build: Any = getattr(module, builder)
    condition = str(VARYING.get(name, EVERY[name].get("ConditionExpression")))

    def broken_build(*arguments: Any, **more: Any) -> Any:
        built = build(*arguments, **more)
        if not step:
            return _without(built, condition)
        if part == "step":
            return tuple(one for one in built if one.name != step)
        return tuple(
            transactions.Step(
                one.name,
                {kind: _without(request, condition) for kind, request in one.action.items()}
                if one.name == step
                else one.action,
            )
            for one in built
        )

    setattr(module, builder, broken_build)


def _without(request: Request, condition: str) -> Request:
    """The request without this condition, and without what only it used."""
    found = str(request.get("ConditionExpression"))
    if found != condition and not (condition in VARYING.values() and found.startswith(condition)):
        return request
    left = {
        name: value
        for name, value in request.items()
        if name not in ("ConditionExpression", "ReturnValuesOnConditionCheckFailure")
    }
    used = set(re.findall(r"[:#]\w+", str(request.get("UpdateExpression", ""))))
    for part in ("ExpressionAttributeValues", "ExpressionAttributeNames"):
        defined = left.pop(part, None)
        if isinstance(defined, dict) and used & defined.keys():
            left[part] = {name: defined[name] for name in sorted(used & defined.keys())}
    return left


if "BROKEN" in os.environ:
    apply(os.environ["BROKEN"])
