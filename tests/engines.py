"""The DynamoDBs that tests/integration runs on, each with the table of template.yaml.

Measured with moto 5.2, MiniStack 1.5 and DynamoDB Local 3.1; where they differ, and who does as AWS
does:

- Concurrency: moto is not concurrent (100 transactions on one item by 16 threads: 97 done, and
  Python errors from inside); the other two did 100 of 100, as AWS would. So races run on those two.
- Conflicts: none of them ever cancels a transaction with TransactionConflict, they serialize
  instead. AWS does cancel: tests/proxies.py does it before an engine, tests/simulation injects it.
- ClientRequestToken: moto ignores it, MiniStack and DynamoDB Local do not. No test depends on it:
  every repeat is one of the application's own, with a token of its own.
- Keys of an index: moto takes an `owedBucket` of the wrong type, the other two refuse it, as AWS
  does.
- Alike, and right: conditions, ALL_OLD on a failed condition, sets, both indexes, consistent reads,
  sizes of keys, reserved words, values that no expression uses, one item twice in a transaction or
  batch.
"""

import functools
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from moto import mock_aws
from mypy_boto3_dynamodb import DynamoDBClient

from local.console import ProblemError
from local.emulator import free_port, running_emulator
from local.tools import ENVIRONMENTS, ROOT
from ops.template import load

DYNAMODB_LOCAL = "3.1.0"
LARGEST_CROWD = 64
MOST_IN_A_BATCH = 25
_CACHE = ROOT / ".local" / f"dynamodb-local-{DYNAMODB_LOCAL}"
_JARS = _CACHE / "jars"
_READY_SECONDS = 60
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId>
  <artifactId>dynamodb-local</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>software.amazon.dynamodb</groupId>
      <artifactId>DynamoDBLocal</artifactId>
      <version>{DYNAMODB_LOCAL}</version>
    </dependency>
  </dependencies>
</project>
"""


@dataclass(frozen=True, slots=True)
class Engine:
    """A DynamoDB."""

    name: str
    client: DynamoDBClient
    _emptied: list[str] = field(default_factory=list)

    @contextmanager
    def table(self) -> Iterator[str]:
        """A table of its own for the length of the block."""
        name = f"heist-{uuid.uuid4().hex}"
        self.client.create_table(TableName=name, **table_definition())
        try:
            yield name
        finally:
            self.client.delete_table(TableName=name)

    @contextmanager
    def emptied_table(self) -> Iterator[str]:
        """The same, of one block after another: to empty a table takes a fifth of a new one's
        time."""
        if not self._emptied:
            name = f"heist-{uuid.uuid4().hex}"
            self.client.create_table(TableName=name, **table_definition())
            self._emptied.append(name)
        name = self._emptied.pop()
        yield name
        pages = self.client.get_paginator("scan").paginate(
            TableName=name, ConsistentRead=True, ProjectionExpression="pk, sk"
        )
        keys = [key for page in pages for key in page["Items"]]
        for first in range(0, len(keys), MOST_IN_A_BATCH):
            batch = keys[first : first + MOST_IN_A_BATCH]
            self.client.batch_write_item(
                RequestItems={name: [{"DeleteRequest": {"Key": key}} for key in batch]}
            )
        self._emptied.append(name)


@functools.cache
def forget_aws_settings() -> None:
    """Takes this machine's AWS variables away from this process: a forgotten double fails instead
    of costing money."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]


@functools.cache
def table_definition() -> dict[str, Any]:
    """The table of template.yaml, as `create_table` takes it; tests/integration/stream.py plays the
    stream, since no engine does what Lambda makes of one."""
    properties = load()["Resources"]["Table"]["Properties"]
    return {
        name: properties[name]
        for name in (
            "BillingMode",
            "AttributeDefinitions",
            "KeySchema",
            "LocalSecondaryIndexes",
            "GlobalSecondaryIndexes",
        )
    }


def _client(endpoint: str | None) -> DynamoDBClient:
    """One attempt, so that a fault in a test is the application's to handle and not botocore's."""
    return boto3.client(
        "dynamodb",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        endpoint_url=endpoint,
        config=Config(
            connect_timeout=2,
            read_timeout=20,
            retries={"total_max_attempts": 1},
            max_pool_connections=LARGEST_CROWD,
            parameter_validation=False,  # tests/aws_models.py does that
            user_agent="tests",  # botocore's own is put together again for each request
        ),
    )


@contextmanager
def moto(home: Path) -> Iterator[Engine]:
    with mock_aws():
        client = _client(None)
        yield Engine("moto", client)
        client.close()


@contextmanager
def ministack(home: Path) -> Iterator[Engine]:
    if not (ENVIRONMENTS / "ministack" / "bin" / "python").exists():
        pytest.skip("MiniStack is not installed here: `make tools` installs it")
    with running_emulator(home, free_port()) as emulator:
        client = _client(emulator.endpoint)
        yield Engine("ministack", client)
        client.close()


@contextmanager
def dynamodb_local(home: Path) -> Iterator[Engine]:
    """AWS's own, in memory. Fetched once with Maven into .local."""
    if not shutil.which("java"):
        pytest.skip("DynamoDB Local needs Java 17")
    port = free_port()
    command = ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    command += [f"-Djava.library.path={_jars()}"]
    command += ["-cp", f"{_jars()}/*", "software.amazon.dynamodb.services.local.main.ServerRunner"]
    command += ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
    with (home / "dynamodb-local.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "local" / "keeper.py"), *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    assert process.stdin is not None
    try:
        _wait_for(f"http://127.0.0.1:{port}", process, home / "dynamodb-local.log")
        client = _client(f"http://127.0.0.1:{port}")
        yield Engine("dynamodb-local", client)
        client.close()
    finally:
        process.stdin.close()
        process.wait()


def _jars() -> Path:
    """DynamoDB Local and what it needs; fetched when first asked for, else the test is skipped."""
    if _JARS.exists():
        return _JARS
    if not shutil.which("mvn"):
        pytest.skip("DynamoDB Local is fetched with Maven, which is not installed here")
    _CACHE.mkdir(parents=True, exist_ok=True)
    (_CACHE / "pom.xml").write_text(_POM, "utf-8")
    unfinished = f"jars-{os.getpid()}"
    fetched = subprocess.run(
        ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={unfinished}"],
        cwd=_CACHE,
        capture_output=True,
        text=True,
        check=False,
    )
    if fetched.returncode:
        pytest.skip("Maven could not fetch DynamoDB Local")
    with suppress(OSError):  # another was as fast
        (_CACHE / unfinished).rename(_JARS)
    return _JARS


def _wait_for(endpoint: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib3.request("GET", endpoint, timeout=2, retries=False)
        except urllib3.exceptions.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise ProblemError(f"DynamoDB Local did not start: {log.read_text('utf-8')[-2000:]}")


ENGINES = {"moto": moto, "ministack": ministack, "dynamodb-local": dynamodb_local}


def most_like_aws() -> str:
    """Of those that can be had here: DynamoDB Local needs Java, and Maven to be fetched."""
    local = shutil.which("java") and (_JARS.exists() or shutil.which("mvn"))
    return "dynamodb-local" if local else "ministack"
