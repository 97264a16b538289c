"""Every mail in every language as a browser shows it, narrow and wide, light and dark.

The pictures in .local/pictures are for a look: what can be counted is asserted here.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import pytest
from playwright.sync_api import BrowserContext, Page, ViewportSize

from heist_core.domain.names import clean_name
from heist_core.texts import languages, texts_for
from tests.browser.conftest import PICTURES
from tests.texts import every_mail

MOST_BYTES = 102_000
"""What Gmail shows of a mail; it cuts off the rest."""
WIDEST = 600
ENOUGH_CONTRAST = 4.5
SMALLEST_TEXT = 12

Scheme = Literal["light", "dark"]

NAMES = (
    None,
    "Alice",
    "<img src=x onerror=alert(1)></td></table><script>alert(1)</script>",
    '"\' style="display:none" onmouseover=alert(1)',
    "https://evil.example/login?a=1&b=2",
    "W" * 100,
    "Z" + "\u0301" * 99,
    "Your account is locked. Call +1 800 555 0199 now",
    "مرحبا בני 0123",
    "李小龍的非常非常非常非常非常非常非常非常非常非常非常非常非常長的名字",
    "👨\u200d👩\u200d👧\u200d👦" * 9,
    "﷽" * 40,
)

USUAL, LONG = NAMES[:2], (NAMES[1], "W" * 100)

LOOK = """() => {
  const colours = document.createElement('canvas').getContext('2d', {willReadFrequently: true})
  const rgba = colour => {
    colours.clearRect(0, 0, 1, 1)
    colours.fillStyle = colour
    colours.fillRect(0, 0, 1, 1)
    return [...colours.getImageData(0, 0, 1, 1).data]
  }
  const luminance = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map(each => {
      const share = each / 255
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const behind = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = rgba(getComputedStyle(each).backgroundColor)
      if (colour[3] === 255) return colour
    }
    return [255, 255, 255, 255]
  }
  const texts = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const node = walker.currentNode
    if (!node.data.trim()) continue
    const style = getComputedStyle(node.parentElement)
    const range = document.createRange()
    range.selectNodeContents(node)
    const boxes = [...range.getClientRects()]
    const [light, dark] = [luminance(rgba(style.color)), luminance(behind(node.parentElement))]
      .sort((a, b) => b - a)
    texts.push({
      text: node.data.trim(),
      seen: style.display !== 'none' && style.visibility === 'visible' && style.opacity === '1',
      left: Math.min(...boxes.map(box => box.left)),
      right: Math.max(...boxes.map(box => box.right)),
      size: parseFloat(style.fontSize),
      contrast: (light + 0.05) / (dark + 0.05),
    })
  }
  const card = document.querySelector('.card').getBoundingClientRect()
  return {
    texts,
    card: card.width,
    scrolls: document.documentElement.scrollWidth > innerWidth,
    mode: document.compatMode,
    shown: document.body.innerText,
    dark: luminance(behind(document.body)) < 0.2,
    tags: [...document.querySelectorAll('*')].map(each => each.tagName),
  }
}"""


@pytest.fixture
def page(shared: BrowserContext) -> Iterator[Page]:
    """For the HTML of one mail after another."""
    page = shared.new_page()
    yield page
    page.close()


def look(page: Page, html: str) -> Any:
    """What can be seen of a page, and counted."""
    page.set_content(html)
    return page.evaluate(LOOK)


def assert_readable(seen: Any, width: int) -> None:
    preheader, *rest = seen["texts"]
    assert not preheader["seen"]
    assert not seen["scrolls"]
    assert seen["card"] <= WIDEST
    for text in rest:
        assert text["seen"], text
        assert text["left"] >= 0, text
        assert text["right"] <= width, text
        assert text["size"] >= SMALLEST_TEXT, text
        assert text["contrast"] >= ENOUGH_CONTRAST, text


@pytest.mark.parametrize(
    ("width", "scheme", "names"),
    [(320, "light", NAMES), (640, "light", LONG), (320, "dark", USUAL), (640, "dark", USUAL)],
)
@pytest.mark.parametrize("language", languages())
def test_a_mail_can_be_read(
    page: Page, language: str, width: int, scheme: Scheme, names: Sequence[str | None]
) -> None:
    """Names change neither colours nor, beside the longest, what fits into the wider window."""
    texts = texts_for(language)
    beyond: list[str] = []
    page.set_viewport_size(ViewportSize(width=width, height=400))
    page.emulate_media(color_scheme=scheme)
    page.on("request", lambda request: beyond.append(request.url))
    page.on("dialog", lambda dialog: beyond.append(dialog.message))
    tags = [look(page, mail.html)["tags"] for mail in every_mail(texts)]
    for which, name in enumerate(map(clean_name, names)):
        for form, mail in enumerate(every_mail(texts, name, name)):
            seen = look(page, mail.html)
            assert_readable(seen, width)
            assert seen["tags"] == tags[form]
            assert seen["mode"] == "CSS1Compat"
            assert seen["dark"] == (scheme == "dark")
            assert seen["texts"][0]["text"] in mail.text
            assert len(mail.html.encode()) < MOST_BYTES
            if name == "Alice" or form == 0:
                keep(page, f"mail-{language}-form{form}-name{which}-{width}-{scheme}")
    assert beyond == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_mail_can_be_read_where_the_style_element_is_taken_out(
    page: Page, scheme: Scheme
) -> None:
    page.emulate_media(color_scheme=scheme)
    for mail in every_mail(texts_for("en")):
        bare = re.sub("<style>.*?</style>", "", mail.html, flags=re.DOTALL)
        assert_readable(look(page, bare), 1280)


def keep(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
