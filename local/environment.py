"""`make env`: what lets AWS's tools, and SAM's containers, work on the running stack."""

import json
import os
import platform
from collections.abc import Collection
from dataclasses import asdict
from urllib.parse import urlsplit

from local.console import say, show
from local.deployment import STACK, credentials
from local.run import variable
from local.stack import SAM_LOCAL, Stack

CONTAINERS_NAME = "host.docker.internal"
"""What containers call this machine; samconfig.toml gives it to them on Linux."""


def show_environment(stack: Stack, forgotten: Collection[str]) -> None:
    """Prints lines for `eval`, and writes the file for `sam local --env-vars`.

    `forgotten` are variables of the caller that would lead AWS's tools elsewhere.
    """
    SAM_LOCAL.write_text(json.dumps(variables_in_containers(stack), indent=2) + "\n", "utf-8")
    outputs = {
        variable(name): value
        for name, value in asdict(stack.outputs).items()
        if isinstance(value, str)
    }
    exports = {
        **outputs,
        **credentials(stack.outputs.Endpoint),
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": os.environ["NO_PROXY"],
        "no_proxy": os.environ["no_proxy"],
        "API": f"{stack.outputs.ApiUrl}/api/heist",
        "TABLE": stack.outputs.TableName,
        "LAMBDA_ARCH": "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64",
        "SAM_CLI_TELEMETRY": "0",
    }
    for name in sorted(set(forgotten) - exports.keys()):
        show(f"unset {name}")
    for name, value in exports.items():
        quoted = value.replace("'", "'\\''")
        show(f"export {name}='{quoted}'")
    say('AWS CLI v2 follows these; v1 needs --endpoint-url "$AWS_ENDPOINT_URL" with each command.')


def variables_in_containers(stack: Stack) -> dict[str, dict[str, str]]:
    """Each function's variables as deployed, by its name in the template, with addresses of this
    machine as containers see them."""
    port = urlsplit(stack.outputs.Endpoint).port
    found = {}
    for resource in stack.cloudformation.describe_stack_resources(StackName=STACK)[
        "StackResources"
    ]:
        if resource["ResourceType"] == "AWS::Lambda::Function":
            function = stack.lambdas.get_function_configuration(
                FunctionName=resource["PhysicalResourceId"]
            )
            text = json.dumps(function.get("Environment", {}).get("Variables", {}))
            for name in ("127.0.0.1", "localhost"):
                text = text.replace(f"//{name}:{port}", f"//{CONTAINERS_NAME}:{port}")
            found[resource["LogicalResourceId"]] = json.loads(text)
    return found
