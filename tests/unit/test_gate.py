"""The front door of the embedded AWS: what comes in, and what is turned away with a 403."""

import asyncio
import json

import pytest

from local.gate import Gate, Message, Receive, Send

PORT = 4566
MAILS = [{"sentAt": 1.5, "request": {"FromEmailAddress": "heists@example.com"}}]
ALLOWED = "http://localhost:3000"
API = "/_aws/execute-api/abc/$default/api/heist"
PLAY = "/_aws/execute-api/abc/$default/play"
EVIL = "https://evil.example"
SIGN_IN = {"X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth"}


def browser(site: str, mode: str = "cors", **headers: str) -> dict[str, str]:
    return {"User-Agent": "Mozilla/5.0", "Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, **headers}


def ask(
    method: str, path: str, headers: dict[str, str], kind: str = "http", status: int = 401
) -> tuple[list[Message], bool]:
    """What the gate sent, and whether the emulator got the request, which answers `status`."""
    came_in: list[Message] = []
    sent: list[Message] = []

    async def emulator(scope: Message, receive: Receive, send: Send) -> None:
        came_in.append(scope)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"from inside"})

    async def receive() -> Message:
        return {"type": f"{kind}.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    raw = {"Host": f"127.0.0.1:{PORT}", **headers}
    scope: Message = {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in raw.items()],
    }
    asyncio.run(
        Gate(emulator, PORT, {ALLOWED}, "run-1", {"names": ["alice"]}, MAILS)(scope, receive, send)
    )
    return sent, bool(came_in)


def comes_in(method: str, path: str, headers: dict[str, str]) -> bool:
    sent, came_in = ask(method, path, headers)
    if not came_in:
        assert sent[0]["status"] == 403
        assert not [name for name, _ in sent[0]["headers"] if name.startswith(b"access-control")]
    return came_in


@pytest.mark.parametrize(
    "host",
    [
        *("localhost:4566", "127.0.0.1:4566", "[::1]:4566", "LocalHost"),
        *("host.docker.internal:4566", "bucket.with.dots.localhost:4566"),
    ],
)
def test_programs_come_in_by_every_name_of_this_machine(host: str) -> None:
    assert comes_in("POST", "/", {"Host": host, "Authorization": "AWS4-HMAC-SHA256 …"})


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "evil.example:4566", "localhost.evil.example"),
        *("127.0.0.1.evil.example", "192.168.0.2:4566", "0.0.0.0:4566", "[::]:4566"),
        *("evil.example#.localhost", "localhost:4566, evil.example"),
    ],
)
def test_nothing_comes_in_by_a_name_that_others_can_give_this_machine(host: str) -> None:
    assert not comes_in("GET", "/_ministack/health", {"Host": host})


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/?Action=CreateRole&RoleName=x"),
        ("POST", "/2015-03-31/functions"),
        ("POST", "/_ministack/reset"),
        ("GET", API + "/tokens"),
        ("GET", PLAY),
        ("OPTIONS", "/"),
    ],
)
def test_a_foreign_page_starts_nothing(site: str, method: str, path: str) -> None:
    for mode in ("no-cors", "cors"):
        assert not comes_in(method, path, browser(site, mode))
    assert not comes_in(method, path, browser(site, "no-cors", Origin=EVIL))
    if not path.startswith(API):
        assert not comes_in(method, path, browser(site, "cors", Origin=EVIL))
        assert not comes_in(method, path, browser(site, "cors", Origin="null"))
        assert not comes_in(method, path, {"Origin": EVIL})


@pytest.mark.parametrize("mode", ["no-cors", "cors", "navigate"])
def test_another_port_of_this_machine_is_another_origin(mode: str) -> None:
    other = "http://localhost:8888"
    assert not comes_in("POST", "/", browser("same-site", mode, Origin=other, **SIGN_IN))


def test_a_link_may_lead_to_the_pages_and_out_of_mails_and_nowhere_else() -> None:
    follow = browser("cross-site", "navigate", **{"Sec-Fetch-Dest": "document"})
    for path in (PLAY, PLAY + "/", PLAY.replace("play", "ops"), API + "/unsubscribe/TOKEN"):
        assert comes_in("GET", path, follow)
        assert not comes_in("POST", path, follow)
        assert not comes_in("GET", path, {**follow, "Sec-Fetch-Dest": "iframe"})
    for path in ("/", "/?Action=CreateRole", API + "/tokens", PLAY + "er", "/_ministack/health"):
        assert not comes_in("GET", path, follow)


def test_a_person_may_type_the_address_of_what_only_shows() -> None:
    typed = browser("none", "navigate", **{"Sec-Fetch-Dest": "document"})
    assert comes_in("GET", "/_ministack/health", typed)
    assert comes_in("GET", API + "/tokens", typed)
    assert not comes_in("GET", "/?Action=CreateRole", typed)


def test_the_pages_of_the_api_call_it_and_sign_in() -> None:
    for own in (f"http://127.0.0.1:{PORT}", f"http://localhost:{PORT}", f"http://[::1]:{PORT}"):
        assert comes_in("POST", "/", browser("same-origin", Origin=own, **SIGN_IN))
        assert comes_in("POST", "/", browser("cross-site", Origin=own, **SIGN_IN))
    # their policy is to send no referrer, so their forms have no origin to show
    assert comes_in(
        "POST", API + "/unsubscribe/T", browser("same-origin", "navigate", Origin="null")
    )


def test_an_allowed_origin_calls_the_api_and_signs_in_but_administers_nothing() -> None:
    page = browser("same-site", Origin=ALLOWED)
    assert comes_in("OPTIONS", API + "/execute", page)
    assert comes_in("POST", API + "/execute", page)
    assert comes_in("OPTIONS", "/", page)
    assert comes_in("POST", "/", page | SIGN_IN)
    assert not comes_in("POST", "/", page)
    assert not comes_in("POST", "/", page | {"X-Amz-Target": "DynamoDB_20120810.Scan"})
    assert not comes_in("POST", "/?Action=CreateRole", page | SIGN_IN)
    assert not comes_in("POST", "/", page | SIGN_IN | {"Authorization": "AWS4-HMAC-SHA256 …"})
    assert not comes_in("GET", "/_ministack/ses/messages", page)


def test_the_api_has_cors_rules_of_its_own() -> None:
    assert comes_in("OPTIONS", API + "/execute", browser("cross-site", Origin=EVIL))
    assert comes_in("GET", API + "/tokens", {"Origin": EVIL})


def test_an_old_browser_that_does_not_say_whence_may_only_look() -> None:
    old = {"User-Agent": "Mozilla/5.0"}
    assert comes_in("GET", PLAY, old)
    assert not comes_in("GET", "/?Action=CreateRole", old)
    assert not comes_in("HEAD", "/_ministack/health", old)
    assert not comes_in("POST", "/", old | {"Origin": EVIL})


def test_a_foreign_page_opens_no_web_socket() -> None:
    sent, came_in = ask("GET", "/_aws/execute-api/ws/$default", {"Origin": EVIL}, "websocket")
    assert not came_in
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_an_allowed_origin_can_read_a_401_as_on_aws() -> None:
    sent, _ = ask("GET", API + "/tokens", browser("same-site", Origin=ALLOWED))
    assert (sent[0]["status"], dict(sent[0]["headers"])) == (
        401,
        {b"access-control-allow-origin": ALLOWED.encode(), b"vary": b"Origin"},
    )
    for origin in (EVIL, f"http://localhost:{PORT}"):
        sent, _ = ask("GET", API + "/tokens", {"Origin": origin})
        assert sent[0]["headers"] == []


def test_the_gate_tells_which_run_it_belongs_to() -> None:
    sent, came_in = ask("GET", "/_heist/run", {})
    assert not came_in
    assert sent[0]["status"] == 200
    assert json.loads(sent[1]["body"]) == {"runId": "run-1"}


def test_the_gate_shows_what_ses_was_asked_to_send_but_not_to_other_pages() -> None:
    sent, _ = ask("GET", "/_heist/mails", {})
    assert json.loads(sent[1]["body"]) == MAILS
    sent, _ = ask("GET", "/_heist/mails", browser("cross-site", Origin=EVIL))
    assert sent[0]["status"] == 403


KEPT = {"sentAt": 1795348800.0, "request": {
    "FromEmailAddress": "heists@example.com",
    "Destination": {"ToAddresses": ["alice@example.com"]},
    "Content": {"Simple": {"Subject": {"Data": "Hi"},
                           "Body": {"Text": {"Data": "Hi"}, "Html": {"Data": "<p>Hi"}}}},
}}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("", 200), ("/0", 200)),
        *(("/1", 404), ("/-1", 404), ("/x", 404), ("/0/0", 404), ("es", 404), ("/%30", 404)),
    ],
)
def test_the_mailbox_shows_mails_that_may_run_nothing(
    monkeypatch: pytest.MonkeyPatch, path: str, status: int
) -> None:
    monkeypatch.setattr("tests.unit.test_gate.MAILS", [KEPT])
    sent, came_in = ask("GET", f"/_heist/mailbox{path}", {})
    assert (sent[0]["status"], came_in) == (status, False)
    if status == 200:
        headers = dict(sent[0]["headers"])
        policy = headers[b"content-security-policy"].decode()
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert policy.startswith("sandbox allow-popups") == (path == "/0")
    assert not comes_in("GET", f"/_heist/mailbox{path}", {"Sec-Fetch-Site": "cross-site"})
