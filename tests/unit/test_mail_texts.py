"""What a mail says, and what is known of it once it was handed to SES."""

import itertools
import json
import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

import boto3
import pytest
from botocore import exceptions
from botocore.config import Config
from botocore.stub import ANY, Stubber
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_sesv2 import SESV2Client

from heist_core.domain.errors import MailDeferred, MailDoubtful, MailError, MailRefused
from heist_core.domain.facts import Event
from heist_core.domain.mail_feedback import mail_name, name_in, tags_of
from heist_core.domain.names import clean_name
from heist_core.domain.notices import notices_of
from heist_core.mail.links import UnsubscribeLinks
from heist_core.mail.mailer import LONGEST_KEPT_SECONDS, Mailer
from heist_core.mail.render import Mail, mail_of, shown
from heist_core.texts import texts_for
from tests.builders import award, heist, reversal
from tests.fakes import FakeClock, FakeSecrets, FakeSes, Tap, Tapped, client_error, fake_links
from tests.texts import LINK

ZERO_WIDTH = "\u200b"
ENGLISH = texts_for("en")


def mails(event: Event) -> tuple[Mail, Mail]:
    """The attacker's and the victim's."""
    attackers, victims = notices_of(event)
    return mail_of(event, attackers, ENGLISH, LINK), mail_of(event, victims, ENGLISH, LINK)


def every_mail_between_players_named(name: str) -> list[Mail]:
    return [
        *mails(heist(attacker_name=name, victim_name=name)),
        *mails(reversal(attacker_name=name, victim_name=name)),
        tokens(name),
    ]


def tokens(name: str | None) -> Mail:
    event = award(name=name)
    return mail_of(event, notices_of(event)[0], ENGLISH, LINK)


class _Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += "\n" if tag == "br" else ""
        self.attributes += [f"{name}={value}" for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


PLAIN = [_Page(mail.html) for mail in every_mail_between_players_named("Alice")]


ID = f"Heist {heist().attempt.id}"
READ = {
    "success": (
        mails(heist())[0],
        "Your heist paid off: +40 points",
        [
            *("Hi “Alice”,", "You pulled a heist on “Bob” and stole 40 points.", "1040 points"),
            ID,
        ],
    ),
    "robbed": (
        mails(heist())[1],
        "You were robbed: -40 points",
        [
            *("Hi “Bob”,", "“Alice” pulled a heist on you and stole 40 of your monthly points."),
            *("760 points", ID),
        ],
    ),
    "reversed, attacker": (
        mails(reversal())[0],
        "Your heist was reversed: -40 points",
        [
            *("Hi “Alice”,", "Your heist on “Bob” was reversed, and 40 points went back."),
            *("You have left", "1000 points", "The Heist Token stays spent.", ID),
        ],
    ),
    "reversed, victim": (
        mails(reversal())[1],
        "A heist on you was reversed: +40 points",
        [
            *("Hi “Bob”,", "The heist that “Alice” pulled on you was reversed, and you got"),
            *("got 40 points back.", "Your new total", "800 points"),
            *("You have back all that was stolen.", ID),
        ],
    ),
    "token": (
        tokens("Carol"),
        "You earned a Heist Token",
        ["“Carol” joined using your referral code."],
    ),
}


@pytest.mark.parametrize(("mail", "subject", "read"), READ.values(), ids=READ.keys())
def test_a_player_reads_what_happened_with_whom_and_what_is_left(
    mail: Mail, subject: str, read: list[str]
) -> None:
    assert mail.subject == subject
    if ID in read:
        read = [*read, "2026-11-22 12:00 UTC", "2026-11"]
    for text in (mail.text, _Page(mail.html).text):
        assert [phrase for phrase in read if phrase not in text] == []


def test_the_mails_of_a_reversal_mention_a_refund_and_a_shortfall() -> None:
    attackers, victims = mails(
        reversal(returned=1, refunded=True, attacker_name=None, victim_name=None)
    )
    assert attackers.subject == "Your heist was reversed: -1 point"
    assert "You have your Heist Token back." in attackers.text
    assert "Your heist on another player was reversed, and 1 point went back." in attackers.text
    assert victims.subject == "A heist on you was reversed: +1 point"
    assert "39 points more could not be returned." in victims.text
    assert "The heist that someone pulled on you" in victims.text
    assert "None" not in attackers.text + attackers.html + victims.text + victims.html


def test_players_without_a_name_have_fallbacks() -> None:
    attackers, victims = mails(heist(attacker_name=None, victim_name=None))
    assert "Hi Player," in attackers.text
    assert "You pulled a heist on another player and" in attackers.text
    assert "Hi Player," in victims.text
    assert "Someone pulled a heist on you" in victims.text
    assert "None" not in attackers.text + attackers.html + victims.text + victims.html
    assert "Someone joined using your referral code." in tokens(None).text


HOSTILE = [
    *("<img src=x onerror=alert(1)>", "</td></table><script>alert(1)</script>"),
    *('" onmouseover="alert(1)', "' style='display:none", "&lt;b&gt; &amp; &#60;"),
    *("$headline ${total} $$", "{0} %s %(x)s"),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_cannot_change_the_page(name: str) -> None:
    for mail, plain in zip(every_mail_between_players_named(name), PLAIN, strict=True):
        page = _Page(mail.html)
        assert page.tags == plain.tags
        assert page.attributes == plain.attributes
        assert name in page.text.replace(ZERO_WIDTH, "")
        assert name in mail.text.replace(ZERO_WIDTH, "")


@given(st.text(max_size=120))
def test_no_name_whatever_changes_the_page_or_reaches_the_subject(name: str) -> None:
    kept = clean_name(name)
    expected = [mail.subject for mail in mails(heist())]
    rendered = mails(heist(attacker_name=kept, victim_name=kept))
    assert [mail.subject for mail in rendered] == expected
    for mail, plain in zip(rendered, PLAIN, strict=False):
        assert _Page(mail.html).tags == plain.tags
        json.dumps(mail.html).encode()


LINKS = [
    *("https://evil.example/login", "http://127.0.0.1:8080/x", "www.evil.example"),
    *("evil.example", "mail@evil.example", "mailto:a@evil.example", "javascript:alert"),
    *("evil.example/path?x=1", "tel:+1-800-555-0199", "\\\\evil\\share", "evil.\u0301com"),
    *(".com", "evil.", "evil .com"),
    *(f"evil{dot}com" for dot in "。．｡․﹒۔ꓸ‧·…‥⒈"),
    *(f"https{colon}{slash}{slash}evil" for colon, slash in zip("：﹕∶꞉︓", "／⁄∕╱⧸", strict=True)),
    *("mail＠evil", "mail﹫evil", "a℀b", "a℅b", "evil＼share"),
]


@pytest.mark.parametrize("name", LINKS)
def test_a_name_does_not_become_a_link(name: str) -> None:
    joint = re.compile(r"[^\w\s\u200b“”\u0301?=+-](?!\u200b)|[۔℀℅⒈ꓸ꞉](?!\u200b)")
    for mail in every_mail_between_players_named(name):
        for text in (mail.text, _Page(mail.html).text):
            for quoted in re.findall("“(.*?)”", text, re.DOTALL):
                assert not joint.search(quoted)
                assert quoted.replace(ZERO_WIDTH, "") == name


DOTS = (  # what confusables.txt has for a full stop or a middle dot
    "\u0660\u06f0\u0701\u0702\u2024\ua4f8\ua60e\U00010a50\U0001d16d\u00b7\u0387\u1427\u16eb"
    "\u2022\u2027\u2219\u22c5\u2e31\u30fb\ua78f\uff65\U00010101"
)


def _joints() -> Iterator[str]:
    """All in Unicode that is an address's joint, or is written as one, or looks like a dot."""
    for character in map(chr, range(sys.maxunicode + 1)):
        compatible = unicodedata.normalize("NFKC", character)
        full_stop = "FULL STOP" in unicodedata.name(character, "")
        if full_stop or character in DOTS or not {*".:@/"}.isdisjoint(compatible):
            yield character


def test_every_joint_in_unicode_is_broken_whatever_stands_beside_it() -> None:
    joints = list(_joints())
    assert len(joints) > 80
    for joint, (before, after) in itertools.product(
        joints,
        [("a", "b"), (" ", " "), ("", ""), (".", "."), ("\u0301", "\u0301"), ("👩", "❤\ufe0f")],
    ):
        name = f"{before}{joint}{after}"
        assert f"{joint}{ZERO_WIDTH}" in str(shown(name))
        assert str(shown(name)).replace(ZERO_WIDTH, "") == f"“{name}”"


def test_no_letter_mark_number_or_picture_is_broken_but_those_that_look_like_a_joint() -> None:
    like_joints = {*DOTS, *".:@/⁄", *"ːꓽ꞉˸Ⳇ〳"}
    for character in map(chr, range(sys.maxunicode + 1)):
        plain = like_joints.isdisjoint(unicodedata.normalize("NFKC", character))
        if plain and unicodedata.category(character)[0] in "LMN":
            assert ZERO_WIDTH not in str(shown(character)), hex(ord(character))


@pytest.mark.parametrize(
    "name", ["evil\u00ad.com/login", "evil\ufe0f.com", "e\u2060vil.c\u200dom", "evil.\u00adcom"]
)
def test_what_nobody_sees_does_not_keep_a_joint_from_being_broken(name: str) -> None:
    kept = clean_name(name)
    assert kept is not None
    for mail in every_mail_between_players_named(kept):
        assert f"“evil.{ZERO_WIDTH}com" in mail.text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x" * 40, "“" + "x" * 40 + "”"),
        ("x" * 41, "“" + "x" * 39 + "…”"),
        (
            "Your account is locked. Call +1 800 555 0199 now",
            "“Your account is locked. Call +1 800 555…”",
        ),
        ("x" * 37 + "👩🏽‍🚀" + "x", "“" + "x" * 37 + "…”"),
        ("x" * 35 + "👩🏽‍🚀" + "x" * 9, "“" + "x" * 35 + "👩🏽‍🚀…”"),
        ("x" * 38 + "e\u0301e\u0301", "“" + "x" * 38 + "…”"),
        ("." * 50, "“" + "." * 39 + "…”"),
        ("Bob” was banned. “", '“Bob" was banned. "”'),
    ],
)
def test_a_name_is_quoted_and_short(name: str, shown: str) -> None:
    for mail in every_mail_between_players_named(name):
        for text in (mail.text, _Page(mail.html).text):
            assert shown in text.replace(ZERO_WIDTH, "")
            assert text.count("“") == text.count("”")


def test_a_mail_has_one_link_and_no_pictures() -> None:
    for mail in mails(heist()):
        page = _Page(mail.html)
        assert page.tags.count("a") == 1
        assert not {"img", "script", "link", "iframe", "form"} & set(page.tags)


# SES


def mailer_of(
    client: SESV2Client, links: UnsubscribeLinks | None = None, clock: FakeClock | None = None
) -> Mailer:
    time = clock or FakeClock()
    sender, links = "heists@example.com", links or fake_links()
    return Mailer(client, sender, links, "heist-core", time.monotonic)


def send_one(mailer: Mailer) -> None:
    mailer.send("alice@example.com", heist(), notices_of(heist())[0])


def sent(event: Event) -> FakeSes:
    ses = FakeSes()
    mailer = mailer_of(ses.client)
    for notice in notices_of(event):
        mailer.send(f"{notice.recipient_id}@example.com", event, notice)
    return ses


def test_a_mail_goes_to_its_player_with_text_html_and_a_way_to_unsubscribe() -> None:
    ses = sent(heist())
    assert [mail.to for mail in ses] == ["alice@example.com", "bob@example.com"]
    for mail in ses:
        assert mail.text
        assert mail.html.startswith("<!doctype html>")
        link = re.escape("https://api.example.com/api/heist/unsubscribe/") + "[A-Za-z0-9_-]+"
        both = mail.headers.pop("List-Unsubscribe")
        found = re.fullmatch(f"<({link})>, <mailto:heists@example.com\\?subject=unsubscribe>", both)
        assert found, both
        assert found[1] in mail.text
        assert f'href="{found[1]}"' in mail.html
        assert mail.headers == {"List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def test_each_mail_has_a_link_of_its_player_and_kind() -> None:
    links = fake_links()
    found = []
    for event in (heist(), reversal()):
        for mail in sent(event):
            token = re.findall(r"/unsubscribe/([^\s>]+)", mail.text)
            found.append(links.link_in(token[0]))
    assert found == [
        ("alice", "success"),
        ("bob", "robbed"),
        ("alice", "reversed"),
        ("bob", "reversed"),
    ]


def test_each_mail_names_itself_and_the_set_that_tells_of_it(client: SESV2Client) -> None:
    """In a request that SES knows: the stub has botocore's own model of it."""
    for event in (heist(), reversal(), award()):
        for notice, mail in zip(notices_of(event), sent(event), strict=True):
            named = name_in({name: [value] for name, value in mail.tags.items()})
            assert named == mail_name(event, notice.recipient_id)
    with Stubber(client) as stub:
        expected: dict[str, object] = {"FromEmailAddress": ANY, "Destination": ANY, "Content": ANY}
        tags = tags_of(mail_name(heist(), "alice"))
        expected["EmailTags"] = [{"Name": name, "Value": tags[name]} for name in tags]
        expected["ConfigurationSetName"] = "heist-core"
        stub.add_response("send_email", {"MessageId": "1"}, expected)
        send_one(mailer_of(client))


def test_without_the_key_a_mail_waits_and_ses_is_not_asked() -> None:
    for error in (client_error("AccessDeniedException"), exceptions.ReadTimeoutError(**URL)):
        ses, secrets = FakeSes(), FakeSecrets()
        secrets.fails(error)
        with pytest.raises(MailDeferred) as caught:
            send_one(mailer_of(ses.client, fake_links(secrets)))
        assert caught.value.code == "UnsubscribeKey"
        assert len(ses) == 0


def test_no_name_is_in_a_header_or_subject() -> None:
    for mail in sent(heist(attacker_name="Canary\r\nBcc: x@example.com", victim_name="Canary")):
        assert "Canary" not in mail.subject + json.dumps(mail.headers)
        assert "\n" not in mail.subject + "".join(mail.headers.values())


def test_without_a_sender_no_mail_is_to_be_sent() -> None:
    assert not Mailer(FakeSes().client, "", fake_links(), "heist-core").enabled
    assert mailer_of(FakeSes().client).enabled


@pytest.fixture(scope="module")
def client() -> Iterator[SESV2Client]:
    client = boto3.client("sesv2", config=Config(retries={"total_max_attempts": 1}))
    yield client
    client.close()


DEFERRED = [
    *("TooManyRequestsException", "ThrottlingException", "Throttling"),
    *("LimitExceededException", "SendingPausedException", "AccountSuspendedException"),
    *("MailFromDomainNotVerifiedException", "NotFoundException", "AccessDeniedException"),
    *("ExpiredTokenException", "UnrecognizedClientException"),
]
REFUSED = ["MessageRejected", "BadRequestException", "ValidationException", "InvalidParameterValue"]


@pytest.mark.parametrize(
    ("code", "status", "verdict"),
    [
        *((code, 400, MailDeferred) for code in DEFERRED),
        ("TooManyRequestsException", 429, MailDeferred),
        *((code, 400, MailRefused) for code in REFUSED),
        ("AccessDeniedException", 403, MailDeferred),
        ("InternalServiceErrorException", 500, MailDoubtful),
        ("ServiceUnavailable", 503, MailDoubtful),
        ("ThrottlingException", 503, MailDoubtful),
    ],
)
def test_an_answer_of_ses_decides_what_became_of_the_mail(
    client: SESV2Client, code: str, status: int, verdict: type[MailError]
) -> None:
    with Stubber(client) as stub:
        stub.add_client_error("send_email", code, http_status_code=status)
        with pytest.raises(verdict) as caught:
            send_one(mailer_of(client))
    assert type(caught.value) is verdict
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "MessageRejected",
            "Email address is not verified. The following identities failed the check",
        ),
        ("BadRequestException", "Configuration set <heist-core> does not exist."),
        ("BadRequestException", "No configuration set of that name"),
    ],
)
def test_a_sandbox_a_sender_and_a_set_that_is_missing_are_no_fault_of_the_mail(
    client: SESV2Client, code: str, message: str
) -> None:
    """SES calls them by the code that it has for a mail with unacceptable content."""
    with Stubber(client) as stub:
        stub.add_client_error("send_email", code, message)
        with pytest.raises(MailDeferred):
            send_one(mailer_of(client))


def test_no_connection_of_a_burst_is_kept_alive_by_the_few_mails_after_it() -> None:
    """They take the one that was used last; the others may be dead when the next burst comes."""
    ses, clock = FakeSes(), FakeClock()
    mailer = mailer_of(ses.client, clock=clock)
    for closed in (0, 0, 1, 1, 2):
        send_one(mailer)
        assert ses.closed == closed
        clock.pass_(seconds=LONGEST_KEPT_SECONDS * 2 / 3)


def test_no_connection_is_closed_under_a_mail_that_is_under_way() -> None:
    """It would be of doubtful fate."""
    ses, clock = FakeSes(), FakeClock()

    def meanwhile(operation: str, _: object) -> None:
        tap.close()
        clock.pass_(seconds=LONGEST_KEPT_SECONDS + 1)
        send_one(mailer)
        assert ses.closed == 0

    tap = Tap(before=meanwhile)
    mailer = mailer_of(Tapped(ses, tap).as_ses, clock=clock)
    send_one(mailer)
    send_one(mailer)
    assert (len(ses), ses.closed) == (3, 1)


def test_a_mail_that_failed_is_not_under_way() -> None:
    ses, clock = FakeSes(), FakeClock()
    mailer = mailer_of(ses.client, clock=clock)
    ses.fails(client_error("MessageRejected"), exceptions.ReadTimeoutError(**URL))
    for verdict in (MailRefused, MailDoubtful):
        with pytest.raises(verdict):
            send_one(mailer)
    clock.pass_(seconds=LONGEST_KEPT_SECONDS + 1)
    send_one(mailer)
    assert ses.closed == 1


URL: Mapping[str, Any] = {"endpoint_url": "https://email.example"}


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (exceptions.ConnectTimeoutError(**URL), MailDeferred),
        (exceptions.EndpointConnectionError(**URL), MailDeferred),
        (exceptions.ReadTimeoutError(**URL), MailDoubtful),
        (exceptions.ConnectionClosedError(**URL), MailDoubtful),
        (exceptions.HTTPClientError(error=OSError("reset")), MailDoubtful),
        (exceptions.ProxyConnectionError(proxy_url="https://proxy.example"), MailDoubtful),
        (exceptions.ResponseStreamingError(error=OSError("cut")), MailDoubtful),
    ],
)
def test_no_answer_is_doubtful_unless_nothing_was_connected(
    error: Exception, verdict: type[MailError]
) -> None:
    ses = FakeSes()
    ses.fails(error)
    with pytest.raises(verdict) as caught:
        send_one(mailer_of(ses.client))
    assert type(caught.value) is verdict


def test_a_verdict_carries_the_code_and_not_the_message() -> None:
    ses = FakeSes()
    ses.fails(client_error("MessageRejected"))
    with pytest.raises(MailRefused) as caught:
        send_one(mailer_of(ses.client))
    assert str(caught.value) == "MessageRejected"
