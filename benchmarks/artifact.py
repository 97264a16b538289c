"""What Lambda would run: the output of `sam build`, read-only and dated 1980."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from local.deployment import build

LIBRARIES = ("boto3", "botocore", "s3transfer")
_DATE_IN_PACKAGES = 315_532_800  # 1980-01-01 UTC, what SAM's and Lambda's zip files hold


@dataclass(frozen=True, slots=True)
class Artifact:
    """The built functions and the layer's folder of libraries."""

    root: Path
    layer: Path

    def function(self, name: str) -> Path:
        """The folder of a function by the name of its source folder: `execute_heist`."""
        return self.root / (name.title().replace("_", "") + "Function")


def as_on_lambda(target: Path) -> Artifact:
    """A copy of what `sam build` makes, with the dates and modes that Lambda's file system has."""
    template, _ = build()
    shutil.copytree(template.parent, target)
    for path in [*target.rglob("*"), target]:
        os.utime(path, (_DATE_IN_PACKAGES, _DATE_IN_PACKAGES))
        path.chmod(0o555 if path.is_dir() else 0o444)
    return Artifact(target, target / "LibrariesLayer" / "python")


def with_fresh_byte_code(artifact: Artifact, target: Path) -> Artifact:
    """The same, compiled anew on the spot by the interpreter that will run it."""
    shutil.copytree(artifact.root, target, copy_function=shutil.copy)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    for cache in list(target.rglob("__pycache__")):
        shutil.rmtree(cache)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(target)], check=True)
    return Artifact(target, target / "LibrariesLayer" / "python")


def zipped_megabytes(roots: Iterable[Path], without: Iterable[str], scratch: Path) -> float:
    """Size of a zip of folders, leaving out the packages named."""
    left_out = set(without)
    packed = scratch / "packed.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for root in roots:
            for path in sorted(path for path in root.rglob("*") if path.is_file()):
                inside = path.relative_to(root)
                if inside.parts[0].split("-")[0] not in left_out:
                    archive.write(path, inside)
    size = packed.stat().st_size
    packed.unlink()
    return size / 1_000_000
