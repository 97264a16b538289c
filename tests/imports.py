"""An import in parts: what the operator's program and the state machine do, one after the other."""

import json
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heist_core.storage.bucket import Bucket
from heist_core.storage.importing.loading import Verified
from heist_core.storage.importing.parts import Run
from ops.importer.checked import CheckedExport
from ops.importer.files import find_export

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

IMPORT_BUCKET = "imports"


def checked(folder: Path, now: datetime) -> CheckedExport:
    """An export of which every row can be taken."""
    rejected: list[object] = []
    export = CheckedExport()
    export.load(find_export(folder), None, now, lambda *row: rejected.append(row), lambda _: None)
    assert rejected == []
    return export


def import_in_parts(
    call: Callable[[Mapping[str, Any]], object],
    client: "S3Client",
    export: CheckedExport,
    bucket: str = IMPORT_BUCKET,
) -> Verified:
    run = Run(Bucket(client, bucket), uuid.uuid4().hex)
    kinds = [kind for kind, total, _ in export.kinds() if total]
    for kind, _, units in export.kinds():
        run.write(kind, units, lambda _: None)
    for do in ("load", "compare"):
        for kind in kinds:
            parts = client.get_object(Bucket=bucket, Key=run.manifest(kind))["Body"].read()
            for line in parts.splitlines():
                call({"do": do, "run": run.name, **json.loads(line)})
    verified = Verified()
    for part in run.found():
        verified.add(part)
    return verified
