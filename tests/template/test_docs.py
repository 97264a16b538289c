"""The pages know what the code has, are wrapped and linked, and tell nobody to erase anything."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from heist_core.domain.errors import Contention, HeistRefused, Unavailable
from heist_core.domain.mails import MailState
from heist_core.domain.notices import NoticeType
from heist_core.http.api import error_response
from heist_core.settings import DECLARED, InvalidSettings, parse_settings
from tests.template.test_template import PARAMETERS, TEMPLATE

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / ".github/SECURITY.md", *sorted(DOCS.rglob("*.md"))]
SPEC = (DOCS / "SPEC.md").read_text("utf-8")
OPENAPI = (DOCS / "openapi.yaml").read_text("utf-8")
SOURCES = [
    path
    for folder in ("functions", "layers/heist_core/heist_core")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
ERASING = re.compile(
    r"delete-table|delete-item|DeleteRequest|migrate reset|drop (?:table|database)|truncate table"
    r"|delete-backup|--disable-deletion-protection|no-deletion-protection",
    re.IGNORECASE,
)
LINE_LENGTH = 100
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pages
def test_no_page_has_a_command_that_erases_points_or_the_table(page: Path) -> None:
    assert ERASING.findall(page.read_text("utf-8")) == []


# --- What the code and the template have, the pages know -----------------------------------------


def calls(*names: str) -> Iterator[ast.Call]:
    """Every call of a function or class of one of these names."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
                if (called.id if isinstance(called, ast.Name) else called) in names:
                    yield node


def texts(node: ast.AST) -> Iterator[str]:
    """The texts in an expression; `Mails{state}` stands for every state of a mail."""
    if isinstance(node, ast.JoinedStr):
        prefix = next(texts(node.values[0]))
        yield from (f"{prefix}{state.value.title()}" for state in MailState)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from texts(child)


def missing(names: set[str], *pages: str) -> list[str]:
    assert names, "nothing was found to look for"
    return sorted(
        name for name in names if not all(re.search(rf"\b{name}\b", page) for page in pages)
    )


def section(number: int) -> str:
    return SPEC.partition(f"\n## {number}. ")[2].partition("\n## ")[0]


def test_every_code_of_an_answer_is_in_the_contract_and_the_openapi_document() -> None:
    named = [call.args[0] for call in calls("HeistRefused", "_failure", "Conflict") if call.args]
    codes = {code for argument in named for code in texts(argument)}
    for error in (HeistRefused("", ""), Unavailable(), Contention()):
        codes.update(str((error_response(error).body or {})[name]) for name in ("error", "code"))
    codes.remove("")
    assert {"NO_TOKENS", "RATE_LIMITED", "ELIGIBILITY_FAILED", "CONTENTION"} <= codes
    assert missing(codes, section(2), OPENAPI) == []


def test_every_type_of_notification_is_in_the_contract_and_the_openapi_document() -> None:
    assert missing({kind.value for kind in NoticeType}, section(5), OPENAPI) == []


def test_every_setting_has_its_default_and_its_limits_in_the_contract() -> None:
    rows = dict(re.findall(r"^\| `(HEIST_\w+)` \| (.*) \|.*\|$", section(7), re.MULTILINE))
    assert rows.keys() == DECLARED.keys()
    for name, row in rows.items():
        default, allowed = row.split(" | ")
        assert str(DECLARED[name].default).lower() == default, name
        if "–" not in allowed:
            for value in allowed.split(", "):
                parse_settings({name: value})
            continue
        lowest, highest = map(int, allowed.split("–"))
        for value in (lowest, highest):
            parse_settings({name: value})
        for value in (lowest - 1, highest + 1):
            with pytest.raises(InvalidSettings):
                parse_settings({name: value})


def test_every_parameter_is_in_the_contract() -> None:
    settings = {name.title().replace("_", "") for name in DECLARED}
    assert settings <= PARAMETERS.keys()
    assert missing(set(PARAMETERS) - settings, section(7)) == []


def test_every_output_is_in_the_contract() -> None:
    assert missing(set(TEMPLATE["Outputs"]), section(8)) == []


def test_every_event_in_is_in_the_contract() -> None:
    types = set(re.findall(r"detail-type: \[(\w+)\]", (ROOT / "template.yaml").read_text("utf-8")))
    assert missing(types, section(4)) == []


def test_every_event_out_is_in_the_contract_and_has_a_schema_for_its_readers() -> None:
    bus = ast.parse((ROOT / "layers/heist_core/heist_core/messaging/bus.py").read_text("utf-8"))
    events = {
        node.name
        for node in bus.body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(b) == "TypedDict" for b in node.bases)
    }
    readme = (DOCS / "events-out" / "README.md").read_text("utf-8")
    assert missing(events, section(6), readme) == []
    schemas = {path.name.partition(".")[0] for path in DOCS.glob("events-out/*.schema.json")}
    assert schemas == events


def test_every_metric_is_on_its_page_and_every_one_there_is_counted() -> None:
    counting = [*calls("count"), *calls("count_even_none")]
    counted = {name for call in counting if call.args for name in texts(call.args[0]) if name}
    assert "HeistsSucceeded" in counted
    listed = set(re.findall(r"`([A-Z]\w+)`", "".join(_first_cells(DOCS / "metrics.md"))))
    assert listed == counted


def _first_cells(page: Path) -> list[str]:
    return [
        line.split("|")[1]
        for line in page.read_text("utf-8").splitlines()
        if line.startswith("| `")
    ]


# --- Their form ----------------------------------------------------------------------------------


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """The lines of a page outside its code blocks and tables."""
    fenced = False
    for number, line in enumerate(page.read_text("utf-8").splitlines(), start=1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("|"):
            yield number, line


@pages
def test_prose_is_wrapped(page: Path) -> None:
    """The address of a link and the name of a test do not count."""
    long = [
        number
        for number, line in prose(page)
        if len(re.sub(r"(?<=\])\([^)]*\)|::test_\w+", "", line)) > LINE_LENGTH
    ]
    assert long == []


@pages
def test_links_to_files_and_headings_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    broken = [
        target for target in targets if not target.startswith("http") and _broken(page, target)
    ]
    assert broken == []


@pages
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"`(?:tests/)?([\w/]+\.py)::(\w+)", page.read_text("utf-8"))
    assert [
        f"{file}::{test}"
        for file, test in named
        if f"def {test}(" not in (ROOT / "tests" / file).read_text("utf-8")
    ] == []


def test_the_page_on_security_names_tests_for_every_attacker() -> None:
    text = (DOCS / "security.md").read_text("utf-8")
    attackers = text.split("\n## ")[2:-2]
    assert [part.splitlines()[0] for part in attackers if "::test_" not in part] == []


def _broken(page: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    return not path.exists() or bool(anchor and anchor not in _anchors(path))


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    titles = [line.lstrip("#").strip() for _, line in prose(page) if re.match(r"#+ ", line)]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
