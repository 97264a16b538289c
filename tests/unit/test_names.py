"""Names: which characters are kept, where a name is cut, when it is none (SPEC section 1)."""

import itertools
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heist_core.domain.names import clean_name, cut


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (None, None),
        ("", None),
        ("   ", None),
        ("\r\n\t", None),
        ("Bob", "Bob"),
        (" Bob ", " Bob "),
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 100),
        ("\u202e" * 50 + "x" * 101, "x" * 100),
        ("Bob\r\nBcc: all@example.com", "BobBcc: all@example.com"),
        ("a\x00b\x1b[31mc\x7f\x85d", "ab[31mcd"),
        ("\u202eevil\u202c\u2066x\u2069\u200e\u200f\u061c", "evilx"),
        ("line\u2028para\u2029", "linepara"),
        ("half\ud83dpair", "halfpair"),
        ("👩‍🚀 Zoë 李", "👩‍🚀 Zoë 李"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
    ],
)
def test_a_name_is_kept_but_for_what_must_not_be_shown(name: str | None, kept: str | None) -> None:
    assert clean_name(name) == kept


@given(st.text())
def test_a_clean_name_stays_as_it_is(name: str) -> None:
    once = clean_name(name)
    assert clean_name(once) == once


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("evil\u00ad.com/login", "evil.com/login"),  # soft hyphen
        ("evil\ufe0f.com", "evil.com"),  # variation selector
        ("ev\u034fil\U000e0100", "evil"),  # combining grapheme joiner, variation selector 17
        ("a\u200bb\u200cc\u200dd\u2060e\ufefff", "abcdef"),
        ("a\u3164\u115f\u1160\uffa0b", "ab"),  # fillers
        ("a\u17b4\u180b\u180eb\u2064c\u206fd\ufff9e\ufffb", "abcde"),
        ("a\U000e0001\U000e0061\U000e007fb", "ab"),  # tags
        ("\U0001f3f4" + "\U000e0061" * 60, "\U0001f3f4"),  # a flag with a hidden text
        ("1\ufe0f2\ufe0f", "12"),
        ("नी\u200dर", "नीर"),
        ("❤\ufe0f\ufe0f", "❤\ufe0f"),
        ("👩\u200d", "👩"),
        ("\u200d👩", "👩"),
        ("👩\u200dx", "👩x"),
        ("❤\ufe0e", "❤"),
    ],
)
def test_what_is_not_drawn_goes(name: str, kept: str) -> None:
    assert clean_name(name) == kept


IGNORABLE = (  # Default_Ignorable_Code_Point of DerivedCoreProperties.txt, but for what Cf has
    *("\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u2065", "\u3164", "\uffa0"),
    *map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xFFF0, 0xFFF9))),
    *map(chr, range(0xE0000, 0xE1000)),
)
SHOWN_FORMATS = (  # of Cf: signs around numbers and verses, and what joins hieroglyphs
    *map(chr, (*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD)),
    *map(chr, range(0x13430, 0x13440)),
)
UNICODE = [chr(point) for point in range(sys.maxunicode + 1)]


def _goes(character: str) -> bool:
    kind = unicodedata.category(character)
    return (
        kind in ("Cc", "Cs", "Zl", "Zp")
        or (kind == "Cf" and character not in SHOWN_FORMATS)
        or character in _GOING
    )


_GOING = frozenset(IGNORABLE)


def test_in_all_of_unicode_just_what_is_ignorable_or_steers_goes() -> None:
    for start in range(0, len(UNICODE), 49):
        characters = UNICODE[start : start + 49]
        kept = "a".join("" if _goes(character) else character for character in characters)
        assert clean_name(f"a{'a'.join(characters)}a") == f"a{kept}a", hex(start)


def test_in_all_of_unicode_a_name_of_what_nobody_sees_is_none_and_any_other_is_one() -> None:
    for character in UNICODE:
        kind = unicodedata.category(character)
        unseen = (
            _goes(character) or kind[0] in "MZ" or kind == "Cf" or character in "\u2800\U0001d159"
        )
        if unseen or kind not in ("Cn", "Co", "Lo"):  # what is one of very many is drawn as any
            assert (clean_name(character) is None) == unseen, hex(ord(character))
            assert (clean_name(f"\u3164{character} \u0301") is None) == unseen, hex(ord(character))


@pytest.mark.parametrize(
    "name",
    [
        *("Ana 👩\u200d💻", "👩🏽\u200d🚀", "👨\u200d👩\u200d👧\u200d👦"),
        *("👩🏻\u200d❤\ufe0f\u200d💋\u200d👨🏿", "❤\ufe0f", "🏳\ufe0f\u200d🌈", "🏴\u200d☠\ufe0f"),
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # England
        "🇩🇪🇫🇷",
        "1\ufe0f\u20e3#\ufe0f\u20e3",
        "⬅\ufe0f☎\ufe0f©\ufe0f",
    ],
)
def test_what_makes_an_emoji_stays(name: str) -> None:
    assert clean_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", "   ", "\t\n", "\u200b", "\u200d \ufeff", "\u3164", "\u115f\u1160", "\uffa0"),
        *("\u0301", " \u0301\u0338", "\u20e3", "\u0903", "\ufe0f", "\u00ad", "\u034f", "\u2800"),
        *("\u00a0", "\u3000\u2003", "\U000e0041", "\u202e\u2066", "\U0001d159", "\u2800\u0301"),
        "\U00013430",  # joins hieroglyphs
    ],
)
def test_a_name_that_nobody_can_see_is_none(name: str) -> None:
    assert clean_name(name) is None


@pytest.mark.parametrize(
    ("last", "kept"),
    [
        ("👩🏽\u200d🚀", ""),
        ("🇩🇪", ""),
        ("🇩🇪🇫🇷", "🇩🇪"),
        ("e\u0301", ""),
        ("1\ufe0f\u20e3", ""),
        ("\u1112\u1161\u11ab", ""),  # one syllable of hangul in its parts
        ("क्षि", ""),
        ("กำ", ""),
    ],
)
def test_a_name_is_cut_where_one_character_that_people_see_ends(last: str, kept: str) -> None:
    room = len(kept) + 1
    start = "x" * (100 - room)
    assert clean_name(start + last) == start + kept


HANGUL_LEADS = ("\u1100", "\u115f", "\ua960", "\ua97c")
HANGUL_SYLLABLES = ("\uac00", "\ud7a3")
HANGUL_INNER = ("\u1160", "\u11ff", "\ud7b0", "\ud7fb")
HANGUL = (*HANGUL_LEADS, *HANGUL_SYLLABLES, *HANGUL_INNER)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        *itertools.product(HANGUL_LEADS, HANGUL),
        *itertools.product(HANGUL, HANGUL_INNER),
        *itertools.product(("e", "👩"), ("\u0301", "\u200d", "\U0001f3fb", "\U0001f3ff")),
        *itertools.product(("\u00ad", "👩\u200d"), ("👩", "x")),
        *itertools.product(("\U0001f1e6", "\U0001f1ff"), repeat=2),
        ("🇩\u200d🇪\u200d🇫", "🇷"),
        ("x", "\U000e0020"),
        ("क्", "ष"),
    ],
)
def test_what_people_see_as_one_is_not_cut(before: str, after: str) -> None:
    assert cut(f"y{before}{after}", 1 + len(before)) == "y"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        *itertools.product(HANGUL_SYLLABLES, (*HANGUL_LEADS, *HANGUL_SYLLABLES, "x")),
        *itertools.product(HANGUL_INNER, (*HANGUL_LEADS, *HANGUL_SYLLABLES)),
        *itertools.product(("x", "\u10ff", "\ua95f"), HANGUL),
        *itertools.product(HANGUL_LEADS, ("x", "\u10ff", "\u1200", "\ua95f", "\uabff")),
        *(("🇩🇪", "🇫"), ("🇩", "x"), ("🇩\u0301", "🇪"), ("x", "🇩")),
        *(("\U000e0020", "x"), ("\U000e007f", "x"), ("क्", "1"), ("क", "ष"), ("x", "x")),
    ],
)
def test_two_that_people_see_are_cut_between(before: str, after: str) -> None:
    assert cut(f"zy{before}{after}", 2 + len(before)) == f"zy{before}"


def test_a_pile_of_marks_that_is_too_long_is_cut_all_the_same() -> None:
    assert clean_name("Z" + "\u0301" * 500) == "Z" + "\u0301" * 99
    assert cut("x" * 5, 5) == "x" * 5
