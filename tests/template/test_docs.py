"""The pages tell nobody to do what cannot be undone."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ERASING = re.compile(
    r"delete-table|delete-item|DeleteRequest|migrate reset|drop (?:table|database)|truncate table"
    r"|delete-backup|--disable-deletion-protection|no-deletion-protection",
    re.IGNORECASE,
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_has_a_command_that_erases_points_or_the_table(page: Path) -> None:
    assert ERASING.findall(page.read_text("utf-8")) == []
