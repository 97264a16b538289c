"""`aws SERVICE OPERATION --member value … --query … --output text`, for what the runbook says.

The words are those of AWS's own command line: services, operations and members of their models.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

import boto3
import jmespath  # type: ignore[import-untyped]
from botocore import xform_name
from botocore.model import StructureShape


def main(words: Sequence[str]) -> int:
    """Calls one operation and prints what `--query` finds; fails for a word AWS does not know."""
    service, name, *rest = words
    make: Any = boto3.client  # its stubs want the service as a literal
    client = make(service)
    if name == "wait":
        client.get_waiter(rest[0].replace("-", "_")).wait(**members(client, None, rest[1:])[0])
        return 0
    operations = {xform_name(each, "-"): each for each in client.meta.service_model.operation_names}
    shape = client.meta.service_model.operation_model(operations[name]).input_shape
    given, query = members(client, shape, rest)
    answer = getattr(client, name.replace("-", "_"))(**given)
    found = jmespath.search(query, answer) if query else answer
    text = "\t".join(map(str, found)) if isinstance(found, list) else json.dumps(found, default=str)
    sys.stdout.write(f"{text}\n")
    return 0


def members(
    client: Any, shape: StructureShape | None, words: Sequence[str]
) -> tuple[dict[str, Any], str]:
    """The members of the request, and the query."""
    options = dict(zip(words[::2], words[1::2], strict=True))
    assert all(option.startswith("--") for option in options), words
    assert options.pop("--output", "text") in ("text", "json")
    query = options.pop("--query", "")
    if shape is None:  # a waiter's, which is about a table
        return {"TableName": options["--table-name"]}, query
    known = {xform_name(each, "-"): (each, inner) for each, inner in shape.members.items()}
    given: dict[str, Any] = {}
    for option, value in options.items():
        member, inner = known[option.removeprefix("--")]
        given[member] = value if inner.type_name in ("string", "timestamp") else json.loads(value)
    return given, query


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
