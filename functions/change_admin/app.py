"""Changes by operators, below /api/heist/admin: POST heists/{heistId}/reverse,
players/{userId}/block, /unblock and /tokens, and PUT settings"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from heist_core import wiring
from heist_core.contracts import parse, parse_body
from heist_core.domain.action import Action, Change, Remember
from heist_core.domain.errors import (
    Conflict,
    InvalidInput,
    Issue,
    NoSuchHeist,
    NoSuchPlayer,
    NotFound,
    NotReversible,
    SettingsMoved,
)
from heist_core.http.api import (
    Request,
    Response,
    api_handler,
    error_response,
    only_operators,
    to_json,
)
from heist_core.operator_contracts import (
    Asked,
    GrantRequest,
    PlayerPath,
    ReverseRequest,
    SettingsRequest,
)
from heist_core.parsing import invalid, parse_idempotency_key
from heist_core.settings import InvalidSettings
from heist_core.use_cases.answer_once import Outcome
from heist_core.use_cases.change_settings import NAMES, InEffect, SettingsChange
from heist_core.use_cases.reverse_heist import Reversed

_LONGEST_ID = 128
_OF_VARIABLE = "variable"
"""Given as a value, it removes the override: the environment variable counts again."""


class Task(NamedTuple):
    """A requested change: its name and subject, and how to preview and apply it."""

    what: str
    subject: str
    asked: Asked
    preview: Callable[[], Change]
    apply: Callable[[Action, Remember], Change]


@api_handler("change_admin")
def handler(request: Request) -> Response:
    only_operators(request, or_support=False)
    task = _task(request)
    key = parse_idempotency_key(request.headers.get("idempotency-key"))
    if task.asked.dryRun:
        with _as_api_errors():
            change = task.preview()
        return Response(_body(change, None))
    if key is None:
        raise invalid("missing", "Idempotency-Key", "is required")
    return _once(request, task, key)


def _once(request: Request, task: Task, key: str) -> Response:
    action = Action(
        id=wiring.new_id(),
        at=wiring.clock().now(),
        who=request.caller_id,
        who_name=request.caller_name,
        what=task.what,
        subject=task.subject,
        why=task.asked.reason,
        before={},
        after={},
    )

    def success_body(change: Change) -> str:
        return to_json(_body(change, action.id if change.changed else None))

    def act(remember: Remember) -> Outcome:
        try:
            with _as_api_errors():
                change = task.apply(action, remember)
        except (NotFound, Conflict) as refusal:
            response = error_response(refusal)
            return Outcome(response.status, to_json(response.body), kept=False)
        return Outcome(200, success_body(change), kept=change.changed)

    content = to_json([request.route, task.subject, task.asked.model_dump()])
    answer = wiring.answer_once()(request.caller_id, key, content, act, success_body)
    return Response(
        json.loads(answer.body),
        answer.status,
        {"Idempotent-Replay": "true"} if answer.replayed else {},
        {"what": task.what, "subject": task.subject},
    )


def _body(change: Change, action_id: str | None) -> dict[str, object]:
    return {
        "success": True,
        "changed": change.changed,
        "actionId": action_id,
        **change.about,
        "before": change.before,
        "after": change.after,
    }


def _task(request: Request) -> Task:
    """Raises InvalidInput, or NotFound for the id of no heist."""
    match request.route.partition("/admin/")[2]:
        case "players/{userId}/block":
            return _block(request, "block", blocked=True)
        case "players/{userId}/unblock":
            return _block(request, "unblock", blocked=False)
        case "players/{userId}/tokens":
            return _grant(request)
        case "heists/{heistId}/reverse":
            return _reverse(request)
        case _:
            return _settings(request)


def _block(request: Request, what: str, *, blocked: bool) -> Task:
    player_id = parse(PlayerPath, request.path).userId
    asked = parse_body(Asked, request.body)
    use_case = wiring.block_player()
    return Task(
        what,
        f"player {player_id}",
        asked,
        preview=lambda: use_case.preview(player_id, blocked=blocked),
        apply=lambda action, remember: use_case(
            player_id, action, blocked=blocked, remember=remember
        ),
    )


def _grant(request: Request) -> Task:
    player_id = parse(PlayerPath, request.path).userId
    asked = parse_body(GrantRequest, request.body)
    use_case = wiring.grant_tokens()
    return Task(
        "grant",
        f"player {player_id}",
        asked,
        preview=lambda: use_case.preview(player_id, asked.delta),
        apply=lambda action, remember: use_case(player_id, asked.delta, action, remember=remember),
    )


def _reverse(request: Request) -> Task:
    heist_id = request.path["heistId"]
    asked = parse_body(ReverseRequest, request.body)
    if not 1 <= len(heist_id) <= _LONGEST_ID or not heist_id.isprintable():
        raise _no_heist()
    use_case, refund = wiring.reverse_heist(), asked.refundToken

    def first(done: Reversed) -> Change:
        if done.already:
            raise Conflict("ALREADY_REVERSED", "This heist was reversed already")
        return done.change

    return Task(
        "reverse",
        f"heist {heist_id}",
        asked,
        preview=lambda: first(use_case.preview(heist_id, refund_token=refund)),
        apply=lambda action, remember: first(
            use_case(heist_id, action, refund_token=refund, remember=remember)
        ),
    )


def _settings(request: Request) -> Task:
    asked = parse_body(SettingsRequest, request.body)
    unknown = [name for name in asked.changes if name not in NAMES]
    if unknown:
        raise InvalidInput(
            [
                Issue("unknown_setting", ("changes", name), f"changes.{name}: is no setting")
                for name in unknown
            ]
        )
    use_case = wiring.change_settings()

    def planned() -> tuple[InEffect, SettingsChange]:
        current = use_case.read()
        if (current.version or 0) != asked.expectedVersion:
            raise SettingsMoved
        overrides = {**current.overrides, **asked.changes}
        kept = {name: value for name, value in overrides.items() if value != _OF_VARIABLE}
        try:
            return current, use_case.plan(current, kept)
        except InvalidSettings as problem:
            message = f"changes: {problem}"
            raise InvalidInput([Issue("invalid_setting", ("changes",), message)]) from problem

    def apply(action: Action, remember: Remember) -> Change:
        current, plan = planned()
        if not plan.change.changed:
            return plan.change
        return use_case(current, plan, action, remember=remember)

    return Task("config", "settings", asked, preview=lambda: planned()[1].change, apply=apply)


@contextmanager
def _as_api_errors() -> Iterator[None]:
    """Turns errors of the use cases into those of the API (SPEC section 2)."""
    try:
        yield
    except NoSuchPlayer as error:
        raise NotFound("There is no player with this id") from error
    except NoSuchHeist as error:
        raise _no_heist() from error
    except NotReversible as error:
        raise Conflict("NOT_REVERSIBLE", f"This heist cannot be reversed: {error}") from error
    except SettingsMoved as error:
        message = "Somebody else changed the settings meanwhile: look at them again"
        raise Conflict("SETTINGS_CHANGED", message) from error


def _no_heist() -> NotFound:
    return NotFound("There is no heist with this id")
