"""The description of the API is that of the API."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lipsync_edge.web import head, routes
from lipsync_edge.web.base import Api
from lipsync_edge.web.routes import API

FILE = Path(routes.__file__).with_name("openapi.json")
DOCUMENT: dict[str, Any] = json.loads(FILE.read_text())
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
        node = DOCUMENT
        for key in reference.split("/"):
            node = node[key]
    orders = DOCUMENT["paths"][f"{API}/do"]["post"]["requestBody"]["content"]["application/json"]
    assert tuple(orders["schema"]["properties"]["cmd"]["enum"]) == head.COMMANDS
