"""Canned answers of AWS for a heist between two players."""

import base64
import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from heist_core.domain.board import curve_of
from heist_core.storage import keys

ATTACKER = "1c7f6c0e-6a53-4b0c-9f57-6a2b8a7f4c22"
VICTIM = "9f0c2a4e-8f5b-4f8e-9d6a-0c6d4f1f7b11"
_FEATURE_FLAGS = {
    "features": {
        "premium_features": {"default": False},
        "ten_percent_off_campaign": {"default": True},
    },
    "countries": ["ISRAEL", "USA"],
}
_SEEN = "2026-11-01T08:00:00.000Z"


def state(player_id: str) -> dict[str, Any]:
    """A player with points of this season, tokens, a name and an address."""
    season = datetime.now(UTC).strftime("%Y-%m")
    return {
        "pk": {"S": f"PLAYER#{player_id}"},
        "sk": {"S": "STATE"},
        "version": {"N": "17"},
        "tokens": {"N": "3"},
        "tokensEarned": {"N": "5"},
        "tokensSpent": {"N": "2"},
        "lastEarnedAt": {"S": _SEEN},
        "lastSpentAt": {"S": _SEEN},
        f"points#{season}": {"N": "800"},
        "name": {"S": "Alice Adams"},
        "nameAt": {"S": _SEEN},
        "email": {"S": f"{player_id[:8]}@example.com"},
        "emailAt": {"S": _SEEN},
    }


def _batch(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The players among the keys, and the leaderboard's curve; nothing else is there."""
    found: dict[str, list[Any]] = {}
    for table, wanted in request["RequestItems"].items():
        names = [(_text(key["pk"]).partition("#"), _text(key["sk"])) for key in wanted["Keys"]]
        found[table] = [
            state(name) if kind == "PLAYER" else _curve(name)
            for (kind, _, name), sort in names
            if kind == "PLAYER" or sort == "CURVE"
        ]
    return {"Responses": found, "UnprocessedKeys": {}}


def _curve(season: str) -> dict[str, Any]:
    """Of ten thousand players with up to 2,000 points."""
    curve = curve_of(dict.fromkeys(range(1, 2001), 5))
    packed = zlib.compress(json.dumps([curve.points, curve.above]).encode())
    return {
        **{name: {"S": value} for name, value in keys.board_curve(season).items()},
        "asOf": {"S": _SEEN},
        "curve": {"B": base64.b64encode(packed).decode()},
        "players": {"N": str(curve.players)},
        "exactFrom": {"N": str(curve.exact_from)},
    }


def _found(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """A heist in every ledger, and others on every board; nothing else is there."""
    values = request.get("ExpressionAttributeValues", {})
    items: list[Any] = []
    if _text(values.get(":pk", {"S": ""})).startswith("LEDGER#"):
        entry = {"heistId": {"S": "0a1b"}, "otherId": {"S": VICTIM}}
        items.append({"sk": {"S": f"{_text(values[':first'])}{_SEEN}#0a1b"}, **entry})
    if ":shard" in values:
        place, many = f"{request['IndexName']}Place", range(request.get("Limit", 25))
        items += [
            {"pk": {"S": f"PLAYER#{each}"}, place: {"S": keys.board_place(str(each), 800)}}
            for each in many
        ]
    return {"Items": items, "Count": len(items), "ScannedCount": len(items)}


def _text(value: Any) -> str:
    return str(value["S"])


def _update(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """A marker from which one of two owed entries was removed still holds the other."""
    if request.get("ReturnValues") == "ALL_NEW":
        return {"Attributes": {"owed": {"SS": ["event"]}}}
    return {}


def answer(operation: str, request: dict[str, Any]) -> Mapping[str, Any]:
    """What AWS would say, as far as the calls measured here need it."""
    match operation:
        case "BatchGetItem":
            return _batch(request)
        case "GetItem":
            kind, _, name = _text(request["Key"]["pk"]).partition("#")
            if _text(request["Key"]["sk"]).startswith("NOTICE#"):
                return {"Item": {**request["Key"], "mailState": {"S": "SENT"}}}
            return {} if kind == "BOARD" else {"Item": state(name)}
        case "Query" | "Scan":
            return _found(request)
        case "GetSecretValue":
            return {"SecretString": json.dumps({"key": "k" * 64, "old": []})}
        case "UpdateItem":
            return _update(request)
        case "TransactWriteItems" | "PutItem":
            return {}
        case "SendMessage":
            return {"MessageId": "1", "MD5OfMessageBody": ""}
        case "PutEvents":
            return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}
        case "/v2/email/outbound-emails":
            return {"MessageId": "1"}
        case "/configurationsessions":
            return {"InitialConfigurationToken": "first"}
        case path if path.startswith("/configuration?"):
            return _FEATURE_FLAGS
    raise ValueError(f"no canned answer for {operation}")
