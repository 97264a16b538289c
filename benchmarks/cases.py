"""What is run and counted: our functions as built, and what they are compared with."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from local.console import ProblemError
from local.tools import ENVIRONMENTS, ROOT

from .artifact import Artifact
from .instructions import count

HERE = Path(__file__).parent
PYTHON = str(Path(sys.executable).resolve())
PYTHON_FLAGS = ("-S", "-s", "-P", "-B")
_BUNDLE = Path("botocore", "cacert.pem")


@dataclass(frozen=True, slots=True)
class Case:
    """A handler, the folders that it is imported from, and the event it is called with."""

    handler: str
    event: Path
    folders: tuple[Path, ...]
    variables: tuple[tuple[str, str], ...] = ()
    cwd: Path = ROOT
    """Where it runs: the cookbook looks for its own sources there."""

    def command(self, calls: int, *options: str) -> list[str]:
        """The command that calls it that many times in a process of its own."""
        folders = [str(folder) for folder in self.folders]
        probe = [str(HERE / "probe.py"), self.handler, str(self.event), str(calls), *folders]
        return [PYTHON, *PYTHON_FLAGS, *probe, *options]

    def environment(self, endpoint: str) -> dict[str, str]:
        """The variables that Lambda and the template set, with AWS at `endpoint`."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONHASHSEED": "0",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "TABLE_NAME": "heists",
            "EVENTS_DLQ_URL": f"{endpoint}/events",
            "NOTIFIER_DLQ_URL": f"{endpoint}/notifier",
            "EVENT_BUS_NAME": "heists",
            "SENDER_EMAIL": "heists@example.com",
            "UNSUBSCRIBE_KEY_ID": "key",
            "API_URL": "https://api.example.com",
            "LAMBDA_TASK_ROOT": "/var/task",  # without it the SDK of X-Ray loads a third more
            "POWERTOOLS_SERVICE_NAME": "heist-core",
            "POWERTOOLS_METRICS_NAMESPACE": "HeistCore",
            "PYDANTIC_DISABLE_PLUGINS": "__all__",
            **dict(self.variables),
        }

    def trusting(self, certificate: Path, bundle: Path) -> "Case":
        """The same, trusting one certificate more than its botocore does: those in `bundle`, which
        this writes. AWS's SDK in Rust, the cookbook's, asks for it by the name of OpenSSL."""
        stock = next(folder / _BUNDLE for folder in self.folders if (folder / _BUNDLE).exists())
        bundle.write_text(stock.read_text("utf-8") + certificate.read_text("utf-8"), "utf-8")
        names = ("AWS_CA_BUNDLE", "SSL_CERT_FILE")
        trusted = tuple((name, str(bundle)) for name in names)
        return replace(self, variables=(*self.variables, *trusted))

    def run(self, calls: int, endpoint: str, *options: str) -> str:
        """Its standard output. Raises ProblemError with the end of its error output if it fails."""
        done = subprocess.run(
            self.command(calls, *options),
            env=self.environment(endpoint),
            cwd=self.cwd,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ProblemError(f"{self.handler} failed:\n{done.stderr[-3000:]}")
        return done.stdout

    def instructions(self, calls: int, endpoint: str) -> int:
        """Instructions of a whole process that makes `calls` calls."""
        return count(self.command(calls), self.environment(endpoint), self.cwd)


def bare_python(scratch: Path) -> int:
    """Instructions of Python alone, run as the cases are: subtracted from every other figure."""
    return count([PYTHON, *PYTHON_FLAGS, "-c", "pass"], {"PATH": os.environ["PATH"]}, scratch)


def function(artifact: Artifact, name: str) -> Case:
    """A function as it was built."""
    event = ROOT / "events" / f"{name}.json"
    return Case("app.handler", event, (artifact.function(name), artifact.layer))


def peers() -> Path:
    """Where the libraries of the usual stack are installed."""
    return next((ENVIRONMENTS / "peers" / "lib").glob("python*")) / "site-packages"


_TRACING_OFF = (("POWERTOOLS_TRACE_DISABLED", "true"),)
_EXECUTE = ROOT / "events" / "execute_heist.json"


def typical() -> Case:
    """A heist as it is usually written."""
    return Case("typical.handler", _EXECUTE, (HERE / "stacks", peers()), _TRACING_OFF)


def handler_alone(artifact: Artifact) -> Case:
    """Execute without the network."""
    folders = (HERE / "stacks", artifact.function("execute_heist"), artifact.layer)
    return Case("handler_alone.handler", _EXECUTE, folders)


def handler_on_powertools(artifact: Artifact) -> Case:
    """The same, on all of Powertools."""
    execute = artifact.function("execute_heist")
    folders = (HERE / "stacks", peers(), execute, artifact.layer)
    return Case("handler_on_powertools.handler", _EXECUTE, folders, _TRACING_OFF)


def cookbook() -> Case | None:
    """create-order of aws-lambda-handler-cookbook; None: HANDLER_COOKBOOK names no folder."""
    folder = os.environ.get("HANDLER_COOKBOOK")
    if not folder:
        return None
    variables = {
        "POWERTOOLS_SERVICE_NAME": "Orders",
        "LOG_LEVEL": "DEBUG",
        "POWERTOOLS_LOG_LEVEL": "DEBUG",
        "REST_API": "https://www.ranthebuilder.cloud/api",
        "ROLE_ARN": "arn:partition:service:region:account-id:resource-type:resource-id",
        "CONFIGURATION_APP": "Orders",
        "CONFIGURATION_ENV": "dev",
        "CONFIGURATION_NAME": "my_conf",
        "CONFIGURATION_MAX_AGE_MINUTES": "5",
        "IDEMPOTENCY_TABLE_NAME": "idempotency",
        "LAMBDA_TASK_ROOT": folder,
    }
    return Case(
        "service.handlers.handle_create_order.lambda_handler",
        HERE / "stacks" / "create_order.json",
        (Path(folder),),
        (*variables.items(), *_TRACING_OFF),
        cwd=Path(folder),
    )
