"""An import in parts: files of checked units, which Step Functions gives to functions one by one.

The operator's program writes them, starts the run (template.yaml, ImportMachine) and adds up what
was found. Both sides can be repeated: they write the same under the same names.
"""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import count, islice
from math import ceil
from typing import Any, Literal, TypedDict

from pydantic import TypeAdapter, ValidationError

from heist_core.storage.bucket import Bucket

from .loading import Progress, Verified
from .mapping import ImportedHeist, ImportedPlayer, ImportedReferral, Unit

UNITS_IN_A_PART = 10_000
"""Twenty at once share what the table takes, and each has to be through in 15 minutes."""

KINDS: Mapping[str, TypeAdapter[Any]] = {
    "heists": TypeAdapter(ImportedHeist),
    "referrals": TypeAdapter(ImportedReferral),
    "players": TypeAdapter(ImportedPlayer),
}
_FOUND: TypeAdapter[Verified] = TypeAdapter(Verified)


def parts_of(units: int) -> int:
    """How many parts so many units of a kind are."""
    return ceil(units / UNITS_IN_A_PART)


class Step(TypedDict):
    """What a function is asked for. A part is called by its kind and number."""

    do: Literal["load", "compare"]
    run: str
    part: str


class BrokenPart(Exception):
    """A line of a part is no unit. Never says what it holds."""


class Run:
    """The files of a run, which are all below its name in the bucket."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket = bucket
        self.name = name

    def write(self, kind: str, units: Iterable[Unit], progress: Progress) -> None:
        """Write all units of a kind, and the list of their parts, if there are any."""
        left, parts = iter(units), []
        for number in count():
            lines = [KINDS[kind].dump_json(unit) for unit in islice(left, UNITS_IN_A_PART)]
            if not lines:
                break
            part = f"{kind}-{number:05}"
            content = gzip.compress(b"\n".join(lines), compresslevel=1, mtime=0)
            self._bucket.put(self._place(part), content)
            parts.append(json.dumps({"part": part}))
            progress(len(lines))
        if parts:
            self._bucket.put(self.manifest(kind), "\n".join(parts).encode())

    def manifest(self, kind: str) -> str:
        """The key of the list of a kind's parts."""
        return f"{self.name}/manifests/{kind}.jsonl"

    def units(self, part: str) -> Iterator[Unit]:
        """Raises BrokenPart."""
        shape = KINDS[part.partition("-")[0]]
        for number, line in enumerate(self._bucket.lines(self._place(part)), start=1):
            try:
                yield shape.validate_json(line)
            except ValidationError:
                raise BrokenPart(f"{part}, line {number}") from None

    def keep(self, part: str, verified: Verified) -> None:
        """Keep what the table holds of a part."""
        self._bucket.put(f"{self.name}/found/{part}.json", _FOUND.dump_json(verified))

    def found(self) -> Iterator[Verified]:
        """What was kept of each part."""
        for key in self._bucket.keys(f"{self.name}/found/"):
            yield _FOUND.validate_python(self._bucket.document(key))

    def _place(self, part: str) -> str:
        return f"{self.name}/parts/{part}.json.gz"
