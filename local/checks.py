"""`make check`: everything that reads the code without running it. Standard library only."""

import os
import sys
import time

from local.tools import ROOT, run_tool

# What, and the command: the first word is a tool of the named environment.
CHECKS = (
    ("format", "dev", "ruff format --check ."),
    ("lint", "dev", "ruff check ."),
    ("types", "dev", "mypy"),
    ("imports", "dev", "lint-imports"),
    ("texts", "dev", "python -m tests.texts"),
    ("template", "dev", "cfn-lint template.yaml"),
    ("sam", "sam", "sam validate --lint"),
    # checkov knows no Fn::ForEach, so it reads the template without loops.
    ("loops", "dev", "python -m tests.template.processed .local/expanded.json"),
    ("security", "checkov", "checkov --config-file .checkov.yaml --file .local/expanded.json"),
    ("openapi", "dev", "openapi-spec-validator docs/openapi.yaml"),
)


def main() -> int:
    """Runs all checks, whatever fails; the number that failed, of which each says why."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    settings = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": str(ROOT / "layers" / "heist_core"),
        "SAM_CLI_TELEMETRY": "0",
    }
    failed = []
    for name, environment, command in CHECKS:
        tool, *arguments = command.split()
        started = time.monotonic()
        done = run_tool(environment, tool, *arguments, variables=os.environ | settings)
        took = time.monotonic() - started
        print(f"{'✘' if done.returncode else '✔'} {name:<9} {took:4.1f} s", flush=True)
        if done.returncode:
            failed.append(name)
            print(done.stdout.rstrip(), flush=True)
    print(f"Failed: {', '.join(failed)}" if failed else f"All {len(CHECKS)} checks passed")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
