"""The embedded AWS as web pages meet it, in a real browser: other origins get and start nothing."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from local.stack import PASSWORD, Stack
from tests.browser.conftest import OURS
from tests.e2e.world import World, unique

FOREIGN = ("evil.example", "localhost")  # another site, and another port of this machine

ATTACK = """async ([endpoint, api, name]) => {
  const policy = encodeURIComponent(JSON.stringify({Version: '2012-10-17', Statement: []}))
  const create = `${endpoint}/?Action=CreateRole&Version=2010-05-08&RoleName=${name}` +
    `-HOW&AssumeRolePolicyDocument=${policy}`
  const got = []
  const load = (tag, how) => new Promise(done => {
    const element = document.createElement(tag)
    element.onload = element.onerror = done
    setTimeout(done, 2000)
    element.src = create.replace('HOW', how)
    document.body.append(element)
  })
  const send = async (how, address, options) => {
    try {
      const answer = await fetch(address.replace('HOW', how), options)
      got.push([how, answer.type, await answer.text()])
    } catch (error) { got.push([how, 'error', '']) }
  }
  const plain = {'Content-Type': 'text/plain'}
  const queue = {method: 'POST', headers: plain, body: `Action=CreateQueue&QueueName=${name}`}
  await load('img', 'img')
  await load('script', 'script')
  await load('iframe', 'iframe')
  await send('get', create, {})
  await send('blind-get', create, {mode: 'no-cors'})
  await send('post', create, {method: 'POST', headers: plain, body: 'x'})
  await send('blind-post', create, {method: 'POST', mode: 'no-cors', headers: plain, body: 'x'})
  await send('queue', endpoint + '/', {...queue, mode: 'no-cors'})
  await send('mails', endpoint + '/_ministack/ses/messages', {})
  await send('reset', endpoint + '/_ministack/reset', {method: 'POST', mode: 'no-cors'})
  await send('tokens', api + '/tokens', {})
  const form = document.createElement('form')
  const frame = document.createElement('iframe')
  frame.name = 'hidden'
  form.target = 'hidden'
  form.method = 'POST'
  form.action = create.replace('HOW', 'form')
  document.body.append(frame, form)
  await new Promise(done => { frame.onload = done; setTimeout(done, 2000); form.submit() })
  return got
}"""

CALL = """async ([address, options]) => {
  const answer = await fetch(address, options)
  return [answer.status, await answer.text()]
}"""


@pytest.mark.parametrize("host", FOREIGN)
def test_a_page_of_another_origin_gets_nothing_and_starts_nothing(
    page: Page, elsewhere: int, world: World, stack: Stack, host: str
) -> None:
    iam, sqs = world.client("iam"), world.client("sqs")
    name = unique("owned")
    port = urlsplit(world.outputs["Endpoint"]).port
    page.goto(f"http://{host}:{elsewhere}/")

    for address in ("127.0.0.1", "localhost"):
        endpoint = f"http://{address}:{port}"
        api = world.outputs["ApiUrl"].replace(world.outputs["Endpoint"], endpoint) + "/api/heist"
        got = page.evaluate(ATTACK, [endpoint, api, name])
        assert [each for each in got if each[2]] == []

    assert name not in json.dumps(iam.list_roles()["Roles"], default=str)
    assert not sqs.list_queues(QueueNamePrefix=name).get("QueueUrls")
    assert stack.item("nothing", "nothing") is None  # the table is there: nothing was reset


def test_a_page_whose_name_was_moved_to_this_machine_gets_nothing(page: Page, world: World) -> None:
    port = urlsplit(world.outputs["Endpoint"]).port
    page.goto(f"http://rebound.example:{port}/_ministack/health")
    assert "Not let in" in page.content()
    status, _ = page.evaluate(CALL, ["/_ministack/ses/messages", {}])
    assert status == 403


def test_a_link_on_a_foreign_page_leads_to_no_call_of_aws(
    page: Page, elsewhere: int, world: World
) -> None:
    name = unique("linked")
    page.goto(f"http://evil.example:{elsewhere}/")
    target = f"{world.outputs['Endpoint']}/?Action=CreateQueue&QueueName={name}"
    page.evaluate("address => { location.href = address }", target)
    page.wait_for_url("**Action=CreateQueue**")
    assert "Not let in" in page.content()
    assert not world.client("sqs").list_queues(QueueNamePrefix=name).get("QueueUrls")


def test_a_page_of_an_allowed_origin_signs_in_and_plays(
    page: Page, world: World, stack: Stack
) -> None:
    user = unique("web")
    stack.sign_up(user)
    page.goto(f"{OURS}/")

    def call(address: str, **options: Any) -> tuple[int, str]:
        status, text = page.evaluate(CALL, [address, options])
        return status, text

    request = {
        "AuthFlow": "USER_PASSWORD_AUTH",
        "ClientId": world.outputs["UserPoolClientId"],
        "AuthParameters": {"USERNAME": user, "PASSWORD": PASSWORD},
    }
    status, text = call(
        world.outputs["Endpoint"] + "/",
        method="POST",
        headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth",
        },
        body=json.dumps(request),
    )
    assert status == 200, text
    token = json.loads(text)["AuthenticationResult"]["AccessToken"]

    tokens = world.outputs["ApiUrl"] + "/api/heist/tokens"
    assert call(tokens, headers={"Authorization": f"Bearer {token}"})[0] == 200
    # readable, as on AWS: a client must tell "sign in again" from "no network"
    assert call(tokens, headers={"Authorization": f"Bearer {token}x"})[0] == 401


def test_the_emulator_listens_on_loopback_addresses_only(world: World) -> None:
    port = urlsplit(world.outputs["Endpoint"]).port
    own = {
        str(found[4][0])
        for found in socket.getaddrinfo(socket.gethostname(), port, proto=socket.IPPROTO_TCP)
    }
    for address in own - {"127.0.0.1", "127.0.1.1", "::1"}:
        with pytest.raises(OSError, match=r"refused|unreachable|timed out"):
            socket.create_connection((address, port), timeout=2)


@pytest.mark.parametrize("path", ["/play", "/ops"])
def test_a_link_on_a_foreign_page_leads_to_a_page_of_ours(
    page: Page, elsewhere: int, world: World, path: str
) -> None:
    page.goto(f"http://evil.example:{elsewhere}/")
    page.evaluate("address => { location.href = address }", world.outputs["ApiUrl"] + path)
    page.wait_for_url(f"**{path}")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_foreign_page_neither_frames_nor_posts_to_nor_reads_a_page_of_ours(
    page: Page, elsewhere: int, world: World
) -> None:
    page.goto(f"http://evil.example:{elsewhere}/")
    play = world.outputs["ApiUrl"] + "/play"
    statuses = []
    page.on("response", lambda response: statuses.append((response.url, response.status)))
    read = page.evaluate(
        """async address => {
          const frame = document.createElement('iframe')
          const loaded = new Promise(done => { frame.onload = done; setTimeout(done, 3000) })
          frame.src = address
          document.body.append(frame)
          await loaded
          return fetch(address).then(answer => answer.text(), () => 'nothing')
        }""",
        play,
    )
    assert read == "nothing"
    assert set(statuses) == {(play, 403)}
    page.evaluate(
        """address => {
          const form = document.createElement('form')
          form.method = 'POST'
          form.action = address
          document.body.append(form)
          form.submit()
        }""",
        play,
    )
    page.wait_for_url(play)
    assert "Not let in" in page.content()
