"""docs/openapi.yaml is valid and describes exactly the routes that template.yaml deploys."""

from pathlib import Path
from typing import Any

import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from ops.template import load
from tests.template.processed import expanded

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())


def _template_routes() -> set[tuple[str, str]]:
    return {
        (event["Properties"]["Method"].upper(), event["Properties"]["Path"])
        for resource in expanded(load())["Resources"].values()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }


def _operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
    }


def test_the_document_is_valid_openapi_3_1() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_its_routes_are_those_of_the_template() -> None:
    assert set(_operations()) == _template_routes()


def test_every_route_needs_a_token_and_says_so() -> None:
    assert DOCUMENT["security"] == [{"bearerJwt": []}]
    for route, operation in _operations().items():
        assert "security" not in operation, route
        assert {"200", "401", "403", "500", "503"} <= set(operation["responses"]), route


def test_every_path_parameter_is_described() -> None:
    for (method, path), operation in _operations().items():
        in_path = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        described = {
            parameter["name"]
            for parameter in operation.get("parameters", [])
            if parameter.get("in") == "path"
        }
        assert in_path == described, (method, path)
