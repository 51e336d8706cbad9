"""Each page on a phone and on a desk, dark and light: nothing sticks out or is hard to use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stage import Stage

PICTURES = Path(__file__).parents[2] / ".cache/web-pictures"
PAGES = ("live", "speak", "setup", "setup/jaw/find", "setup/upper_lip/near", "setup/jaw/speed",
         "setup/lower_lip/look", "setup/review", "config", "doctor", "about")  # fmt: skip
SIZES = {"phone": (360, 740), "desk": (1280, 800)}
STICKS_OUT = """() => {
  const wide = document.documentElement.scrollWidth - window.innerWidth;
  const inScroller = (e) => {
    for (let p = e.parentElement; p; p = p.parentElement)
      if (['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(p).overflowX)) return true;
    return false;
  };
  const out = [...document.body.querySelectorAll('*')].filter((e) => {
    const box = e.getBoundingClientRect();
    return box.width && (box.right > window.innerWidth + 1 || box.left < -1) && !inScroller(e)
      && getComputedStyle(e).position !== 'fixed' && !e.closest('.visually-hidden');
  });
  return [wide, out.slice(0, 5).map((e) => e.outerHTML.slice(0, 120))];
}"""
TOO_SMALL = """() => [...document.querySelectorAll('button, a, input, select, [role=tab]')]
  .filter((e) => e.offsetParent && !e.closest('p, li, td, label') && e.type !== 'checkbox'
    && e.type !== 'range' && e.type !== 'radio' && e.type !== 'file')
  .filter((e) => { const b = e.getBoundingClientRect(); return b.height < 24 || b.width < 24; })
  .map((e) => e.outerHTML.slice(0, 100))"""


def opened(chromium: Any, stage: Stage, size: str, scheme: str, logged_in: bool) -> Any:
    """A browser window of that size, logged in or not."""
    width, height = SIZES[size]
    context = chromium.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme,
        reduced_motion="reduce", has_touch=size == "phone",
    )  # fmt: skip
    if logged_in:
        name, _, value = stage.asker().cookie.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": stage.page.address}])
    page = context.new_page()
    page.complaints = []  # what the browser's console says
    page.on("console", lambda m: m.type == "error" and page.complaints.append(m.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    return page


def show(page: Any, stage: Stage, name: str) -> None:
    """Open one of the pages and wait until it is drawn."""
    page.goto(f"{stage.page.address}/#{name}")
    page.wait_for_selector("main :is(h1, h2)")
    page.wait_for_timeout(700)


@pytest.fixture(
    scope="module", params=[(s, c) for s in SIZES for c in ("dark", "light")], ids="-".join
)
def window(
    request: pytest.FixtureRequest, stage: Stage, chromium: Any
) -> Iterator[tuple[str, Any]]:
    size, scheme = request.param
    page = opened(chromium, stage, size, scheme, logged_in=True)
    yield f"{size}-{scheme}", page
    page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_nothing_sticks_out(window: tuple[str, Any], stage: Stage, name: str) -> None:
    kind, page = window
    show(page, stage, name)
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name.replace('/', '-')}-{kind}.png", full_page=True)
    wide, elements = page.evaluate(STICKS_OUT)
    assert wide <= 0, elements
    assert elements == []
    assert page.evaluate(TOO_SMALL) == []
    assert page.complaints == []


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(window: tuple[str, Any], stage: Stage, name: str) -> None:
    _, page = window
    show(page, stage, name)
    assert_axe_is_content(page)


def assert_axe_is_content(page: Any) -> None:
    """No finding of impact serious or critical. The CSP forbids scripts of others in the page, so
    axe comes in by the debugger."""
    script = os.environ.get("AXE")
    if not script:
        pytest.skip("no axe-core: make test-web brings it")
    page.evaluate(Path(script).read_text() + "; undefined")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert len(found["passes"]) > 5
    bad = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert [(v["id"], [node["html"][:150] for node in v["nodes"][:3]]) for v in bad] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_stranger_sees_a_page_too(stage: Stage, chromium: Any, name: str) -> None:
    page = opened(chromium, stage, "phone", "light", logged_in=False)
    show(page, stage, name)
    wide, elements = page.evaluate(STICKS_OUT)
    assert (wide <= 0, elements) == (True, [])
    assert_axe_is_content(page)
    assert [text for text in page.complaints if "401" not in text] == []
    page.context.close()


def test_a_wrong_pin_is_told_and_the_right_one_opens(stage: Stage, chromium: Any) -> None:
    page = opened(chromium, stage, "phone", "dark", logged_in=False)
    show(page, stage, "setup")
    pin = stage.pin()
    field = page.get_by_label("PIN").first
    field.fill(f"{(int(pin) + 1) % 1_000_000:06d}")
    field.press("Enter")
    page.get_by_text("That is not the PIN").first.wait_for()
    field.fill(pin)
    field.press("Enter")
    field.wait_for(state="hidden")
    assert page.evaluate("document.cookie") == ""  # scripts cannot read it
    assert len(page.context.cookies()) == 1
    page.context.close()


def test_everything_is_reached_by_keyboard(stage: Stage, chromium: Any) -> None:
    page = opened(chromium, stage, "desk", "light", logged_in=True)
    show(page, stage, "live")
    names = []
    for _ in range(40):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate("""() => {
          const e = document.activeElement, s = getComputedStyle(e);
          if (e === document.body) return ['', true];  // after the last one
          return [e.innerText || e.ariaLabel || e.name || '', s.outlineStyle !== 'none'
            || s.boxShadow !== 'none'];
        }""")
        )
    told = " ".join(name.lower() for name, _ in names)
    for word in ("speak", "set up", "detach"):
        assert word in told
    assert [name for name, seen in names if name and not seen] == []
    page.context.close()


def test_nothing_comes_from_elsewhere(stage: Stage, chromium: Any) -> None:
    """It works without internet: every request goes to the head."""
    page = opened(chromium, stage, "desk", "light", logged_in=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for name in PAGES:
        show(page, stage, name)
    hosts = {url.split("/")[2] for url in asked if "://" in url and not url.startswith("data:")}
    assert hosts == {stage.page.address.split("/")[2]}
    page.context.close()
