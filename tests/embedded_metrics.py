"""CloudWatch's embedded metric format, read as CloudWatch reads it."""

import json
from collections import Counter
from io import StringIO
from typing import Any

from jsonschema import Draft202012Validator

from heist_core.telemetry import NAMESPACE


def _text(longest: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def _objects(**members: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": [*members], "properties": members}


SCHEMA = _objects(
    _aws=_objects(
        Timestamp={"type": "integer"},
        CloudWatchMetrics={
            "type": "array",
            "minItems": 1,
            "items": _objects(
                Namespace=_text(1024),
                Dimensions={
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "array", "maxItems": 30, "items": _text(250)},
                },
                Metrics={
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 100,
                    "items": _objects(Name=_text(1024), Unit={"const": "Count"}),
                },
            ),
        },
    )
)
"""The schema of AWS's "Embedded metric format specification", with the only unit that we use."""


def documents_of(log: StringIO) -> list[dict[str, Any]]:
    """Every metrics document of a log, each found to be what CloudWatch takes: by the schema, and
    by the specification's rules on what dimensions and metrics refer to."""
    written = [json.loads(line) for line in log.getvalue().splitlines()]
    documents = [line for line in written if "_aws" in line]
    for document in documents:
        Draft202012Validator(SCHEMA).validate(document)
        for directive in document["_aws"]["CloudWatchMetrics"]:
            for dimension in {name for each in directive["Dimensions"] for name in each}:
                assert 1 <= len(document[dimension]) <= 1024
            for metric in directive["Metrics"]:
                values = document[metric["Name"]]
                assert 1 <= len(values) <= 100
                assert all(type(value) is float for value in values)
    return documents


def counted(log: StringIO) -> Counter[str]:
    """What the metrics of a log add up to; with a dimension beside the service as `name:value`."""
    added: Counter[str] = Counter()
    for document in documents_of(log):
        for directive in document["_aws"]["CloudWatchMetrics"]:
            assert directive["Namespace"] == NAMESPACE
            (dimensions,) = directive["Dimensions"]
            values = [document[name] for name in dimensions if name != "service"]
            assert len(values) == len(dimensions) - 1
            for metric in directive["Metrics"]:
                key = ":".join([metric["Name"], *values])
                added[key] += int(sum(document[metric["Name"]]))
    return added
