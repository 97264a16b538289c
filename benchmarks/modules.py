"""What each function loads until its first answer."""

import json
import sys

from local.tools import ROOT

from . import canned, cases
from .artifact import Artifact
from .stub import running_stub

COSTLY = {"asyncio", "multiprocessing", "sqlite3", "unittest", "xmlrpc"}
"""Of the standard library only these are listed: the rest differs by Python's version."""

_NOT_BY_THE_STUB = {"seed_point_types", "import_part"}
"""One answers to an address in its event, one reads a compressed file: only what they import."""


def functions() -> list[str]:
    """The folders of all functions."""
    return sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))


def loaded(artifact: Artifact, name: str) -> list[str]:
    """Our modules in full, Powertools' utilities and other packages by name."""
    with running_stub(canned.answer) as stub:
        calls = 0 if name in _NOT_BY_THE_STUB else 1
        output = cases.function(artifact, name).run(calls, stub.url, "--modules")
    return sorted({_listed(module) for module in json.loads(output.splitlines()[-1])} - {""})


def _listed(module: str) -> str:
    parts = module.split(".")
    if parts[0] == "heist_core":
        return module
    if parts[:2] == ["aws_lambda_powertools", "utilities"]:
        return ".".join(parts[:3])
    installed = parts[0] not in sys.stdlib_module_names and not parts[0].startswith("_")
    return parts[0] if (installed and parts[0] != "app") or parts[0] in COSTLY else ""
