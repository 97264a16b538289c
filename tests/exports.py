"""Exports of a table to S3, in the form that AWS documents for DynamoDB, and their audit.

docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html
"""

import base64
import gzip
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from heist_core.storage.audit_export import DataFile, ExportAudit, Plan
from heist_core.storage.bucket import Bucket
from heist_core.storage.wire import Item, to_wire
from tests.aws_models import check_request

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "exports"
EXPORT = "arn:aws:dynamodb:us-east-1:123456789012:table/heist/export/01695353076000-a1b2c3d4"


class FakeS3:
    """Objects of one bucket, by key. Lists two at a time."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    @property
    def as_client(self) -> "S3Client":
        return cast("S3Client", self)

    def put_object(self, **request: Any) -> None:
        check_request("s3", "PutObject", request)
        self.objects[request["Key"]] = request["Body"]

    def get_object(self, **request: Any) -> Mapping[str, object]:
        check_request("s3", "GetObject", request)
        return {"Body": BytesIO(self.objects[request["Key"]])}

    def list_objects_v2(self, **request: Any) -> Mapping[str, object]:
        check_request("s3", "ListObjectsV2", request)
        found = [
            key
            for key in sorted(self.objects)
            if key.startswith(request["Prefix"]) and key > request["StartAfter"]
        ]
        page = {"Contents": [{"Key": key} for key in found[:2]]} if found else {}
        return {**page, "IsTruncated": len(found) > 2}


def export(
    client: "S3Client", items: Iterable[Item], *, arn: str = EXPORT, bucket: str = BUCKET
) -> None:
    """Write an export in three files, one of them empty."""
    folder = f"AWSDynamoDB/{arn.rpartition('/')[2]}"
    lines = [_line(item) for item in items]
    files = []
    for number, part in enumerate((lines[0::2], lines[1::2], [])):
        key = f"{folder}/data/file{number}.json.gz"
        client.put_object(Bucket=bucket, Key=key, Body=gzip.compress(b"".join(part)))
        files.append({"itemCount": len(part), "md5Checksum": "", "etag": "", "dataFileS3Key": key})
    manifest, summary = f"{folder}/manifest-files.json", f"{folder}/manifest-summary.json"
    written = "".join(f"{json.dumps(file)}\n" for file in files)
    client.put_object(Bucket=bucket, Key=manifest, Body=written.encode())
    told = {"itemCount": len(lines), "manifestFilesS3Key": manifest}
    client.put_object(Bucket=bucket, Key=summary, Body=json.dumps(told).encode())


def _line(item: Item) -> bytes:
    def as_base64(value: bytes) -> str:
        return base64.b64encode(value).decode()

    return json.dumps({"Item": to_wire(item)}, default=as_base64).encode() + b"\n"


def files_of(client: "S3Client", plan: Plan, bucket: str = BUCKET) -> list[DataFile]:
    """As the state machine reads them."""
    manifest = client.get_object(Bucket=bucket, Key=plan["manifest"])["Body"].read()
    return [json.loads(line) for line in manifest.splitlines()]


def split_and_audit(audit: ExportAudit, s3: FakeS3) -> Plan:
    """The steps between an export and the decision."""
    plan = audit.plan(EXPORT)
    for file in files_of(s3.as_client, plan):
        audit.split(file, plan)
    for share in plan["shares"]:
        audit.audit(share, plan)
    return plan


def audit_exports(
    call: Callable[[Mapping[str, Any]], Any],
    client: "S3Client",
    *tables: Iterable[Item],
    bucket: str = BUCKET,
) -> Mapping[str, object]:
    """The function's steps, as the state machine takes them: an export of the first table, and of
    the next one each time that it asks for another."""
    earlier: list[Plan] = []
    for table in tables:
        arn = f"{EXPORT}-{uuid.uuid4().hex}"
        export(client, table, arn=arn, bucket=bucket)
        plan: Plan = call({"do": "plan", "export": arn})
        for file in files_of(client, plan, bucket):
            call({"do": "split", "plan": plan, "file": file})
        for share in plan["shares"]:
            call({"do": "audit", "plan": plan, "share": share})
        decided: Mapping[str, object] = call({"do": "decide", "earlier": earlier, "plan": plan})
        if decided["settled"]:
            return decided
        earlier = [plan]
    raise AssertionError("it asks for another export")


def bucket_of(s3: FakeS3) -> Bucket:
    return Bucket(s3.as_client, BUCKET)
