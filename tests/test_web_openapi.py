"""The description of the API is that of the API."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from web_described import DOCUMENT, FILE, at

from lipsync_edge.web import head, refusal, routes
from lipsync_edge.web.base import Api, _word
from lipsync_edge.web.routes import API

GUIDE = Path(__file__).parents[1] / "docs/web-api.md"
ROWS = [row for row in routes.routes() if row[0].startswith(API)]
OPERATIONS = [(path, method) for path, item in DOCUMENT["paths"].items() for method in item]


def handler(path: str) -> Any:
    (found,) = [row[1] for row in ROWS if re.fullmatch(row[0], path)]
    return found


def test_every_route_is_described_and_none_else() -> None:
    assert len(DOCUMENT["paths"]) == len(ROWS)
    for path in DOCUMENT["paths"]:
        handler(path)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_methods_and_who_may(path: str, method: str) -> None:
    kind, operation = handler(path), DOCUMENT["paths"][path][method]
    assert method in ("get", "post")
    others = {"get", "post"} - set(DOCUMENT["paths"][path])
    for name in (method, *others):
        own = any(name in vars(c) for c in kind.__mro__ if c.__module__.startswith("lipsync_edge"))
        described = name in DOCUMENT["paths"][path]
        assert own == described or path.endswith(("/live", "/setup", "/openapi.json")), name
    public = path.endswith(("/live", "/openapi.json")) or kind.public
    assert (operation["security"] == []) == public
    if method == "post" and not public:
        assert {"csrf": [], "session": []} in operation["security"]
    assert issubclass(kind, Api) or path.endswith("openapi.json")


def test_references_lead_somewhere() -> None:
    text = FILE.read_text()
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', text):
        assert at(reference)
    orders = DOCUMENT["paths"][f"{API}/do"]["post"]["requestBody"]["content"]["application/json"]
    assert tuple(orders["schema"]["properties"]["cmd"]["enum"]) == head.COMMANDS


def test_every_word_of_a_refusal_is_described() -> None:
    texts = [path.read_text() for path in Path(routes.__file__).parent.glob("*.py")]
    said = {word for text in texts for word in re.findall(r'HttpRefused\(\s*\d+,\s*"(.+?)"', text)}
    said |= set(refusal._STATUS) | {_word(404), _word(405), _word(418), "internal"}
    code = at("#/components/schemas/Refusal")["properties"]["error"]["properties"]["code"]
    assert set(code["enum"]) == said
    table = re.findall(r"^\| \d{3} \| (`.*?) \|", GUIDE.read_text(), re.M)
    assert {word for cell in table for word in re.findall("`(.+?)`", cell)} == said


def test_every_route_is_in_the_guide() -> None:
    named = set(re.findall(r"`(?:GET|POST|WS) (/[\w./-]*)", GUIDE.read_text()))
    assert {API + name for name in named} == set(DOCUMENT["paths"])
