"""Builds what is deployed: the layer of libraries, and each function's package.

    build_layer.py TARGET           the pinned libraries, trimmed, as byte code
    build_layer.py TARGET app.py    a function's module beside the code that all share, as byte code

The shared code is in every package, not in the layer: Lambda replaces a function's code and its
layers one after the other, and a new core would be called by an old module in between.

Run by `make`, with any Python >= 3.11, which needs pip for the layer. The target is named by
environment variables, with the template's defaults:

LAMBDA_PYTHON  minor version of the functions' runtime (template parameter PythonRuntime)
LAMBDA_ARCH    arm64 or x86_64 (template parameter Architecture), or `native` for the machine that
               builds: the embedded AWS runs functions on this machine's own Python
LAYER_CACHE    where to keep the finished dependencies for the next build; nowhere if empty
"""

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent

# AWS Lambda's oldest supported C library is glibc 2.26 (python3.11), so no newer wheels than these.
PLATFORMS = {
    "arm64": ("manylinux_2_17_aarch64", "manylinux2014_aarch64"),
    "x86_64": ("manylinux_2_17_x86_64", "manylinux2014_x86_64"),
}

# The AWS operations that the layer calls. botocore reads a service's whole model when a client is
# made; with only these in it, that takes a quarter of the instructions and a fifth of the space.
OPERATIONS = {
    "dynamodb": {
        "BatchGetItem",
        "DeleteItem",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "TransactGetItems",
        "TransactWriteItems",
        "UpdateItem",
    },
    "events": {"PutEvents"},
    "s3": {"GetObject", "ListObjectsV2", "PutObject"},
    "secretsmanager": {"GetSecretValue"},
    "sesv2": {"SendEmail"},
    "sqs": {
        "ChangeMessageVisibilityBatch",
        "DeleteMessage",
        "GetQueueAttributes",
        "ReceiveMessage",
        "SendMessage",
    },
}

# Evaluated again at each call, a twelfth of a warm execute. Without them botocore takes a service's
# endpoint from its list (endpoints.json), once for each client: the same in every region. Those of
# S3 stay: a bucket's name is in its address.
ENDPOINT_RULES = "endpoint-rule-set-1.json.gz"

# Those of Amazon Trust Services, one of which signs for every endpoint of AWS. Each connection
# reads all that there are. Where a proxy or a private endpoint has another, the calls fail, and
# say so; AWS_CA_BUNDLE then names a file to trust instead.
ROOT_CERTIFICATES = {
    "Amazon Root CA 1",
    "Amazon Root CA 2",
    "Amazon Root CA 3",
    "Amazon Root CA 4",
    "Starfield Class 2 CA",
    "Starfield Root Certificate Authority - G2",
    "Starfield Services Root Certificate Authority - G2",
}


def layer(target: Path) -> None:
    """Builds the layer's `python` folder at `target`; raises CalledProcessError when pip fails."""
    python = os.environ.get("LAMBDA_PYTHON", "3.13")
    architecture = os.environ.get("LAMBDA_ARCH", "arm64")
    shutil.rmtree(target, ignore_errors=True)
    cache = cache_for(python, architecture)
    if cache and cache.exists():
        shutil.copytree(cache, target)
        return
    install(target, python, architecture)
    trim(target)
    compile_all(target, python)
    if cache:
        keep(target, cache)


def package(target: Path, module: Path) -> None:
    """Puts a function's module, the folders beside it and the shared code into `target`."""
    shutil.copy(module, target)
    for folder in (path for path in module.absolute().parent.iterdir() if path.is_dir()):
        shutil.copytree(folder, target / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    shared = target / "heist_core"
    shutil.copytree(HERE / "heist_core", shared, ignore=shutil.ignore_patterns("__pycache__"))
    compile_all(target, os.environ.get("LAMBDA_PYTHON", "3.13"))


def cache_for(python: str, architecture: str) -> Path | None:
    """Where the dependencies are kept: under a hash of all that they are made from."""
    folder = os.environ.get("LAYER_CACHE")
    if not folder:
        return None
    digest = hashlib.sha256(f"{python} {architecture} {sys.version}".encode())
    for source in (HERE / "requirements.txt", Path(__file__)):
        digest.update(source.read_bytes())
    return Path(folder) / f"layer-{digest.hexdigest()[:16]}"


def keep(target: Path, cache: Path) -> None:
    """Copies finished dependencies into the cache, in one step, in place of older ones."""
    for old in cache.parent.glob("layer-*"):
        shutil.rmtree(old)
    unfinished = cache.with_suffix(".unfinished")
    shutil.copytree(target, unfinished)
    unfinished.rename(cache)


def install(target: Path, python: str, architecture: str) -> None:
    """Installs the hashed requirements into `target`, for the machine that will run them."""
    if not find_spec("pip"):
        raise SystemExit(
            f"{sys.executable} has no pip: install it, or name a Python that has it in PYTHON"
        )
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps"]
    command += ["--require-hashes", "--disable-pip-version-check", "--target", str(target)]
    if architecture != "native":
        command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
        command += [f"--platform={platform}" for platform in PLATFORMS[architecture]]
    subprocess.run([*command, "-r", str(HERE / "requirements.txt")], check=True)


def trim(target: Path) -> None:
    """Drops what no function reads: it would cost each cold start its milliseconds."""
    shutil.rmtree(target / "aws_lambda_powertools" / "event_handler")  # 3 MB; http/api.py routes
    data = target / "botocore" / "data"
    for folder in (path for path in data.iterdir() if path.is_dir()):
        if folder.name not in OPERATIONS:
            shutil.rmtree(folder)
    prefixes = set()
    for service, operations in OPERATIONS.items():
        for model in (data / service).rglob("service-2.json.gz"):
            prefixes.add(trim_model(model, operations))
        for rules in (data / service).rglob(ENDPOINT_RULES):
            if service != "s3":
                rules.unlink()
    trim_endpoints(data / "endpoints.json", prefixes)
    trim_certificates(target / "botocore" / "cacert.pem")


def trim_model(path: Path, operations: set[str]) -> str:
    """Leaves `operations`, and the shapes they need, in one of botocore's service models; returns
    the service's name in the list of endpoints."""
    model = json.loads(gzip.decompress(path.read_bytes()))
    missing = operations - model["operations"].keys()
    if missing:
        raise SystemExit(f"{path}: botocore knows no operation {', '.join(sorted(missing))}")
    model["operations"] = {name: model["operations"][name] for name in sorted(operations)}
    needed: set[str] = set()
    waiting = set(shapes_in(model["operations"]))
    while waiting:
        name = waiting.pop()
        needed.add(name)
        waiting |= set(shapes_in(model["shapes"][name])) - needed
    model["shapes"] = {name: model["shapes"][name] for name in sorted(needed)}
    path.write_bytes(gzip.compress(json.dumps(model).encode(), mtime=0))
    return str(model["metadata"]["endpointPrefix"])


def shapes_in(node: object) -> Iterator[str]:
    """The names of all shapes that a part of a service model refers to."""
    if isinstance(node, dict):
        if isinstance(node.get("shape"), str):
            yield node["shape"]
        for value in node.values():
            yield from shapes_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from shapes_in(value)


def trim_endpoints(path: Path, prefixes: set[str]) -> None:
    """Leaves only the services in use in botocore's list of endpoints, which is a megabyte."""
    endpoints = json.loads(path.read_text("utf-8"))
    for partition in endpoints["partitions"]:
        partition["services"] = {
            name: service for name, service in partition["services"].items() if name in prefixes
        }
    path.write_text(json.dumps(endpoints, separators=(",", ":")), "utf-8")


def trim_certificates(path: Path) -> None:
    """Leaves ROOT_CERTIFICATES in botocore's bundle, each under its label."""
    labelled = (
        r'# Label: "([^"]+)"$.*?^(-----BEGIN CERTIFICATE-----$.*?^-----END CERTIFICATE-----$)'
    )
    found = re.findall(labelled, path.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    kept = {label: certificate for label, certificate in found if label in ROOT_CERTIFICATES}
    missing = ROOT_CERTIFICATES - kept.keys()
    if missing:
        raise SystemExit(f"{path}: botocore's bundle lacks {', '.join(sorted(missing))}")
    text = "".join(f"# {label}\n{certificate}\n" for label, certificate in kept.items())
    path.write_text(text, "utf-8")


def compile_all(target: Path, python: str) -> None:
    """Compiles to byte code, if the target's Python is on this machine.

    Lambda unpacks its files read-only with dates of 1980, so byte code that is checked by date is
    never used, and Lambda cannot write its own: unchecked byte code cuts a cold start to a third.
    """
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    interpreter = sys.executable if own == python else shutil.which(f"python{python}")
    if not interpreter or subprocess.run([interpreter, "-c", ""], check=False).returncode:
        print(f"No Python {python} here: no byte code, cold starts are slower", file=sys.stderr)
        return
    flags = ["-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([interpreter, "-m", "compileall", *flags, str(target)], check=True)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        package(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        layer(Path(sys.argv[1]))
