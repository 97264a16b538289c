"""Holds every request that a test sends against AWS's whole models and its list of reserved words.

Production has validation off and a layer with only the operations that are called.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import botocore.session
from botocore.client import BaseClient
from botocore.model import OperationModel
from botocore.validate import ParamValidator
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

_CLAUSES = frozenset({"SET", "ADD", "REMOVE", "DELETE", "AND", "OR", "NOT", "BETWEEN", "IN"})
_NAME = re.compile(r"(?<![:#\w])[A-Za-z_]\w*\b(?!\s*\()")
"""Of an attribute that stands bare in an expression; a function has a parenthesis behind it."""


@functools.cache
def _operation(service: str, operation: str) -> OperationModel:
    return botocore.session.Session().get_service_model(service).operation_model(operation)


def check_request(service: str, operation: str, request: Mapping[str, Any]) -> None:
    """Fails on a request that AWS would not take."""
    shape = _operation(service, operation).input_shape
    if shape is not None:
        report = ParamValidator().validate(dict(request), shape)
        assert not report.has_errors(), f"{service} {operation}: {report.generate_report()}"
    for expression in _expressions(request):
        reserved = _reserved_in(expression)
        assert not reserved, f"{reserved} are reserved words, bare in: {expression}"


@functools.cache
def _reserved_in(expression: str) -> list[str]:
    names = {name.upper() for name in _NAME.findall(expression)} - _CLAUSES
    return sorted(names.intersection(ReservedKeywords.get_reserved_keywords()))


def _expressions(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name.endswith("Expression") and isinstance(value, str):
                yield value
            else:
                yield from _expressions(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _expressions(value)


@contextmanager
def every_request_checked() -> Iterator[None]:
    """Of all clients of this process."""
    convert = BaseClient._convert_to_request_dict  # type: ignore[attr-defined]

    def checked(
        client: BaseClient,
        api_params: Mapping[str, Any],
        operation_model: OperationModel,
        **more: Any,
    ) -> Any:
        check_request(client.meta.service_model.service_name, operation_model.name, api_params)
        return convert(client, api_params, operation_model, **more)

    with patch.object(BaseClient, "_convert_to_request_dict", checked):
        yield
