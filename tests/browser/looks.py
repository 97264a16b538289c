"""What may be wrong with how a screen looks, and the names and widths it is tried with."""

import importlib.resources
from typing import Any

from tests.browser.conftest import Scheme, Tab

AXE = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
HOSTILE = {
    "script": "<script>document.title='owned'</script>",
    "image": '"><img src=x onerror="document.title=1">',
    "long": "W" * 100,
    "right-to-left": "مرحبا بالعالم שלום",
    "emoji": "👩‍👩‍👧‍👦🏴‍☠️💰" * 8,
}
NARROW, WIDE = 320, 1280
LOOKS: tuple[tuple[int, Scheme, tuple[str, ...]], ...] = (
    (NARROW, "light", tuple(HOSTILE)),
    (NARROW, "dark", ("long",)),
    (WIDE, "light", ("long", "right-to-left")),
    (WIDE, "dark", ("long",)),
)
"""Widths and colours, and whose screens are looked at in them: names do not change the colours."""


def violations(tab: Tab) -> list[Any]:
    """What axe finds, in short. Evaluated from outside, so the page's policy stays as it is."""
    if not tab.page.evaluate("'axe' in window"):
        tab.page.evaluate(AXE)
    found = tab.page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [
        (each["id"], [node["html"][:150] + str(node["failureSummary"]) for node in each["nodes"]])
        for each in found
    ]


def overflow(tab: Tab) -> list[str]:
    """Elements that stick out at the side, of the window or of their card."""
    found: list[str] = tab.page.evaluate("""() => {
      const clipped = each => each
        && (getComputedStyle(each).clipPath !== 'none' || clipped(each.parentElement));
      const edge = each => Math.min(
        innerWidth, each.closest('.card')?.getBoundingClientRect().right ?? innerWidth);
      return [...document.querySelectorAll('body *')]
        .filter(each => each.getBoundingClientRect().right > edge(each) + 1
          && !each.closest('pre, .skip') && !clipped(each))
        .map(each => each.outerHTML.slice(0, 200));
    }""")
    return found
