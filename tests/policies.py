"""The functions' policies, evaluated as IAM does.

No emulator compares `dynamodb:LeadingKeys` or `events:source`, so the tests do: the guard stands
before every client of a called function and refuses what its role does not allow. It knows what the
template uses of IAM's language, and nothing else.
"""

import fnmatch
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from ops.template import load
from tests.exports import BUCKET
from tests.imports import IMPORT_BUCKET
from tests.template.processed import as_list, combinations, decided, expanded

TABLE, QUEUES = "${Table.Arn}", ("EventsDeadLetterQueue", "NotifierDeadLetterQueue")
SES = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}"
BUCKETS = {BUCKET: "AuditBucket", IMPORT_BUCKET: "ImportBucket"}
KEYS, SOURCE, SENDER = "dynamodb:LeadingKeys", "events:source", "ses:FromAddress"


class AccessDeniedError(BaseException):
    """Nothing in the product may catch it: on AWS it would be the end of the call."""


class Access(NamedTuple):
    """One thing that a request asks IAM for; `context` holds the values of condition keys."""

    action: str
    resource: str
    context: Mapping[str, Sequence[str]]


class Use(NamedTuple):
    """What of a role an access needed: an action on a resource, and the pattern that let it in."""

    role: str
    action: str
    resource: str
    pattern: str


class Statement(NamedTuple):
    """An allowing statement of a role, taken apart."""

    actions: Sequence[str]
    resources: Sequence[str]
    conditions: Sequence[tuple[str, str, Sequence[str]]]

    def uses(self, role: str, access: Access) -> Iterator[Use]:
        """What of this statement allows the access; nothing if it does not."""
        if access.action not in self.actions:
            return
        resource = next((one for one in self.resources if _like(access.resource, one)), None)
        if resource is None:
            return
        patterns = []
        for operator, key, allowed in self.conditions:
            matches = _OPERATORS[operator]
            for value in access.context.get(key, ()):
                matching = [pattern for pattern in allowed if matches(value, pattern)]
                if not matching:
                    return
                patterns += matching
        for pattern in patterns or [""]:
            yield Use(role, access.action, resource, pattern)

    def grants(self, role: str) -> Iterator[Use]:
        """Everything that the statement could allow."""
        patterns = [pattern for _, _, allowed in self.conditions for pattern in allowed] or [""]
        for action in self.actions:
            for resource in self.resources:
                for pattern in patterns:
                    yield Use(role, action, resource, pattern)


def _like(value: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(value, re.sub(r"\[", "[[]", pattern))


_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "ForAllValues:StringLike": _like,
    "StringLike": _like,
    "StringEquals": str.__eq__,
}


def role_of(folder: str) -> str:
    """ExecuteHeistRole for `execute_heist`."""
    return folder.title().replace("_", "") + "Role"


@functools.cache
def statements(role: str) -> tuple[Statement, ...]:
    """A role's statements on AWS, with everything that is optional."""
    deployed = _on_aws()
    found = []
    for one in deployed.statements(role):
        assert one["Effect"] == "Allow", "the guard knows no Deny yet"
        conditions = [
            (operator, key, as_list(values))
            for operator, keys in one.get("Condition", {}).items()
            for key, values in keys.items()
        ]
        found.append(Statement(as_list(one["Action"]), as_list(one["Resource"]), conditions))
    return tuple(found)


@functools.cache
def _on_aws() -> Any:
    template = expanded(load())
    chosen = next(
        each
        for each in combinations(template)
        if each["Stage"] != "local"
        and each["SenderEmail"]
        and each["Tracing"] == "on"
        and each["Pages"] == "both"
    )
    return decided(template, chosen)


class Guard:
    """Refuses what the role of the function that is being called does not allow."""

    def __init__(self) -> None:
        self._role: ContextVar[str | None] = ContextVar("role", default=None)
        self.used: set[Use] = set()

    def calling(self, folder: str) -> AbstractContextManager[None]:
        """Everything inside is done by a function."""
        return self._as(role_of(folder))

    def standing_aside(self) -> AbstractContextManager[None]:
        """What others do meanwhile: a test, an operator."""
        return self._as(None)

    @contextmanager
    def _as(self, role: str | None) -> Iterator[None]:
        before = self._role.set(role)
        try:
            yield
        finally:
            self._role.reset(before)

    def __call__(self, operation: str, request: Mapping[str, Any]) -> None:
        """Raises AccessDeniedError."""
        role = self._role.get()
        if role is None:
            return
        for access in accesses(operation, request):
            uses = [use for one in statements(role) for use in one.uses(role, access)]
            if not uses:
                raise AccessDeniedError(f"{role} may not: {access}")
            self.used.update(uses)


def accesses(operation: str, request: Mapping[str, Any]) -> Iterator[Access]:
    """What a call of a client asks IAM for."""
    match operation:
        case "get_item" | "update_item" | "delete_item":
            yield _on_item(operation, request["Key"])
        case "put_item":
            yield _on_item(operation, request["Item"])
        case "batch_get_item":
            (wanted,) = request["RequestItems"].values()
            for key in wanted["Keys"]:
                yield _on_item(operation, key)
        case "transact_write_items":
            for step in request["TransactItems"]:
                ((kind, part),) = step.items()
                name = {"ConditionCheck": "condition_check_item"}.get(kind, f"{kind}_item".lower())
                yield _on_item(name, part.get("Item") or part["Key"])
        case "query":
            yield _query(request)
        case "scan":
            yield Access("dynamodb:Scan", TABLE, {})
        case "put_events":
            for entry in request["Entries"]:
                yield Access("events:PutEvents", "${EventBus.Arn}", {SOURCE: [entry["Source"]]})
        case (
            "send_message"
            | "receive_message"
            | "get_queue_attributes"
            | "change_message_visibility_batch"
        ):
            name = next(each for each in QUEUES if each.lower()[:6] in request["QueueUrl"])
            action = operation.removesuffix("_batch").title().replace("_", "")
            yield Access(f"sqs:{action}", f"${{{name}.Arn}}", {})
        case "get_object" | "put_object":
            action = operation.title().replace("_", "")
            bucket = BUCKETS[request["Bucket"]]
            yield Access(f"s3:{action}", f"${{{bucket}.Arn}}/{request['Key']}", {})
        case "list_objects_v2":
            prefix = {"s3:prefix": [request["Prefix"]]}
            yield Access("s3:ListBucket", f"${{{BUCKETS[request['Bucket']]}.Arn}}", prefix)
        case "close":
            return
        case "get_secret_value":
            yield Access("secretsmanager:GetSecretValue", request["SecretId"], {})
        case "send_email":
            sender = {SENDER: [_on_aws().parameters["SenderEmail"]]}
            used = f"configuration-set/{request['ConfigurationSetName']}"
            for resource in ("identity/example.com", used):
                yield Access("ses:SendEmail", f"{SES}:{resource}", sender)
        case _:
            raise AccessDeniedError(f"tests/policies.py does not know {operation}")


def _on_item(operation: str, key: Mapping[str, Any]) -> Access:
    action = "dynamodb:" + operation.title().replace("_", "")
    return Access(action, TABLE, {KEYS: [key["pk"]["S"]]})


def _query(request: Mapping[str, Any]) -> Access:
    """The leading key is the partition key of the table or index that is read."""
    found = re.match(r"\s*\w+ = (:\w+)", request["KeyConditionExpression"])
    assert found, request["KeyConditionExpression"]
    leading = request["ExpressionAttributeValues"][found[1]]["S"]
    index = f"/index/{request['IndexName']}" if "IndexName" in request else ""
    return Access("dynamodb:Query", TABLE + index, {KEYS: [leading]})
