"""Makes the Python environments under .local/env from the hashed requirements files.

`python local/tools.py dev sam` makes or reuses those two. Standard library only: it runs before
anything is installed. An environment is replaced when its requirements file or Python changes.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / ".local" / "env"
STAMP = ".made-from"
PIP_SETTINGS = {
    f"PIP_{name}"
    for name in (
        "CACHE_DIR",
        "CERT",
        "CLIENT_CERT",
        "CONFIG_FILE",
        "DEFAULT_TIMEOUT",
        "EXTRA_INDEX_URL",
        "FIND_LINKS",
        "INDEX_URL",
        "NO_INDEX",
        "PROXY",
        "RETRIES",
        "TIMEOUT",
        "TRUSTED_HOST",
    )
}
PYTHON_SETTINGS = {"PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONUSERBASE", "VIRTUAL_ENV"}
UNREACHABLE = re.compile(
    "connect|timed out|resolve|proxy|certificate|40[137]|50[234]|no matching", re.IGNORECASE
)


def main(names: list[str]) -> int:
    """Makes what is missing, and says on stderr how long that took; 1 and one line if it failed."""
    try:
        return make_what_is_missing(names)
    except OSError as error:
        say(f"✘ tools     {error}")
        return 1
    except KeyboardInterrupt:
        return 130


def make_what_is_missing(names: list[str]) -> int:
    """As `main`; raises OSError where the disk is full or may not be written to."""
    started = time.monotonic()
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with (ENVIRONMENTS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        outdated = [name for name in names if name != "uv" and not is_current(name)]
        if (outdated or "uv" in names) and not is_current("uv"):
            outdated.insert(0, "uv")
        for number, name in enumerate(outdated, 1):
            say(f"… tools     installing {name} ({number} of {len(outdated)}) …")
            try:
                make(name)
            except subprocess.CalledProcessError as failed:
                say((failed.stderr or failed.stdout or "").strip())
                say(f"✘ tools     {advice(name, failed)}")
                return 1
    took = time.monotonic() - started
    note = f"installed {', '.join(outdated)}" if outdated else "reused"
    if outdated or os.environ.get("TOOLS_VERBOSE"):
        say(f"✔ {'tools':<9} {took:4.1f} s  {note}")
    return 0


def make(name: str) -> None:
    """Makes one environment; raises CalledProcessError with the tool's own words."""
    folder = ENVIRONMENTS / name
    shutil.rmtree(folder, ignore_errors=True)
    locked = ["--require-hashes", "--quiet", "-r", str(requirements(name))]
    if name == "uv":
        run(sys.executable, "-m", "venv", str(folder))
        run(str(folder / "bin" / "python"), "-m", "pip", "install", "--no-deps", *locked)
        run(
            str(folder / "bin" / "uv"), "--version"
        )  # a configuration of pip's may put it elsewhere
    else:
        uv = str(ENVIRONMENTS / "uv" / "bin" / "uv")
        python = str(folder / "bin" / "python")
        run(uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(folder))
        run(uv, "pip", "install", "--no-deps", "--compile-bytecode", "--python", python, *locked)
    (folder / STAMP).write_text(fingerprint(name), "utf-8")


def run(*command: str) -> None:
    """Runs a tool quietly; raises CalledProcessError with its output."""
    subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment_of_tools()
    )


def environment_of_tools() -> dict[str, str]:
    """This process's, without what makes pip install elsewhere and Python look elsewhere.

    Where the package index is, and how to reach it, stays.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in PYTHON_SETTINGS and (not name.startswith("PIP_") or name in PIP_SETTINGS)
    }
    return kept | {"PIP_USER": "0"}  # a configuration file may say otherwise


def run_tool(
    environment: str, tool: str, *arguments: str, variables: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Runs a tool of an environment to its end, without input; stdout holds all that it prints."""
    return subprocess.run(
        [str(ENVIRONMENTS / environment / "bin" / tool), *arguments],
        cwd=ROOT,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def requirements(name: str) -> Path:
    """The hashed requirements file of an environment."""
    return ROOT / "requirements" / f"{name}.txt"


def fingerprint(name: str) -> str:
    """What an environment is made from: its requirements, this Python, and where it lies."""
    text = (
        f"{sys.version} {sys.base_prefix} {ENVIRONMENTS}\n{requirements(name).read_text('utf-8')}"
    )
    return hashlib.sha256(text.encode()).hexdigest()


def is_current(name: str) -> bool:
    """Whether an environment is there and was made from what is there now."""
    stamp = ENVIRONMENTS / name / STAMP
    return stamp.exists() and stamp.read_text("utf-8") == fingerprint(name)


def advice(name: str, failed: subprocess.CalledProcessError) -> str:
    """One sentence that says what to do about a failed installation."""
    if "venv" in failed.cmd and name == "uv":
        return (
            "This Python cannot make environments: install its venv module (Debian: python3-venv)."
        )
    if "UnknownIssuer" in (failed.stderr or ""):
        return (
            "This network signs the package index's certificate itself; if this machine trusts it, "
            "run UV_SYSTEM_CERTS=1 make …"
        )
    if UNREACHABLE.search(failed.stderr or ""):
        return (
            f"Could not install {name}: is the package index within reach? See above, "
            "then try again."
        )
    return f"Could not install {name}: see above."


def say(line: str) -> None:
    """Prints to stderr at once, also where it cannot show every character."""
    if sys.stderr is None:
        return
    sys.stderr.reconfigure(errors="replace")  # type: ignore[union-attr]
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
