"""The edge towards API Gateway: who calls, what they sent, and which status an error has."""

import base64
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from functions.execute_heist import app as execute_app
from heist_core import wiring
from heist_core.domain import errors
from heist_core.domain.errors import (
    CallerUnknown,
    Conflict,
    Contention,
    HeistCoreError,
    HeistRefused,
    IdempotencyMismatch,
    InvalidInput,
    Issue,
    Misconfigured,
    NotAnOperator,
    NotFound,
    PassiveLocked,
    RateLimited,
    Unavailable,
)
from heist_core.http import api
from heist_core.http.api import Request, Response, api_handler, error_response, read_request
from heist_core.http.ceiling import Ceiling
from heist_core.storage.table import ConditionFailed
from heist_core.tally import COUNTED_AT_ONCE
from heist_core.use_cases.execute_heist import Outcome
from tests.builders import NOW, Event, api_event, execute_event, heist
from tests.fakes import FakeClock, LambdaContext

# Errors


def subclasses(of: type[HeistCoreError]) -> Iterator[type[HeistCoreError]]:
    for kind in of.__subclasses__():
        yield kind
        yield from subclasses(kind)


EXAMPLES: dict[type[HeistCoreError], tuple[HeistCoreError, int]] = {
    InvalidInput: (InvalidInput([Issue("missing", ("a", 0), "a.0: is required")]), 400),
    HeistRefused: (HeistRefused("NO_TOKENS", "You need at least 1 Heist Token"), 400),
    CallerUnknown: (CallerUnknown(), 403),
    NotAnOperator: (NotAnOperator(), 403),
    NotFound: (NotFound("There is no such thing"), 404),
    Conflict: (Conflict("ALREADY_REVERSED", "This heist was reversed already"), 409),
    PassiveLocked: (PassiveLocked("Not yet", NOW), 409),
    IdempotencyMismatch: (IdempotencyMismatch(), 422),
    RateLimited: (RateLimited(17, "Too many of them"), 429),
    Unavailable: (Unavailable(), 503),
    Contention: (Contention(), 503),
    Misconfigured: (Misconfigured(), 503),
    ConditionFailed: (ConditionFailed(), 503),
}


def test_every_error_that_a_caller_may_see_has_a_status() -> None:
    assert set(subclasses(HeistCoreError)) == set(EXAMPLES)
    for error, status in EXAMPLES.values():
        response = error_response(error)
        assert response.status == status, error
        json.dumps(response.body)


def test_what_a_caller_may_not_see_has_none() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ]
    untold = {kind.__name__ for kind in kinds if not issubclass(kind, HeistCoreError)}
    assert untold == {
        *("Erased", "Malformed", "NotReversible", "NoSuchHeist", "NoSuchPlayer"),
        *("SettingsMoved", "AnsweredAlready"),
        *("MailError", "MailDeferred", "MailRefused", "MailDoubtful"),
    }


def test_the_bodies_are_the_specifications() -> None:
    def body(error: HeistCoreError) -> Mapping[str, object]:
        return error_response(error).body or {}

    assert body(EXAMPLES[InvalidInput][0]) == {
        "errors": [{"code": "missing", "path": ["a", 0], "message": "a.0: is required"}]
    }
    assert body(EXAMPLES[HeistRefused][0]) == {
        "success": False,
        "error": "ELIGIBILITY_FAILED",
        "code": "NO_TOKENS",
        "message": "You need at least 1 Heist Token",
        "details": {},
    }
    assert body(RateLimited(1, "Too many of them")) == {
        "success": False,
        "error": "RATE_LIMITED",
        "message": "Too many of them",
    }
    mismatch = body(IdempotencyMismatch())
    assert (mismatch["success"], mismatch["error"]) == (False, "IDEMPOTENCY_MISMATCH")
    for error, code in (
        (Contention(), "CONTENTION"),
        (ConditionFailed(), "CONTENTION"),
        (Unavailable(), "DEPENDENCY"),
        (Misconfigured(), "DEPENDENCY"),
    ):
        told = body(error)
        assert set(told) == {"success", "error", "code", "message"}
        assert (told["success"], told["error"], told["code"]) == (False, "EXECUTION_FAILED", code)


def test_what_may_be_repeated_says_when() -> None:
    assert error_response(RateLimited(17, "")).headers == {"Retry-After": "17"}
    assert int(error_response(Unavailable()).headers["Retry-After"]) >= 1
    assert int(error_response(Contention()).headers["Retry-After"]) >= 1


# Handlers


def call(
    route: Callable[[Request], Response], event: Event | None = None
) -> tuple[int, Any, dict[str, str]]:
    answer = api_handler("get_tokens")(route)(event or api_event("get_tokens"), LambdaContext())
    headers = answer["headers"]
    assert isinstance(headers, dict)
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    status, body = answer["statusCode"], answer["body"]
    assert isinstance(status, int)
    assert isinstance(body, str)
    return status, json.loads(body), headers


def test_an_answer_is_json_with_its_status_and_headers() -> None:
    status, body, headers = call(lambda _: Response({"name": "Zoë"}, 200, {"Retry-After": "1"}))
    assert (status, body, headers["Retry-After"]) == (200, {"name": "Zoë"}, "1")


def test_an_error_becomes_its_status() -> None:
    def route(_: Request) -> Response:
        raise RateLimited(5, "")

    status, body, headers = call(route)
    assert (status, body["error"], headers["Retry-After"]) == (429, "RATE_LIMITED", "5")


@pytest.mark.parametrize("error", [ValueError("table heist-prod"), errors.Malformed("x"), KeyError])
def test_a_defect_is_a_500_without_details(error: Exception) -> None:
    def route(_: Request) -> Response:
        raise error

    assert call(route)[:2] == (500, {"error": "Internal server error"})


# Callers


def caller(event: Event) -> str:
    return read_request(event, LambdaContext()).caller_id


def bearer(claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"Bearer header.{payload}.signature"


def test_the_caller_is_the_claim_of_the_verified_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("USER_ID_CLAIM", raising=False)
    assert caller(api_event("get_tokens", "alice")) == "alice"


def test_another_claim_may_name_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER_ID_CLAIM", "player")
    event = api_event("get_tokens", "alice")
    with pytest.raises(CallerUnknown):
        caller(event)
    event["requestContext"]["authorizer"]["jwt"]["claims"]["player"] = "7"
    assert caller(event) == "7"


@pytest.mark.parametrize("claim", [None, "", "a#b", "a b", [], {}, True, "x" * 65])
def test_a_token_that_names_no_player_names_no_caller(claim: object) -> None:
    event = api_event("get_tokens", claim)
    with pytest.raises(CallerUnknown):
        caller(event)
    assert call(lambda request: Response({"id": request.caller_id}), event)[0] == 403


@pytest.mark.parametrize(
    ("verified", "known"),
    [(True, True), ("true", True), (..., False), (False, False), ("false", False), ("", False)],
)
def test_an_address_names_the_caller_only_if_it_was_verified(
    monkeypatch: pytest.MonkeyPatch, verified: object, known: bool
) -> None:
    monkeypatch.setenv("USER_ID_CLAIM", "email")
    event = api_event("get_tokens")
    claims = event["requestContext"]["authorizer"]["jwt"]["claims"]
    claims["email"] = "alice@example.com"
    if verified is not ...:
        claims["email_verified"] = verified
    if known:
        assert caller(event) == "alice@example.com"
    else:
        with pytest.raises(CallerUnknown):
            caller(event)


def test_nothing_that_the_client_sends_names_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SAM_LOCAL", raising=False)
    event = api_event(
        "execute_heist",
        "alice",
        body={"targetUserId": "bob", "userId": "mallory", "sub": "mallory"},
        headers={"authorization": bearer({"sub": "mallory"}), "x-user-id": "mallory"},
        path={"sub": "mallory"},
        query={"sub": "mallory", "userId": "mallory"},
    )
    assert caller(event) == "alice"


def without_authorizer(claims: object) -> Event:
    event = api_event("get_tokens", headers={"authorization": bearer(claims)})
    del event["requestContext"]["authorizer"]
    return event


@pytest.mark.parametrize("variable", [None, "", "false", "1", "TRUE"])
def test_without_an_authorizer_nobody_calls_in_production(
    monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    monkeypatch.delenv("AWS_SAM_LOCAL", raising=False)
    if variable is not None:
        monkeypatch.setenv("AWS_SAM_LOCAL", variable)
    with pytest.raises(CallerUnknown):
        caller(without_authorizer({"sub": "mallory"}))


def test_only_sam_local_reads_the_bearer_token_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SAM_LOCAL", "true")
    assert caller(without_authorizer({"sub": "alice"})) == "alice"


def test_even_there_an_authorizer_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SAM_LOCAL", "true")
    event = api_event("get_tokens", "alice", headers={"authorization": bearer({"sub": "mallory"})})
    assert caller(event) == "alice"


@pytest.mark.parametrize(
    "header",
    [
        *("", "Bearer", "Bearer a", "Bearer a.b.c", "Bearer a.!!!.c", "Bearer a.é.c"),
        *map(bearer, ([], "sub", 7, None)),
    ],
)
def test_even_there_a_token_that_is_none_names_nobody(
    monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    monkeypatch.setenv("AWS_SAM_LOCAL", "true")
    event = without_authorizer({})
    event["headers"]["authorization"] = header
    with pytest.raises(CallerUnknown):
        caller(event)


# Requests


def test_headers_are_found_in_any_case() -> None:
    event = api_event("execute_heist", headers={"Idempotency-KEY": "k"})
    assert read_request(event, LambdaContext()).headers["idempotency-key"] == "k"


def test_a_body_in_base64_is_decoded() -> None:
    event = api_event("execute_heist", body=base64.b64encode(b'{"a": "\xc3\xa9"}').decode())
    event["isBase64Encoded"] = True
    assert read_request(event, LambdaContext()).body == '{"a": "é"}'.encode()


@pytest.mark.parametrize("body", ["abc", "ab$c", "é===", "a" * 5])
def test_a_body_that_only_claims_to_be_base64_is_the_clients_fault(body: str) -> None:
    event = api_event("execute_heist", body=body)
    event["isBase64Encoded"] = True
    assert call(lambda _: Response({}), event)[0] == 400


def test_no_body_is_an_empty_one() -> None:
    event = api_event("execute_heist")
    event.pop("body")
    assert read_request(event, LambdaContext()).body == b""


def test_a_body_with_half_a_surrogate_pair_is_passed_on_to_be_refused() -> None:
    event = api_event("execute_heist", body='{"targetUserId": "\ud800"}')
    assert b"\xed\xa0\x80" in read_request(event, LambdaContext()).body


def test_path_parameters_are_decoded() -> None:
    event = api_event("check_target", path={"targetUserId": "google%7C12%3Aa"})
    assert read_request(event, LambdaContext()).path == {"targetUserId": "google|12:a"}


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.57", "203.0.113.0/24"),
        ("203.0.113.0", "203.0.113.0/24"),
        ("255.255.255.255", "255.255.255.0/24"),
        ("2001:db8:aaaa:bbbb:cccc::1", "2001:db8:aaaa::/48"),
        ("::1", "::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", None),
        ("unknown", None),
        ("203.0.113.57, 10.0.0.1", None),
        (None, None),
    ],
)
def test_only_the_network_of_an_address_is_kept(address: Any, network: str | None) -> None:
    event = api_event("execute_heist", source_ip=address)
    assert read_request(event, LambdaContext()).source_network == network


def test_the_time_left_is_given_in_seconds() -> None:
    assert read_request(api_event("get_tokens"), LambdaContext(1500)).seconds_left == 1.5


# Operators


@pytest.mark.parametrize(
    ("claim", "groups"),
    [
        ("[operators]", {"operators"}),  # as API Gateway hands a list over
        ("[players operators]", {"players", "operators"}),
        (["operators"], {"operators"}),
        ("[not-operators]", {"not-operators"}),
        ("operators", {"operators"}),  # an issuer whose claim is no list
        ("junior operators", {"junior operators"}),
        ("not operators", {"not operators"}),
        ("[operators", {"[operators"}),
        ("operators]", {"operators]"}),
        ("x operators]", {"x operators]"}),
        ("operators,players", {"operators,players"}),
        ('["operators"]', {'"operators"'}),
        ("[[operators]]", {"[operators]"}),
        ("[junior\u00a0operators]", {"junior\u00a0operators"}),
        ("[x\toperators]", {"x\toperators"}),
        ("[Operators]", {"Operators"}),
        ("[]", set()),
        ("", set()),
        (None, set()),
        (7, set()),
        ({"operators": True}, set()),
    ],
)
def test_groups_are_those_of_the_verified_claim(claim: object, groups: set[str]) -> None:
    event = api_event("show_statistics")
    event["requestContext"]["authorizer"]["jwt"]["claims"]["cognito:groups"] = claim
    assert read_request(event, LambdaContext()).groups == groups


@pytest.mark.parametrize(
    ("in_token", "handed", "groups"),
    [
        (["junior operators"], "[junior operators]", {"junior operators"}),
        (["junior", "operators"], "[junior operators]", {"junior", "operators"}),
        (["x operators", "players"], "[x operators players]", {"x operators", "players"}),
        (["operators"], "[players]", {"players"}),  # not the token that was verified
        (["operators x"], "[junior operators]", {"junior", "operators"}),
        ([["operators"]], "[[operators]]", {"[operators]"}),
        (None, "[junior operators]", {"junior", "operators"}),
    ],
)
def test_where_a_group_ends_is_read_from_the_token_if_it_is_the_verified_one(
    in_token: object, handed: str, groups: set[str]
) -> None:
    event = api_event(
        "show_statistics", headers={"authorization": bearer({"cognito:groups": in_token})}
    )
    event["requestContext"]["authorizer"]["jwt"]["claims"]["cognito:groups"] = handed
    assert read_request(event, LambdaContext()).groups == groups


def test_a_repeated_authorization_header_makes_nobody_an_operator() -> None:
    mine, made_up = (
        bearer({"cognito:groups": one}) for one in (["junior operators"], ["operators"])
    )
    for joined in (f"{mine},{made_up}", f"{made_up}, {mine}", f"{mine},"):
        event = api_event("show_statistics", headers={"authorization": joined})
        event["requestContext"]["authorizer"]["jwt"]["claims"]["cognito:groups"] = (
            "[junior operators]"
        )
        assert read_request(event, LambdaContext()).groups == {"junior operators"}


# The ceiling


def minute() -> FakeClock:
    """At its first second."""
    return FakeClock(NOW.replace(second=0, microsecond=0))


def refused(ceiling: Ceiling, player: str, route: str = "GET /a", rate_limit: int = 10) -> int:
    """Seconds to wait; 0: the request is let in."""
    try:
        ceiling.count(player, route, rate_limit)
    except RateLimited as limited:
        return limited.retry_after_seconds
    return 0


@pytest.mark.parametrize(
    ("rate_limit", "ceiling_is"), [(1, 600), (10, 600), (60, 600), (61, 610), (1000, 10_000)]
)
def test_a_player_has_so_many_requests_a_minute_and_route(rate_limit: int, ceiling_is: int) -> None:
    clock = minute()
    ceiling = Ceiling(clock.monotonic)
    for _ in range(ceiling_is):
        assert not refused(ceiling, "alice", rate_limit=rate_limit)
    clock.pass_(seconds=17.5)
    assert refused(ceiling, "alice", rate_limit=rate_limit) == 43
    assert not refused(ceiling, "bob", rate_limit=rate_limit)
    assert not refused(ceiling, "alice", "GET /b", rate_limit)
    clock.pass_(seconds=42)
    assert refused(ceiling, "alice", rate_limit=rate_limit) == 1
    clock.pass_(seconds=0.5)
    assert not refused(ceiling, "alice", rate_limit=rate_limit)


def test_what_the_ceiling_counts_takes_little_memory() -> None:
    ceiling = Ceiling(minute().monotonic)
    for number in range(3 * COUNTED_AT_ONCE):
        ceiling.count(f"player-{number}", "GET /a", 10)
    assert len(ceiling._requests._counts) <= COUNTED_AT_ONCE


def test_above_the_ceiling_no_route_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "ceiling", Ceiling(minute().monotonic))
    monkeypatch.delenv("HEIST_RATE_LIMIT_PER_MINUTE", raising=False)
    called = 0

    def route(_: Request) -> Response:
        nonlocal called
        called += 1
        raise InvalidInput([Issue("missing", ("a",), "a: is required")])

    statuses = [call(route)[0] for _ in range(602)]
    assert statuses == [400] * 600 + [429] * 2
    assert called == 600
    monkeypatch.setenv("HEIST_RATE_LIMIT_PER_MINUTE", "61")
    assert [call(route)[0] for _ in range(9)] == [400] * 8 + [429]


# What a call costs


def test_a_warm_heist_costs_few_calls_of_functions_beside_storage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On Powertools' resolver it takes 1,100; instructions are in `make bench`."""
    outcome = Outcome(heist(), replayed=False)
    monkeypatch.setattr(wiring, "execute_heist", lambda: lambda attempt, seconds: outcome)
    event, context, calls = execute_event(key="k"), LambdaContext(), 0

    def count(frame: object, kind: str, what: object) -> None:
        nonlocal calls
        calls += kind in ("call", "c_call")

    assert execute_app.handler(event, context)["statusCode"] == 200
    sys.setprofile(count)
    try:
        execute_app.handler(event, context)
    finally:
        sys.setprofile(None)
    assert 100 < calls < 600
