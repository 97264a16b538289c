"""Builds template.yaml for this machine's Python and deploys it to the embedded AWS, with SAM."""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import yaml

from local.console import ProblemError, say
from local.emulator import REGION
from local.tools import ENVIRONMENTS, ROOT, environment_of_tools, run_tool

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

STACK = "heist-core-local"
SENDER = "heist@example.com"
BUILDS = ROOT / ".local" / "build"
KEPT_BUILDS = 3
LOCAL_PARAMETERS = {
    "Stage": "local",
    "SenderEmail": SENDER,
    "AllowedOrigins": "http://localhost:3000,http://localhost:5173",
    "Pages": "both",
}
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def credentials(endpoint: str) -> dict[str, str]:
    """The environment variables with which AWS's tools reach the embedded AWS as its root."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
    }


def session() -> boto3.Session:
    """A session as the embedded AWS's root, whatever this machine's AWS settings say."""
    return boto3.Session("test", "test", region_name=REGION)


def forget_settings_of_aws(environment: MutableMapping[str, str]) -> list[str]:
    """Removes AWS's profiles and endpoints, and calls the embedded AWS without proxies.

    Returns the names that were removed.
    """
    forgotten = [name for name in environment if name.startswith("AWS_")]
    for name in forgotten:
        del environment[name]
    environment["AWS_CONFIG_FILE"] = environment["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    environment["AWS_EC2_METADATA_DISABLED"] = "true"
    for name in ("NO_PROXY", "no_proxy"):
        given = [environment[name]] if environment.get(name) else []
        environment[name] = ",".join([*given, "127.0.0.1", "localhost", "::1"])
    return forgotten


# --- Build -----------------------------------------------------------------------------------


def build() -> tuple[Path, bool]:
    """The built template, and whether it had to be built; raises ProblemError if that failed.

    A build is kept under the hash of its sources, and made again only when one of them changed.
    """
    BUILDS.mkdir(parents=True, exist_ok=True)
    with (BUILDS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        target = BUILDS / source_hash()
        built = target / "template.yaml"
        if built.exists():
            os.utime(target)
            return built, False
        unfinished = BUILDS / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        sam(
            "build",
            f"--template-file={ROOT / 'template.yaml'}",
            f"--build-dir={unfinished}",
            "--parallel",
            "--language-extensions",
            environment={
                "PYTHON": str(ENVIRONMENTS / "uv" / "bin" / "python"),
                "LAMBDA_PYTHON": PYTHON,
                "LAMBDA_ARCH": "native",
                "LAYER_CACHE": str(ROOT / ".local" / "layer"),
            },
            problem="The build failed: see above. Nothing was deployed.",
        )
        template = unfinished / "template.yaml"
        as_json = json.dumps(yaml.safe_load(template.read_text("utf-8")))
        template.write_text(as_json, "utf-8")  # SAM takes seconds to read YAML, several times
        unfinished.rename(target)
        for old in sorted(
            BUILDS.glob("*/template.yaml"), key=lambda path: path.parent.stat().st_mtime
        )[:-KEPT_BUILDS]:
            shutil.rmtree(old.parent)
        return built, True


def source_hash() -> str:
    """A hash over all that a build is made from: template, layer, functions, this Python."""
    digest = hashlib.sha256(f"{sys.version} {platform.machine()} {ROOT}".encode())
    sources = [ROOT / "template.yaml"]
    for folder in ("functions", "layers"):
        sources += sorted(path for path in (ROOT / folder).rglob("*") if path.is_file())
    for path in sources:
        if "__pycache__" not in path.parts:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(ROOT)} {content}\n".encode())
    return digest.hexdigest()[:16]


def sam(*arguments: str, environment: Mapping[str, str], problem: str) -> None:
    """Runs SAM CLI quietly; when it fails, prints its output and raises ProblemError."""
    inherited = {
        name: value
        for name, value in environment_of_tools().items()
        if not name.startswith(("SAM_", "LAMBDA_", "MAKE", "MFLAGS"))
    }
    forget_settings_of_aws(inherited)
    settings = {"SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "0.2"}  # by itself 5 seconds
    with tempfile.TemporaryDirectory() as scratch:  # SAM leaves an empty folder per package in it
        variables = {**inherited, **settings, **environment, "TMPDIR": scratch}
        done = run_tool("sam", "sam", *arguments, variables=variables)
    if done.returncode:
        say(done.stdout.rstrip())
        raise ProblemError(problem)


# --- Deployment ------------------------------------------------------------------------------


def deploy(built: Path, endpoint: str, parameters: Mapping[str, str]) -> int:
    """Deploys a built template; the number of its resources. Raises ProblemError if it failed."""
    values = {
        "PythonRuntime": f"python{PYTHON}",
        "Architecture": "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64",
        "AwsEndpointUrl": endpoint,
        **parameters,
    }
    cloudformation = session().client("cloudformation", endpoint_url=endpoint)
    try:
        sam(
            "deploy",
            f"--template-file={built}",
            f"--stack-name={STACK}",
            f"--region={REGION}",
            "--resolve-s3",
            "--language-extensions",
            "--capabilities=CAPABILITY_IAM",
            "--no-confirm-changeset",
            "--no-progressbar",
            "--no-fail-on-empty-changeset",
            "--parameter-overrides",
            *(f"{name}={value}" for name, value in values.items()),
            environment=credentials(endpoint),
            problem="The deployment failed: see above.",
        )
    except ProblemError as failed:
        raise ProblemError(first_failure(cloudformation) or str(failed)) from None
    return len(cloudformation.describe_stack_resources(StackName=STACK)["StackResources"])


def first_failure(cloudformation: "CloudFormationClient") -> str | None:
    """What CloudFormation says about the first resource that failed, if it got as far as that."""
    try:
        events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
    except cloudformation.exceptions.ClientError:
        return None
    for event in reversed(events):
        if event.get("ResourceStatus", "").endswith("_FAILED"):
            return (
                f"The deployment failed at {event.get('LogicalResourceId')}: "
                f"{event.get('ResourceStatusReason')}"
            )
    return None


# --- Parameters ------------------------------------------------------------------------------


def chosen_parameters(environment: Mapping[str, str]) -> dict[str, str]:
    """The HEIST_* variables and ALLOWED_ORIGINS, where they are set, as the template's parameters.

    Raises ProblemError with the template's own words, which name the variable, for a value that
    the template's pattern refuses. Points out a HEIST_* variable that there is not.
    """
    declared = template_parameters()
    parameters = {}
    for variable, value in sorted(environment.items()):
        if not variable.startswith("HEIST_") and variable != "ALLOWED_ORIGINS":
            continue
        name = variable.title().replace("_", "")
        if name not in declared:
            say(f"! {variable} is not one of the variables of this application: ignored.")
            continue
        if not re.fullmatch(declared[name]["AllowedPattern"], value):
            rule = declared[name]["ConstraintDescription"].removeprefix(f"{variable} ")
            raise ProblemError(f"{variable} {rule}, not {value!r}.")
        parameters[name] = value
    return parameters


def template_parameters() -> dict[str, dict[str, str]]:
    """The parameters that template.yaml declares."""
    text = (ROOT / "template.yaml").read_text("utf-8")
    section = re.search(r"^Parameters:\n(?:(?:[ #].*)?\n)+", text, re.MULTILINE)
    if not section:
        raise ProblemError("template.yaml has no Parameters.")
    parameters: dict[str, dict[str, str]] = yaml.safe_load(section[0])["Parameters"]
    return parameters
