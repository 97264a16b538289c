"""`make clean`: forgets environments, builds and local state. Standard library only.

Refuses while `make run` starts or runs, or tools are being installed: they hold locks, which end
with them however they end. Holding the same locks, it keeps others from starting while it is at it.
"""

import fcntl
import shutil
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = (".local/run.lock", ".local/env/.lock", ".local/build/.lock")
FORGOTTEN = (
    ".aws-sam",
    ".coverage",
    ".hypothesis",
    ".import_linter_cache",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".schemathesis",
    ".local",
)


def main() -> int:
    """Forgets everything; 1, and one sentence on stderr, if something is at work or in the way."""
    with ExitStack() as held:
        for lock in LOCKS:
            with suppress(FileNotFoundError):
                file = held.enter_context((ROOT / lock).open("r"))
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    print(
                        "Something is at work here: stop `make run` first (Ctrl-C), or wait.",
                        file=sys.stderr,
                    )
                    return 1
        try:
            forget()
        except OSError as error:
            print(f"Not all could be deleted: {error}", file=sys.stderr)
            return 1
    return 0


def forget() -> None:
    """Deletes it; raises OSError for what cannot be deleted."""
    for name in FORGOTTEN:
        path = ROOT / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for cache in list(ROOT.rglob("__pycache__")):
        shutil.rmtree(cache)


if __name__ == "__main__":
    sys.exit(main())
