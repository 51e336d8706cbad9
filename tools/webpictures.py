"""Pictures of the page on a phone, from the real page of a head that speaks: docs/web-*.png.

python -m lipsync_tools.webpictures docs
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lipsync_edge.cli import SAMPLE
from lipsync_edge.web.pairing import make_pin
from lipsync_tools.webstage import Head, Page, until

CONFIG = """\
# A jaw and two lips, printed in blue.
head: jaw-lips

audio: {driver: dummy}
board: {driver: simulator}

servos:
  jaw:
    min_us: 1420    # teeth closed
    max_us: 1780
    neutral_us: 1420
"""
SIZE = {"width": 360, "height": 780}
COLOURS = 128


def login(page: Any, address: str, pin: str) -> None:
    """As a person does it."""
    page.goto(f"{address}/#setup")
    field = page.get_by_label("PIN").first
    field.fill(pin)
    field.press("Enter")
    field.wait_for(state="hidden")


def live(page: Any) -> None:
    """The face in mid-sentence."""
    face = page.locator("[data-opening]")  # its CSP forbids Playwright's wait_for_function
    until(lambda: float(face.get_attribute("data-opening")) > 0.2, word="an open mouth")


def calm(page: Any) -> None:
    """Whatever a page shows when it has loaded."""
    page.wait_for_timeout(1200)


def text(page: Any) -> None:
    """The config as it is edited."""
    page.locator("#problems li").wait_for()
    page.evaluate("window.scrollTo(0, 96)")


def walking(page: Any) -> None:
    """A servo that goes to its limit while a button is held."""
    page.hover("[data-move='longer']")
    page.mouse.down()
    until(lambda: position_us(page) > 1640, word="a servo on its way")
    page.evaluate("window.scrollTo(0, 58)")


def position_us(page: Any) -> float:
    """What the page says, us; 0: not known."""
    first = page.inner_text("[data-value='POS']").split()[0]
    return float(first) if first.isdigit() else 0.0


def found(page: Any) -> None:
    """The difference that Save would make."""
    fill(page, "jaw", {"rest": 1436, "far": 1748})
    page.goto(page.url.partition("#")[0] + "#setup/review")
    page.get_by_text("The head takes these values").wait_for()
    page.locator("pre.changes").wait_for()
    page.get_by_role("heading", name="Save", exact=True).scroll_into_view_if_needed()
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")


def fill(page: Any, servo: str, points: dict[str, int]) -> None:
    """Type the points of a servo."""
    page.goto(page.url.partition("#")[0] + f"#setup/{servo}/look")
    for point, us in points.items():
        page.fill(f"[data-point='{point}']", str(us))
        page.keyboard.press("Tab")


VIEWS: tuple[tuple[str, str, str, Callable[[Any], None]], ...] = (
    ("live", "live", "dark", live),
    ("setup", "setup", "light", calm),
    ("limit", "setup/jaw/far", "light", walking),
    ("save", "setup", "light", found),
    ("speak", "speak", "dark", calm),
    ("config", "config", "light", text),
)


def shoot(browser: Any, head: Head, page: Page, state: Path, out: Path) -> None:
    """All views, each a file of ``out``."""
    for name, route, scheme, ready in VIEWS:
        context = browser.new_context(viewport=SIZE, color_scheme=scheme, device_scale_factor=2)
        window = context.new_page()
        login(window, page.address, make_pin(state))
        window.goto(f"{page.address}/#{route}")
        head.ask("hush")
        head.say(SAMPLE)
        ready(window)
        path = out / f"web-{name}.png"
        window.screenshot(path=path)
        window.mouse.up()
        squeeze(path)
        context.close()
        head.ask("follow")
        print(path)


def squeeze(path: Path) -> None:
    """As few colours as one does not miss."""
    from PIL import Image

    with Image.open(path) as picture:
        flat = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    flat.save(path, optimize=True)


def main() -> int:
    """Make them."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(prog="webpictures", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="where they go")
    out = parser.parse_args().folder
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if not program:
        print("chromium is missing: sh tools/system-packages.sh web", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        config, control, state = folder / "robot.yaml", folder / "head.sock", folder / "state"
        config.write_text(CONFIG)
        state.mkdir()
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with (
            Head(config, control, "--set", f"service.socket={control}") as head,
            Page(folder, control, "--state-dir", name + "/state") as page,
        ):
            shoot(browser, head, page, state, out)
        browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
