"""Gives the deployed HTTP API its routes, which the embedded AWS does not read from the template.

SAM writes routes, authorizer and CORS into the API's OpenAPI `Body`. MiniStack makes the API but
ignores the body, so this reads the body of the *processed* template and makes the same things with
the public apigatewayv2 API. Nothing here knows a route by name.
"""

import json
import re
from typing import TYPE_CHECKING, Any

import yaml

from local.console import ProblemError
from local.deployment import STACK, session
from local.emulator import ACCOUNT, REGION

if TYPE_CHECKING:
    from mypy_boto3_apigatewayv2 import ApiGatewayV2Client


class Template:
    """A deployed template that resolves the intrinsic functions which the API uses."""

    def __init__(self, endpoint: str) -> None:
        cloudformation = session().client("cloudformation", endpoint_url=endpoint)
        self.processed = self._load(
            cloudformation.get_template(StackName=STACK, TemplateStage="Processed")
        )
        self.original = self._load(
            cloudformation.get_template(StackName=STACK, TemplateStage="Original")
        )
        self._references = {
            "AWS::AccountId": ACCOUNT,
            "AWS::NoValue": None,
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::StackName": STACK,
            "AWS::URLSuffix": "amazonaws.com",
        }
        stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        for parameter in stack["Parameters"]:
            self._references[parameter["ParameterKey"]] = parameter["ParameterValue"]
        for resource in cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]:
            self._references[resource["LogicalResourceId"]] = resource["PhysicalResourceId"]

    @staticmethod
    def _load(answer: Any) -> dict[str, Any]:
        body = answer["TemplateBody"]
        loaded: dict[str, Any] = yaml.safe_load(body) if isinstance(body, str) else body
        return json.loads(json.dumps(loaded, default=str))  # type: ignore[no-any-return]

    def reference(self, name: str) -> Any:
        """What `Ref` gives, or the ARN of a function for `Name.Arn`."""
        logical, _, attribute = name.partition(".")
        if logical not in self._references or attribute not in ("", "Arn"):
            raise ProblemError(f"local/routes.py cannot resolve {name} in the template.")
        value = self._references[logical]
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{value}" if attribute else value

    def resolve(self, node: Any) -> Any:
        """A part of the template with its intrinsic functions replaced by their values."""
        if isinstance(node, list):
            resolved = [self.resolve(item) for item in node]
            return [item for item in resolved if item is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            if function == "Ref":
                return self.reference(argument)
            if function == "Condition":
                return self.resolve(self.processed["Conditions"][argument])
            if function.startswith("Fn::"):
                return self._call(function, argument)
        members = {name: self.resolve(value) for name, value in node.items()}
        return {name: value for name, value in members.items() if value is not None}

    def _call(self, function: str, argument: Any) -> Any:
        if function == "Fn::If":
            condition, yes, no = argument
            return self.resolve(yes if self.resolve({"Condition": condition}) else no)
        if function == "Fn::Sub":
            return re.sub(r"\$\{([\w:.]+)\}", lambda found: self.reference(found[1]), argument)
        values = self.resolve(argument)
        if function == "Fn::Equals":
            return values[0] == values[1]
        if function == "Fn::Not":
            return not values[0]
        if function == "Fn::Split":
            return values[1].split(values[0])
        raise ProblemError(f"local/routes.py does not know {function}, which the API now uses.")


def import_routes(endpoint: str) -> tuple[str, int, int]:
    """Makes routes, integrations, authorizers and CORS.

    The API's id, the number of routes, and of those among them that take no token.
    """
    template = Template(endpoint)
    apigateway = session().client("apigatewayv2", endpoint_url=endpoint)
    ((name, api),) = (
        (name, resource)
        for name, resource in template.processed["Resources"].items()
        if resource["Type"] == "AWS::ApiGatewayV2::Api"
    )
    api_id = str(template.reference(name))
    body = api["Properties"]["Body"]
    authorizers = {
        scheme: make_authorizer(apigateway, api_id, scheme, template.resolve(described))
        for scheme, described in body["components"]["securitySchemes"].items()
    }
    routes = open_ones = 0
    for path, methods in template.resolve(body["paths"]).items():
        for method, operation in methods.items():
            key = f"{method.upper()} {path}"
            open_ones += make_route(apigateway, api_id, key, operation, authorizers)
            routes += 1
    # From the original: the emulator's SAM transform puts parameters' defaults into CORS.
    cors = template.original["Resources"][name]["Properties"].get("CorsConfiguration")
    if allowed := template.resolve(cors):
        apigateway.update_api(ApiId=api_id, CorsConfiguration=allowed)
    return api_id, routes, open_ones


def make_authorizer(
    apigateway: "ApiGatewayV2Client", api_id: str, name: str, described: dict[str, Any]
) -> str:
    """Makes one JWT authorizer; its id."""
    authorizer = described["x-amazon-apigateway-authorizer"]
    jwt = authorizer["jwtConfiguration"]
    made = apigateway.create_authorizer(
        ApiId=api_id,
        Name=name,
        AuthorizerType="JWT",
        IdentitySource=[authorizer["identitySource"]],
        JwtConfiguration={"Issuer": jwt["issuer"], "Audience": jwt["audience"]},
    )
    return made["AuthorizerId"]


def make_route(
    apigateway: "ApiGatewayV2Client",
    api_id: str,
    key: str,
    operation: dict[str, Any],
    authorizers: dict[str, str],
) -> bool:
    """Makes one route with its Lambda integration and the authorizer that its security names.

    Whether it is open to all.
    """
    described = operation["x-amazon-apigateway-integration"]
    integration = apigateway.create_integration(
        ApiId=api_id,
        IntegrationType="AWS_PROXY",
        IntegrationUri=described["uri"],
        IntegrationMethod=described["httpMethod"],
        PayloadFormatVersion=described["payloadFormatVersion"],
    )
    target = f"integrations/{integration['IntegrationId']}"
    schemes = [scheme for entry in operation.get("security", []) for scheme in entry]
    if schemes == ["NONE"]:  # so SAM names an open route
        apigateway.create_route(ApiId=api_id, RouteKey=key, Target=target)
        return True
    apigateway.create_route(
        ApiId=api_id,
        RouteKey=key,
        Target=target,
        AuthorizationType="JWT",
        AuthorizerId=authorizers[schemes[0]],
    )
    return False
