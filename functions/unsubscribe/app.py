"""GET and POST /api/heist/unsubscribe/{token}, without sign-in"""

from heist_core import telemetry, wiring
from heist_core.http.page import Page, PageRequest, page_handler
from heist_core.texts import Texts, texts_for
from heist_core.use_cases.unsubscribe import Subscription


@page_handler("unsubscribe")
def handler(request: PageRequest) -> Page:
    unsubscribe, token = wiring.unsubscribe(), request.path.get("token", "")
    if request.method == "GET":
        subscription = unsubscribe.show(token)
        return question(subscription, texts_for(subscription.locale))
    every_kind = request.query.get("all") == "1"
    subscription = unsubscribe(token, every_kind=every_kind)
    telemetry.count("Unsubscribed")
    kind = "all" if every_kind else subscription.kind
    return done(subscription, kind, texts_for(subscription.locale))


def question(subscription: Subscription, texts: Texts) -> Page:
    return Page(
        texts.text("unsubscribe.title"),
        texts.text(f"unsubscribe.{subscription.kind}.gets", address=subscription.address),
        {texts.text("unsubscribe.stop"): "", texts.text("unsubscribe.stop_all"): "all=1"},
        language=texts.language,
    )


def done(subscription: Subscription, kind: str, texts: Texts) -> Page:
    return Page(
        texts.text("unsubscribe.done"),
        texts.text(f"unsubscribe.{kind}.ended", address=subscription.address),
        language=texts.language,
    )
