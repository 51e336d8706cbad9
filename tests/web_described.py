"""The API as its OpenAPI file describes it, to hold requests and answers against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lipsync_edge.web import routes

FILE = Path(routes.__file__).with_name("openapi.json")
DOCUMENT: dict[str, Any] = json.loads(FILE.read_text())
_TYPES = {
    "object": dict, "array": list, "string": str, "number": (int, float), "integer": int,
    "boolean": bool, "null": type(None),
}  # fmt: skip
_JSON = "application/json"


def at(reference: str) -> Any:
    """What ``#/a/b`` leads to. Raises KeyError."""
    node: Any = DOCUMENT
    for key in reference.removeprefix("#/").split("/"):
        node = node[key]
    return node


def check_answer(method: str, path: str, answer: Any) -> None:
    """AssertionError where an answer is not as described: nothing less, and nothing more."""
    operation = DOCUMENT["paths"][path][method]
    fit(operation["responses"]["200"]["content"][_JSON]["schema"], answer, path)


def check_body(path: str, body: Any) -> None:
    """The same of a body that was taken."""
    operation = DOCUMENT["paths"][path]["post"]
    fit(operation["requestBody"]["content"][_JSON]["schema"], body, path)


def check_refusal(answer: Any) -> None:
    """The same of a refusal."""
    fit(at("#/components/schemas/Refusal"), answer, "refusal")


def fit(schema: dict[str, Any], value: Any, place: str) -> None:
    """The part of JSON Schema that the file uses; an object has no keys but those described."""
    schema = at(schema["$ref"]) if "$ref" in schema else schema
    if "enum" in schema or "const" in schema:
        assert value in schema.get("enum", [schema.get("const")]), f"{place}: {value!r}"
        return
    names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    kinds = [_TYPES[name] for name in names]
    is_flag = isinstance(value, bool) and "boolean" not in names
    assert any(isinstance(value, kind) for kind in kinds) > is_flag, f"{place}: {value!r}"
    low, high = schema.get("minimum"), schema.get("maximum")
    assert low is None or low <= value, f"{place}: {value}"
    assert high is None or value <= high, f"{place}: {value}"
    for index, item in enumerate(value if "items" in schema else ()):
        fit(schema["items"], item, f"{place}[{index}]")
    if "properties" in schema:
        assert set(value) <= set(schema["properties"]), f"{place}: {set(value)}"
        assert set(schema.get("required", ())) <= set(value), f"{place}: {set(value)}"
        for name, item in value.items():
            fit(schema["properties"][name], item, f"{place}.{name}")
