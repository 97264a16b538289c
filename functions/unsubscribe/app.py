"""GET and POST /api/heist/unsubscribe/{token}, without a token of the player's"""

from heist_core import telemetry, wiring
from heist_core.http.page import Page, PageRequest, page_handler
from heist_core.use_cases.unsubscribe import Subscription

_KINDS = {
    "robbed": "mails when you are robbed",
    "success": "mails about your own heists",
    "reversed": "mails about heists that are reversed",
    "token": "mails about Heist Tokens",
    "digest": "the daily mail, and all that comes in it",
}


@page_handler("unsubscribe")
def handler(request: PageRequest) -> Page:
    unsubscribe, token = wiring.unsubscribe(), request.path.get("token", "")
    if request.method == "GET":
        return _question(unsubscribe.show(token))
    every_kind = request.query.get("all") == "1"
    subscription = unsubscribe(token, every_kind=every_kind)
    telemetry.count("Unsubscribed")
    what = "any mails" if every_kind else _KINDS[subscription.kind]
    return Page("Done", f"{_whom(subscription)} no longer gets {what}.")


def _question(subscription: Subscription) -> Page:
    return Page(
        "Stop mails?",
        f"{_whom(subscription)} gets {_KINDS[subscription.kind]}.",
        {"Stop these mails": "", "Stop all mails of the game": "all=1"},
    )


def _whom(subscription: Subscription) -> str:
    return subscription.address or "Your account, which has no address now,"
