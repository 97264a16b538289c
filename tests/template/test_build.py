"""What `sam build` makes of layer and functions for this machine: complete, small, as byte code."""

import json
import ssl
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore
import pytest

from benchmarks import canned, cases
from benchmarks.artifact import Artifact
from benchmarks.stub import running_stub, self_signed
from build_layer import OPERATIONS
from local.deployment import build
from local.tools import ENVIRONMENTS, ROOT

LAYER_AND_FUNCTION_MEGABYTES = 10
ENDPOINTS = {name: name for name in OPERATIONS} | {"sesv2": "email"}
UNCHECKED_HASH = 1  # PEP 552: byte code that is taken without looking at its source

# Stands in for Lambda: the standard library, one function's folder and the layer, nothing else.
IMPORT = """
import importlib.util, json, sys
layer, *functions = sys.argv[1:]
sys.path[:0] = functions[0], layer
for folder in functions:
    spec = importlib.util.spec_from_file_location("app", folder + "/app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert callable(module.handler), folder
import botocore.session
session = botocore.session.get_session()
made = {}
for service in ("dynamodb", "events", "s3", "secretsmanager", "sesv2", "sqs"):
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
    client = session.create_client(service, "eu-west-1", **keys)
    made[service] = [client.meta.endpoint_url, sorted(client.meta.service_model.operation_names)]
print(json.dumps([botocore.__file__, made]))
"""

# Where each client's first request would go, and its signing scope, per partition.
ADDRESSES = """
import json, sys
sys.path.insert(0, sys.argv[1])
import botocore.session
from botocore.config import Config

class Sent(BaseException):
    pass

def stop(request, **_):
    scope = request.headers["Authorization"].decode().split("/", 2)[2].split(",")[0]
    raise Sent(request.url, scope)

session = botocore.session.get_session()
session.set_credentials("x", "x")
config = Config(parameter_validation=False)
found = {}
for service, method, parameters in (
    ("dynamodb", "get_item", {"TableName": "table", "Key": {}}),
    ("events", "put_events", {"Entries": []}),
    ("s3", "get_object", {"Bucket": "exports", "Key": "a/b.json.gz"}),
    ("secretsmanager", "get_secret_value", {"SecretId": "key"}),
    ("sesv2", "send_email", {"Content": {}}),
    ("sqs", "send_message", {"QueueUrl": "https://queue", "MessageBody": ""}),
):
    for partition in session.get_available_partitions():
        for region in session.get_available_regions(service, partition)[:1]:
            client = session.create_client(service, region, config=config)
            client.meta.events.register("before-send", stop)
            try:
                getattr(client, method)(**parameters)
            except Sent as sent:
                found[service + " " + region] = [client.meta.endpoint_url, *sent.args]
print(json.dumps(found))
"""


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the built functions and layer; built anew only if a source changed."""
    if not (ENVIRONMENTS / "sam" / "bin" / "sam").exists():
        pytest.skip("SAM CLI is not installed: run this through `make test`")
    template, _ = build()
    return template.parent


@pytest.fixture(scope="session")
def layer(built: Path) -> Path:
    return built / "LibrariesLayer" / "python"


def functions_in(built: Path) -> list[Path]:
    return sorted(path for path in built.glob("*Function") if path.is_dir())


def test_every_function_imports_and_every_client_works_with_the_layer_alone(
    built: Path, layer: Path
) -> None:
    folders = [str(folder) for folder in functions_in(built)]
    assert len(folders) == len(list((ROOT / "functions").glob("*/app.py")))
    command = [sys.executable, "-I", "-S", "-c", IMPORT, str(layer), *folders]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    where, made = json.loads(done.stdout)
    assert where.startswith(str(layer))
    assert made == {
        service: [f"https://{ENDPOINTS[service]}.eu-west-1.amazonaws.com", sorted(kept)]
        for service, kept in OPERATIONS.items()
    }


def test_every_request_goes_where_it_goes_with_all_of_botocores_data(layer: Path) -> None:
    """The layer leaves the rules out by which botocore finds a service's endpoint."""
    stock = Path(botocore.__file__).parent.parent
    trimmed, complete = (
        json.loads(subprocess.check_output([sys.executable, "-I", "-c", ADDRESSES, str(folder)]))
        for folder in (layer, stock)
    )
    assert trimmed == complete
    assert len(trimmed) > 20


def sources(folder: Path) -> dict[str, bytes]:
    """The modules of a folder, and what is in them."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.py")}


def test_a_function_and_all_it_calls_of_ours_are_replaced_in_one_step(
    built: Path, layer: Path
) -> None:
    """Lambda changes a function's code and its layers one after the other: a core in the layer
    would for a moment be called by the module before it, or by the one after it."""
    shared = sources(ROOT / "layers" / "heist_core" / "heist_core")
    for folder in functions_in(built):
        assert sources(folder / "heist_core") == shared, folder
        assert sources(folder).keys() == {"app.py", *(f"heist_core/{name}" for name in shared)}
    assert not (layer / "heist_core").exists()


def test_all_of_it_is_byte_code_that_lambda_takes_unchecked(built: Path, layer: Path) -> None:
    """Lambda dates its files 1980: byte code that is checked by date would never be used."""
    tag = sys.implementation.cache_tag
    modules = [path for root in (layer, *functions_in(built)) for path in root.rglob("*.py")]
    assert len(modules) > 100
    for source in modules:
        compiled = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
        header = compiled.read_bytes()[4:8]
        assert int.from_bytes(header, "little") == UNCHECKED_HASH, compiled


def test_the_layer_holds_only_the_services_in_use(layer: Path) -> None:
    services = {path.name for path in (layer / "botocore" / "data").iterdir() if path.is_dir()}
    assert services == OPERATIONS.keys()


def test_the_layer_trusts_the_roots_that_sign_for_aws_and_no_others(layer: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(layer / "botocore" / "cacert.pem")
    roots: list[Any] = context.get_ca_certs()
    subjects = [{name: value for ((name, value),) in root["subject"]} for root in roots]
    assert sorted(
        (subject["organizationName"], subject.get("commonName", "Class 2")) for subject in subjects
    ) == [
        *(("Amazon", f"Amazon Root CA {number}") for number in (1, 2, 3, 4)),
        ("Starfield Technologies, Inc.", "Class 2"),
        ("Starfield Technologies, Inc.", "Starfield Root Certificate Authority - G2"),
        ("Starfield Technologies, Inc.", "Starfield Services Root Certificate Authority - G2"),
    ]


def test_an_endpoint_that_is_not_trusted_is_told_and_sent_nothing_unless_a_bundle_names_it(
    built: Path, layer: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.pem"
    own.write_text(self_signed())
    tokens = cases.function(Artifact(built, layer), "get_tokens")
    with running_stub(canned.answer, certificate=own) as stub:
        refused = tokens.run(1, stub.url)
        assert '"cause":"SSLError"' in refused
        assert '"statusCode": 503' in refused
        assert not stub.calls
        trusting = replace(tokens, variables=(("AWS_CA_BUNDLE", str(own)),))
        assert '"statusCode": 200' in trusting.run(1, stub.url)


def test_layer_and_function_together_stay_small(built: Path, layer: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for root in (layer, functions_in(built)[0]):
            for path in root.rglob("*"):
                archive.write(path, path.relative_to(built))
    assert packed.stat().st_size < LAYER_AND_FUNCTION_MEGABYTES * 1_000_000
