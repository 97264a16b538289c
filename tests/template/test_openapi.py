"""docs/openapi.yaml is valid and describes exactly the routes that template.yaml deploys."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from ops.template import load
from tests.template.processed import expanded
from tests.template.test_template import OPEN_ROUTES

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())


def _template_routes() -> set[tuple[str, str]]:
    return {
        (event["Properties"]["Method"].upper(), event["Properties"]["Path"])
        for resource in expanded(load())["Resources"].values()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "HttpApi" and event["Properties"]["Path"].startswith("/api/")
    }


def _operations() -> dict[tuple[str, str], dict[str, Any]]:
    """By method and path; with the parameters that stand beside the methods of a path."""
    return {
        (method.upper(), path): {
            **operation,
            "parameters": [*operations.get("parameters", []), *operation.get("parameters", [])],
        }
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
        if method != "parameters"
    }


def test_the_document_is_valid_openapi_3_1() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_its_routes_are_those_of_the_template() -> None:
    assert set(_operations()) == _template_routes()


def test_every_route_but_the_open_ones_needs_a_token_and_says_so() -> None:
    assert DOCUMENT["security"] == [{"bearerJwt": []}]
    for route, operation in _operations().items():
        if route in OPEN_ROUTES:
            assert operation["security"] == [], route
            assert {"200", "404", "429", "500", "503"} == set(operation["responses"]), route
        else:
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


def _examples(node: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Every example, with where its schema is."""
    if isinstance(node, list):
        for number, inner in enumerate(node):
            yield from _examples(inner, f"{pointer}/{number}")
    elif isinstance(node, dict):
        if "schema" in node:
            shown = [example["value"] for example in node.get("examples", {}).values()]
            shown += [node["example"]] if "example" in node else []
            yield from ((f"{pointer}/schema", example) for example in shown)
        for name, inner in node.items():
            step = name.replace("~", "~0").replace("/", "~1")
            yield from _examples(inner, f"{pointer}/{step}")


EXAMPLES = list(_examples(DOCUMENT))


def test_every_example_is_what_its_schema_allows() -> None:
    registry: Registry[Any] = Registry().with_resource(
        "urn:api", DRAFT202012.create_resource(DOCUMENT)
    )
    assert EXAMPLES
    for pointer, example in EXAMPLES:
        schema = {"$ref": f"urn:api#{quote(pointer)}"}
        wrong = [*Draft202012Validator(schema, registry=registry).iter_errors(example)]
        assert wrong == [], (pointer, example)


def test_every_code_of_a_refusal_has_an_example() -> None:
    shown = {example.get("code") for _, example in EXAMPLES if isinstance(example, dict)}
    assert set(DOCUMENT["components"]["schemas"]["RefusalCode"]["enum"]) <= shown
