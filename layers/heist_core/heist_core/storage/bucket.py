"""The gateway to S3: one bucket, and the files that are written to be read by another step."""

import gzip
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Bucket:
    """An S3 bucket."""

    def __init__(self, client: "S3Client", name: str) -> None:
        self._client = client
        self._name = name

    def put(self, key: str, content: bytes) -> None:
        self._client.put_object(Bucket=self._name, Key=key, Body=content)

    def document(self, key: str) -> Any:
        body = self._client.get_object(Bucket=self._name, Key=key)["Body"]
        return json.loads(body.read())

    def lines(self, key: str) -> Iterator[bytes]:
        """Those of a file that gzip made, read as they are asked for."""
        body = self._client.get_object(Bucket=self._name, Key=key)["Body"]
        with gzip.GzipFile(fileobj=body) as file:
            yield from file

    def keys(self, prefix: str) -> Iterator[str]:
        last = ""
        while True:
            page = self._client.list_objects_v2(Bucket=self._name, Prefix=prefix, StartAfter=last)
            for each in page.get("Contents", ()):
                last = each["Key"]
                yield last
            if not page["IsTruncated"]:
                return
