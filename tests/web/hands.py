"""What somebody does with the page, in a real browser."""

from __future__ import annotations

from typing import Any, Self

from stage import Stage

from lipsync_tools.webstage import until

PHONE = {"width": 360, "height": 740}


class Hands:
    """A window of a phone; ``complaints``: what its console says. Use as a context manager."""

    def __init__(self, stage: Stage, chromium: Any, knows_pin: bool = True, **options: Any) -> None:
        self.stage = stage
        self.context = chromium.new_context(viewport=PHONE, **options)
        if knows_pin:
            name, _, value = stage.asker().cookie.partition("=")
            cookie = {"name": name, "value": value, "url": stage.page.address}
            self.context.add_cookies([cookie])
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda m: m.type == "error" and self.complaints.append(f"{m.text}"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def open(self, route: str) -> None:
        """Go to a page of the page, and wait until it is drawn."""
        self.page.goto(f"{self.stage.page.address}/#{route}")
        self.page.wait_for_selector("main .card")

    def click(self, words: str) -> None:
        """Press a button, or follow a link, of exactly these words."""
        self.page.get_by_role("button", name=words, exact=True).or_(
            self.page.get_by_role("link", name=words, exact=True)
        ).click()

    def read(self, words: str) -> None:
        """Wait until these words are somewhere on the page."""
        seen = self.page.locator("body")
        try:
            until(lambda: words in seen.inner_text(), 20, word=f"{words!r} on {self.page.url}")
        except AssertionError as error:
            raise AssertionError(f"{error}; there is: {seen.inner_text()}") from None

    def faults(self) -> list[str]:
        """What the console complains of, beside answers that refuse something."""
        refused = ("status of 4", "status of 503", "status of 502")
        return [words for words in self.complaints if not any(r in words for r in refused)]
