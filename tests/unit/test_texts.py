"""Texts as data: whose language, what a placeholder does, and what `make check` finds."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from heist_core.texts import FOLDER, PLACEHOLDER, fill, languages, nearest, texts_for
from tests.texts import every_mail, every_message, every_page, problems

Tree = dict[str, Any]


def test_the_texts_of_every_language_show_what_the_code_gives_them() -> None:
    assert list(problems()) == []


def test_there_is_more_than_one_language_and_the_default_is_one() -> None:
    assert {"en", "de"} <= set(languages())


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        (None, "en"),
        ("en", "en"),
        ("en-GB", "en"),
        ("de", "de"),
        ("DE", "de"),
        ("de-CH-1996", "de"),
        ("tlh", "en"),
        ("x-de", "en"),
        ("den", "en"),
    ],
)
def test_a_player_reads_their_language_or_english(locale: str | None, language: str) -> None:
    assert texts_for(locale).language == language


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("pt-BR", "pt-BR"),
        ("pt-br-u-co-standard", "pt-BR"),
        ("pt-PT", "pt-BR"),
        ("pt", "pt-BR"),
        ("zh-Hant-TW", "zh-Hant"),
        ("zh-TW", "zh"),
        ("p", "en"),
    ],
)
def test_the_nearest_file_is_the_longest_that_fits_then_one_of_the_language(
    locale: str, language: str
) -> None:
    assert nearest(locale, ("en", "pt-BR", "zh", "zh-Hant")) == language


@pytest.mark.parametrize(
    ("text", "values", "filled"),
    [
        ("Hi {name|Player},", {"name": "Bob"}, "Hi Bob,"),
        ("Hi {name|Player},", {"name": None}, "Hi Player,"),
        ("Hi {name|Player},", {"name": ""}, "Hi ,"),
        ("{points} {points:point|points}", {"points": 1}, "1 point"),
        ("{points} {points:point|points}", {"points": 0}, "0 points"),
        ("{points} {points:point|points}", {"points": 2}, "2 points"),
        ("{name|you}", {"name": "{points} {x|y} $z %s"}, "{points} {x|y} $z %s"),
        ("a { color: red } b", {}, "a { color: red } b"),
    ],
)
def test_a_placeholder_shows_its_value(
    text: str, values: dict[str, str | int | None], filled: str
) -> None:
    assert fill(text, values) == filled


def test_every_text_is_whole_in_every_language() -> None:
    for language in languages():
        texts = texts_for(language)
        for name in ("Bob", None):
            mails = every_mail(texts, name, name)
            pages = [each for page in every_page(texts, name) for each in (page.title, page.text)]
            parts = [part for mail in mails for part in mail]
            for text in (*every_message(texts, name), *parts, *pages):
                assert "None" not in text
                assert re.search(PLACEHOLDER, text) is None


def _set(key: str, text: object) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        *way, last = key.split(".")
        for name in way:
            tree = tree[name]
        if text is None:
            del tree[last]
        else:
            tree[last] = text

    return change


LINE = "mail.success.line"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            _set(LINE, "You robbed {othr|someone} of {points}."),
            [
                "mail.success.line: {othr}: is unknown here, allowed: {other}, {points}",
                "mail.success.line: {other}: is missing",
            ],
        ),
        (_set(LINE, "You robbed {other|someone}."), ["mail.success.line: {points}: is missing"]),
        (
            _set(LINE, "You robbed {other} of {points}."),
            [f"{LINE}: {{other}}: other may be unknown, so write {{other|someone}} or the like"],
        ),
        (
            _set(LINE, "You robbed {other|someone} of {points|some}."),
            ["mail.success.line: {points|some}: points is never unknown, so write {points}"],
        ),
        (
            _set("mail.greeting", "Hi {name:Player|Players}, {name|you}"),
            ["mail.greeting: {name:Player|Players}: name is no number to choose by"],
        ),
        (
            _set("mail.why", "Because {you play."),
            ["mail.why: has a brace that belongs to no placeholder"],
        ),
        (_set(LINE, None), ["mail.success.line: is missing"]),
        (_set("mail.success.lines", "x"), ["mail.success.lines: is unused, nothing shows it"]),
        (_set("mail.why", ""), ["mail.why: is empty"]),
        (_set("mail.why", ["a", "b"]), ["why: must be a text"]),
    ],
)
def test_what_is_wrong_with_a_text_names_file_key_and_placeholder(
    tmp_path: Path, change: Callable[[Tree], None], told: list[str]
) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "texts")
    tree = json.loads((folder / "de.json").read_text("utf-8"))
    change(tree)
    (folder / "de.json").write_text(json.dumps(tree), "utf-8")
    assert list(problems(folder)) == [f"de.json: {problem}" for problem in told]


def test_what_is_wrong_with_a_layout_names_it_and_the_placeholder(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "texts")
    layout = (folder / "mail.txt").read_text("utf-8")
    (folder / "mail.txt").write_text(layout.replace("{hint}", "{hnt}"), "utf-8")
    assert [problem.split(", allowed")[0] for problem in problems(folder)] == [
        "mail.txt: {hnt}: is unknown here",
        "mail.txt: {hint}: is missing",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"mail": {"why": "a", "why": "b"}}', "why: is there twice"),
        ('{"mail": ', "Expecting value: line 1 column 10 (char 9)"),
    ],
)
def test_a_file_that_is_no_tree_of_texts_is_said_so(tmp_path: Path, text: str, told: str) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "texts")
    (folder / "fr.json").write_text(text, "utf-8")
    assert list(problems(folder)) == [f"fr.json: {told}"]
