"""CloudFormation custom resource: the point event types of heists"""

import json
import urllib.request
from collections.abc import Mapping

from heist_core import telemetry, wiring
from heist_core.domain.errors import Unavailable
from heist_core.http.api import LambdaContext
from heist_core.variables import in_sam_local

POINT_TYPES = {
    "HEIST_GAIN": "Points gained from successfully robbing another player",
    "HEIST_LOSS": "Points lost from being robbed by another player",
    "HEIST_REVERSAL": "Points given back because a heist was reversed",
}
_SECONDS_TO_ANSWER = 5
_TRIES = 4
_SECONDS_BETWEEN_TRIES = 5


def handler(event: Mapping[str, object], context: LambdaContext) -> None:
    """Creates or describes the types; one that is switched off stays off. Deletes nothing."""
    status, reason = "SUCCESS", "done"
    with telemetry.invocation("resource", "seed_point_types") as fields:
        try:
            if event.get("RequestType") != "Delete":
                _seed()
        except Exception as error:  # noqa: BLE001 - CloudFormation must get an answer
            telemetry.logger().exception("seeding failed")
            status, reason = "FAILED", f"seeding failed: {type(error).__name__}; see the log"
        fields["status"] = status
        if not in_sam_local():  # no CloudFormation waits there
            _answer(event, status, reason)


def _seed() -> None:
    """A new role may be refused for a few seconds, so the first refusals are not final."""
    for tries_left in reversed(range(_TRIES)):
        try:
            for name, description in POINT_TYPES.items():
                wiring.store().seed_point_type(name, description)
        except Unavailable:
            if not tries_left:
                raise
            wiring.clock().sleep(_SECONDS_BETWEEN_TRIES)
        else:
            return


def _answer(event: Mapping[str, object], status: str, reason: str) -> None:
    body = {
        "Status": status,
        "Reason": reason,
        "PhysicalResourceId": "heist-point-types",
        "StackId": event.get("StackId"),
        "RequestId": event.get("RequestId"),
        "LogicalResourceId": event.get("LogicalResourceId"),
    }
    url = str(event["ResponseURL"])
    if not url.startswith(("https://", "http://")):
        raise ValueError("ResponseURL must be a web address")
    request = urllib.request.Request(  # noqa: S310 - checked above
        url, data=json.dumps(body).encode(), method="PUT", headers={"content-type": ""}
    )
    urllib.request.urlopen(request, timeout=_SECONDS_TO_ANSWER).close()  # noqa: S310
