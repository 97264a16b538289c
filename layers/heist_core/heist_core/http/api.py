"""Turns an API Gateway event (HTTP API, payload 2.0) into a call, and an error into a status."""

import base64
import functools
import json
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import NamedTuple, Protocol
from urllib.parse import unquote

from heist_core import telemetry
from heist_core.domain.errors import (
    CallerUnknown,
    Conflict,
    HeistCoreError,
    HeistRefused,
    IdempotencyMismatch,
    InvalidInput,
    Issue,
    NotAnOperator,
    NotFound,
    PassiveLocked,
    RateLimited,
    Unavailable,
)
from heist_core.domain.player import canonical_player_id
from heist_core.domain.times import to_iso
from heist_core.variables import in_sam_local, variable

from .ceiling import Ceiling, rate_limit_at_deployment

RETRY_SECONDS = 1
_LONGEST_NAME = 128
to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

ceiling = Ceiling()

OPERATORS = "operators"
"""The group of the user pool (or of the issuer's claim `cognito:groups`) that may do all of it."""
SUPPORT = "support"
"""The group that may look at all of it, and change nothing."""

Body = Mapping[str, object]
Event = Mapping[str, object]


class LambdaContext(Protocol):
    def get_remaining_time_in_millis(self) -> int: ...


class Request(NamedTuple):
    """A request whose caller is known, by id, and perhaps by the name they sign in with.

    `query` and `path` hold decoded text, `route` is the template's, `groups` are those that the
    verified token puts the caller into.
    """

    route: str
    caller_id: str
    caller_name: str | None
    groups: frozenset[str]
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    source_network: str | None
    seconds_left: float
    correlation_id: str | None = None


class Response(NamedTuple):
    body: Body | None
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})
    log: Mapping[str, str | int] = MappingProxyType({})


def error_response(error: HeistCoreError) -> Response:
    """The one mapping from errors to statuses (SPEC section 2)."""
    match error:
        case InvalidInput():
            return Response({"errors": [_issue(issue) for issue in error.issues]}, 400)
        case HeistRefused():
            return Response(
                {
                    "success": False,
                    "error": "ELIGIBILITY_FAILED",
                    "code": error.code,
                    "message": error.message,
                    "details": error.details,
                },
                400,
                log={"code": error.code},
            )
        case CallerUnknown():
            return Response(_failure("FORBIDDEN", "The token does not name a player"), 403)
        case NotAnOperator():
            return Response(_failure("FORBIDDEN", str(error)), 403)
        case NotFound():
            return Response(_failure("NOT_FOUND", str(error)), 404)
        case Conflict():
            return Response(_failure(error.code, str(error)), 409, log={"code": error.code})
        case PassiveLocked():
            details = {"lockedUntil": to_iso(error.until)}
            return Response({**_failure("PASSIVE_LOCKED", str(error)), "details": details}, 409)
        case IdempotencyMismatch():
            message = str(error) or "This Idempotency-Key was used with another target"
            return Response(_failure("IDEMPOTENCY_MISMATCH", message), 422)
        case RateLimited():
            return Response(
                _failure("RATE_LIMITED", str(error)),
                429,
                {"Retry-After": str(error.retry_after_seconds)},
            )
        case Unavailable():
            return Response(
                {
                    "success": False,
                    "error": "EXECUTION_FAILED",
                    "code": error.code,
                    "message": "Not done or not known to be done; "
                    "please repeat with the same Idempotency-Key",
                },
                503,
                {"Retry-After": str(RETRY_SECONDS)},
                {"code": error.code, "cause": type(error.__cause__).__name__},
            )
    raise error


def only_operators(request: Request, *, or_support: bool) -> None:
    """Raises NotAnOperator unless the verified token says that the caller is one."""
    if OPERATORS in request.groups or (or_support and SUPPORT in request.groups):
        return
    raise NotAnOperator(
        "Only operators may change this" if SUPPORT in request.groups else "This is for operators"
    )


def _failure(error: str, message: str) -> Body:
    return {"success": False, "error": error, "message": message}


def _issue(issue: Issue) -> Body:
    return {"code": issue.code, "path": list(issue.path), "message": issue.message}


def api_handler(
    function: str, rate_limit: Callable[[], int] = rate_limit_at_deployment
) -> Callable[[Callable[[Request], Response]], Callable[[Event, LambdaContext], Body]]:
    """Make a Lambda handler of a route; `function` is the function's folder, `rate_limit` tells the
    setting that the ceiling for all routes depends on.

    A HeistCoreError becomes its status; anything else is logged and becomes a 500 without detail.
    """

    def decorate(route: Callable[[Request], Response]) -> Callable[[Event, LambdaContext], Body]:
        @functools.wraps(route)
        def handler(event: Event, context: LambdaContext) -> Body:
            try:
                with telemetry.invocation("request", function, request_id(event)) as fields:
                    try:
                        request = read_request(event, context)
                        fields["caller"] = request.caller_id
                        ceiling.count(request.caller_id, request.route, rate_limit())
                        response = route(request)
                    except HeistCoreError as error:
                        response = error_response(error)
                        if isinstance(error, Unavailable):
                            telemetry.count("Unavailable", code=error.code)
                    fields["status"] = response.status
                    fields.update(response.log)
            except Exception:  # noqa: BLE001 - logged by telemetry; the client learns nothing of it
                response = Response({"error": "Internal server error"}, 500)
            return {
                "statusCode": response.status,
                "headers": {
                    "content-type": "application/json",
                    "cache-control": "no-store",
                    **response.headers,
                },
                "body": to_json(response.body),
            }

        return handler

    return decorate


def read_request(event: Event, context: LambdaContext) -> Request:
    """Raises CallerUnknown, or InvalidInput for a body that is not what it claims to be."""
    headers = {name.lower(): value for name, value in texts(event, "headers").items()}
    claims = _claims(event, headers)
    return Request(
        route=str(event.get("routeKey")),
        caller_id=_caller_id(claims),
        caller_name=_caller_name(claims),
        groups=_groups(claims, headers),
        path={name: unquote(value) for name, value in texts(event, "pathParameters").items()},
        query=texts(event, "queryStringParameters"),
        headers=headers,
        body=_body(event),
        source_network=network_of(_child(_child(event, "requestContext"), "http").get("sourceIp")),
        seconds_left=context.get_remaining_time_in_millis() / 1000,
        correlation_id=request_id(event),
    )


def request_id(event: Event) -> str | None:
    """The id that API Gateway gave the request; its access log has it, too."""
    given = _child(event, "requestContext").get("requestId")
    return given[: telemetry.CORRELATION_ID_LIMIT] if isinstance(given, str) else None


def _child(event: Event, name: str) -> Event:
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def texts(event: Event, name: str) -> dict[str, str]:
    """A member of an event that holds texts by name, such as its headers."""
    return {key: str(value) for key, value in _child(event, name).items()}


def _body(event: Event) -> bytes:
    body = event.get("body") or ""
    if not isinstance(body, str):
        raise TypeError("the body of an API event is text")
    if not event.get("isBase64Encoded"):
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError as error:
        raise InvalidInput([Issue("invalid_body", (), "the body must be JSON in UTF-8")]) from error


def _claims(event: Event, headers: Mapping[str, str]) -> Event:
    """The verified token's claims, from the authorizer and nowhere else.

    SAM CLI's local API has no authorizers. There, and only there, the claim is read from the
    bearer token without verifying it.
    """
    authorizer = _child(_child(event, "requestContext"), "authorizer")
    claims = _child(_child(authorizer, "jwt"), "claims")
    if not authorizer and in_sam_local():
        claims = _unverified_claims(headers.get("authorization", ""))
    return claims


def _caller_id(claims: Event) -> str:
    """SPEC section 1. An address that nobody verified is a text that its owner chose."""
    claim = variable("USER_ID_CLAIM", "sub")
    if claim == "email" and claims.get("email_verified") not in (True, "true"):
        raise CallerUnknown
    try:
        return canonical_player_id(claims.get(claim))
    except ValueError as error:
        raise CallerUnknown from error


def _caller_name(claims: Event) -> str | None:
    """What the token calls its bearer, to be read by people."""
    named = (claims.get("cognito:username"), claims.get("username"))
    return next((name[:_LONGEST_NAME] for name in named if isinstance(name, str)), None)


def _groups(claims: Event, headers: Mapping[str, str]) -> frozenset[str]:
    """API Gateway hands a claim that is a list over as `[operators players]`; other text is one
    group.

    Whether `[junior operators]` is one group or two, only the token says. Its own list is taken if
    it reads like the one that API Gateway verified.
    """
    groups = claims.get("cognito:groups")
    if isinstance(groups, str):
        if not (groups.startswith("[") and groups.endswith("]")):
            return frozenset({groups} - {""})
        inside, authorization = groups[1:-1], headers.get("authorization", "")
        if "," in authorization:  # a repeated header, joined: which was verified is not told
            return frozenset({inside})
        groups = _unverified_claims(authorization).get("cognito:groups")
        if not isinstance(groups, list) or " ".join(map(str, groups)) != inside:
            groups = inside.split(" ")
    return frozenset(map(str, groups)) - {""} if isinstance(groups, list) else frozenset()


def _unverified_claims(authorization: str) -> Event:
    _, _, payload = authorization.partition(".")
    payload = payload.partition(".")[0]
    try:
        claims: object = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, Mapping) else {}


def network_of(source_ip: object) -> str | None:
    """The /24 or /48 network of an address; the address itself is not kept (SPEC section 3)."""
    for family, kept_bytes in ((socket.AF_INET, 3), (socket.AF_INET6, 6)):
        with suppress(OSError, ValueError):
            packed = socket.inet_pton(family, str(source_ip).partition("%")[0])
            network = packed[:kept_bytes].ljust(len(packed), b"\0")
            return f"{socket.inet_ntop(family, network)}/{8 * kept_bytes}"
    return None
