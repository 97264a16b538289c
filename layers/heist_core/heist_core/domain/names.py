"""Cleans and cuts the names of players, which are untrusted text."""

import re
import unicodedata

NAME_LIMIT = 100

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNWANTED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_VIRAMA = 9
"""The combining class of the signs that join letters to an Indic conjunct."""
_BLANKS = "\u2800\U0001d159"
"""Symbols that are drawn as nothing: an empty braille cell, and a note without a head."""

# Texts, compiled when first used.
_IGNORABLE = (
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt), and annotation marks."""
_PICTURE = (
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001fffd]\ufe0f?[\U0001f3fb-\U0001f3ff]?"
)
_EMOJI = (
    "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"  # flag of a region
    "|[0-9#*]\ufe0f\u20e3"  # keycap
    f"|{_PICTURE}(?:\u200d{_PICTURE}){{0,4}}"
)
"""Emoji sequences (Unicode's UTS 51), the only place where what is ignorable belongs to a name."""
_KEPT_OR_IGNORABLE = f"({_EMOJI})|{_IGNORABLE}"


def clean_name(name: str | None) -> str | None:
    """A name fit to be shown, or None when nothing of it can be seen.

    Without control, bidi and ignorable characters, and of at most 100 characters, cut where one
    that people see as one ends.
    """
    if name is None:
        return None
    steady = "".join(character for character in name if not steers(character))
    kept = cut(re.sub(_KEPT_OR_IGNORABLE, lambda found: found[1] or "", steady), NAME_LIMIT)
    return kept if any(map(_visible, kept)) else None


def steers(character: str) -> bool:
    """Whether a character steers what shows it (control, bidi, line separators) instead of being
    shown."""
    return character in _BIDI or unicodedata.category(character) in _UNWANTED_CATEGORIES


def cut(text: str, limit: int) -> str:
    """The first `limit` characters or fewer, so that what people see as one is not cut.

    What is longer than the limit by itself (a letter below a pile of marks) is cut all the same.
    """
    if len(text) <= limit:
        return text
    border = start = 0
    for position in range(1, limit + 1):
        if not _joined(text[start:position], text[position]):
            border = start = position
    return text[: border or limit]


def _joined(cluster: str, after: str) -> bool:
    """Whether people see a character as part of what stands before it.

    Unicode's rules for grapheme clusters (UAX 29), short of its tables: what is joined by them is
    joined here, too.
    """
    before = cluster[-1]
    if _is_mark(after) or after == "\u200d" or _modifies(after):
        return True
    if unicodedata.category(before) == "Cf" and not _is_tag(before):
        return True  # joiners, and signs that stand around what follows
    if _is_flag_letter(before) and _is_flag_letter(after):
        return sum(map(_is_flag_letter, cluster)) % 2 == 1
    if unicodedata.combining(before) == _VIRAMA:
        return after.isalpha()
    if _is_inner_jamo(after):
        return _is_hangul(before)
    return _is_leading_jamo(before) and _is_hangul(after)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def _modifies(character: str) -> bool:
    """Skin tones, tags of a flag, and what Unicode holds for letters though it is written as marks:
    halfwidth sound marks, Thai and Lao AM."""
    return (
        "\U0001f3fb" <= character <= "\U0001f3ff"
        or _is_tag(character)
        or character in "\uff9e\uff9f\u0e33\u0eb3"
    )


def _is_tag(character: str) -> bool:
    return "\U000e0020" <= character <= "\U000e007f"


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_leading_jamo(character: str) -> bool:
    return "\u1100" <= character <= "\u115f" or "\ua960" <= character <= "\ua97c"


def _is_inner_jamo(character: str) -> bool:
    """Vowels and final consonants."""
    return "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7fb"


def _is_hangul(character: str) -> bool:
    return (
        "\uac00" <= character <= "\ud7a3"
        or _is_leading_jamo(character)
        or _is_inner_jamo(character)
    )


def _visible(character: str) -> bool:
    return not (
        character.isspace()
        or character in _BLANKS
        or unicodedata.category(character) == "Cf"
        or _is_mark(character)
    )
