"""The page's copy of the face's design is the one that Python makes now."""

from __future__ import annotations

import pytest

from lipsync_tools import facedesign


def test_the_pages_design_is_fresh() -> None:
    kept = facedesign.OUT.read_text(encoding="ascii")
    assert kept == facedesign.text(), "run: python -m lipsync_tools.facedesign"


def test_every_path_has_its_style() -> None:
    styles = facedesign.design()["styles"]
    assert len({style["name"] for style in styles}) == len(styles) > 90
    assert all(style["fill"] or style["stroke"] for style in styles)


def test_what_is_no_constant_is_refused() -> None:
    with pytest.raises(TypeError, match="no constant"):
        facedesign.plain(object())
