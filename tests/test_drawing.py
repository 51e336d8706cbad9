"""The drawn face: it opens as the pose says, and its mouths can be told apart."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_edge.alive import alive
from lipsync_edge.drawing import svg, svg_film
from lipsync_edge.emphasis import Emphasis
from lipsync_edge.face import AXES, CHANNELS, axis_range
from lipsync_edge.mouth import INSIDE, SEAM, TEETH, TONGUE, Y, draw_mouth, mouth
from lipsync_edge.portrait import draw
from lipsync_edge.raster import pixels
from lipsync_edge.sheet import distance, distinct, look, nearest_viseme
from lipsync_edge.visemes import VISEMES, both

pytest.importorskip("PIL")
VALUES = st.one_of(st.floats(-1.5, 1.5), st.sampled_from([float("nan"), float("inf")]))
POSES = st.dictionaries(st.sampled_from(AXES + CHANNELS), VALUES, max_size=20)
VIEW, SIZE = (0.0, Y, 0.4), 400
BILABIALS = [
    VISEMES["p b m"],
    both(jawOpen=0.3, mouthClose=0.3),
    both(jawOpen=0.2, mouthLowerDown=0.2, mouthUpperUp=0.1, mouthClosure=0.9),
    both(jawOpen=0.9, mouthClose=1.0, mouthRollLower=0.8),
    {},
]


def seen_opening(pose: Mapping[str, float]) -> float:
    """Pixels between the upper lip and the lower one in the middle column of the picture."""
    picture = pixels(draw_mouth(pose), SIZE, VIEW, over=1)
    column = picture[:, SIZE // 2]
    seams = np.flatnonzero((column == colour(SEAM)).all(axis=1))
    return float(seams[-1] - seams[0])


def colour(text: str) -> list[int]:
    return [int(text[k : k + 2], 16) for k in (1, 3, 5)]


def count(picture: np.ndarray, *colours: str) -> int:
    return sum(int((picture == colour(c)).all(axis=-1).sum()) for c in colours)


def test_the_mouth_opens_as_the_motion_says() -> None:
    """`Emphasis.gap` is what the motion plans closures by; poses here have no closure channel."""
    axes = tuple(a for a in AXES if a.startswith(("mouth", "jaw")))
    poses = np.random.default_rng(3).uniform(0, 1, (60, len(axes))) ** 3
    expected = Emphasis(axes, np.zeros((1, len(axes)))).gap(poses)
    seen = [seen_opening(dict(zip(axes, pose, strict=True))) for pose in poses]
    assert np.ptp(expected) > 0.8
    assert np.corrcoef(expected, seen)[0, 1] >= 0.99


@pytest.mark.parametrize("name", ["jawOpen", "mouthUpperUp", "mouthLowerDown", "mouthFunnel"])
def test_an_axis_that_parts_the_lips_does_so_monotonously(name: str) -> None:
    seen = [seen_opening(both(jawOpen=0.1) | both(**{name: v})) for v in np.linspace(0.1, 1, 10)]
    assert (np.diff(seen) >= 0).all()
    assert seen[-1] > seen[0] + 10


@pytest.mark.parametrize("pose", BILABIALS)
def test_closed_lips_touch_and_hide_teeth_and_tongue(pose: Mapping[str, float]) -> None:
    m = mouth(pose)
    assert np.abs(m.inner_bottom - m.inner_top).max() < 1e-9
    for over_head in ({}, {"tongueOut": 1.0}):
        picture = pixels(draw_mouth({**pose, **over_head}), SIZE, VIEW, over=1)
        assert count(picture, TEETH, TONGUE, INSIDE) == 0
        assert count(picture, SEAM) > 100


def test_lips_that_are_told_to_be_shut_are() -> None:
    ajar = both(jawOpen=0.3, mouthLowerDown=0.3)
    openings = [seen_opening(ajar | {"mouthClosure": c}) for c in (0.0, 0.3, 0.5, 0.7, 1.0)]
    assert openings[0] == openings[1] > openings[2] > openings[3] > openings[4]


def test_visemes_can_be_told_apart() -> None:
    """The bound is about 1.5 times what the first tenth of a jaw's way changes, which one sees."""
    looks = {name: look(pose) for name, pose in VISEMES.items()}
    apart = {pair: float(distance(*map(looks.get, pair))) for pair in combinations(looks, 2)}
    nearest = min(apart, key=lambda pair: apart[pair])
    assert apart[nearest] >= 0.07, f"{nearest} are alike: {apart[nearest]:.3f}"
    assert np.median(list(apart.values())) >= 0.14
    assert distance(look({}), look({"jawOpen": 0.1})) < 0.05


def test_each_viseme_shows_what_a_lip_reader_looks_for() -> None:
    m = {name: mouth(pose) for name, pose in VISEMES.items()}
    wide = {name: np.ptp(shape.x) for name, shape in m.items()}
    thick = {name: np.ptp(shape.outer_bottom - shape.inner_bottom) for name, shape in m.items()}
    white = {n: count(pixels(draw_mouth(p), SIZE, VIEW, over=1), TEETH) for n, p in VISEMES.items()}
    assert min(wide, key=lambda n: wide[n]) == "w oo"
    assert max(wide, key=lambda n: wide[n]) == "ee"
    assert max(m, key=lambda n: m[n].gap) == "ah"
    assert m["p b m"].gap == m["rest"].gap == 0.0
    assert thick["p b m"] < 0.8 * thick["rest"] < thick["w oo"]
    assert white["f v"] > 1000 < white["s z"]
    assert white["w oo"] == white["p b m"] == white["rest"] == 0
    tongues = {n: count(pixels(draw(p), SIZE, VIEW, over=1), TONGUE) for n, p in VISEMES.items()}
    assert tongues["l th"] > tongues["f v"]
    middle = [mouth(both(mouthSmile=v)).inner_top for v in (0.0, 1.0)]
    assert middle[1][0] < middle[0][0] - 0.05, "a smile lifts the corners"


def test_the_heads_left_is_at_the_right_of_the_picture() -> None:
    m = mouth({"mouthSmileLeft": 1.0})
    assert m.inner_top[-1] < m.inner_top[0] - 0.05


@given(POSES)
@settings(max_examples=60, deadline=None)
def test_any_pose_can_be_drawn(pose: dict[str, float]) -> None:
    paths, rest = draw(pose), draw({})
    assert all(np.isfinite(path.points).all() for path in paths)
    m = mouth(pose)
    assert (m.inner_bottom >= m.inner_top - 1e-9).all(), "lips never pass through each other"
    assert (m.outer_top <= m.inner_top + 1e-9).all()
    assert (m.outer_bottom >= m.inner_bottom - 1e-9).all()
    assert (np.diff(m.x) >= 0).all()
    assert max(np.abs(path.points).max() for path in draw_mouth(pose)) < 1
    # Two pictures differ in coordinates alone, which SVG's animation and a browser rely on.
    assert [(p.name, p.fill, p.stroke, p.width, p.alpha, p.points.shape) for p in paths] == [
        (p.name, p.fill, p.stroke, p.width, p.alpha, p.points.shape) for p in rest
    ]


def test_names_of_paths_are_unique() -> None:
    names = [path.name for path in draw({})]
    assert len(names) == len(set(names))


def test_an_idle_face_blinks_and_is_the_same_every_time() -> None:
    times_s = np.arange(0, 120, 1 / 60)
    blink = np.array([alive(t, 5)["eyeBlinkLeft"] for t in times_s])
    starts = int(((blink[1:] >= 0.5) & (blink[:-1] < 0.5)).sum())
    assert 20 <= starts <= 60, "10 to 30 a minute"
    assert blink.max() > 0.9
    assert alive(7.3, 5) == alive(7.3, 5) != alive(7.3, 6)
    axes = [alive(t, 5) for t in times_s[::50]]
    assert all(axis_range(a)[0] <= v <= 1 for pose in axes for a, v in pose.items())
    assert set(axes[0]) <= set(AXES)


def test_lids_hide_the_eye_when_it_blinks() -> None:
    def white(pose: dict[str, float]) -> int:
        return count(pixels(draw(pose), SIZE, (0.0, -0.19, 0.4), over=1), "#fbf9f4", "#4c8a8f")

    assert white({}) > 3000
    assert white({"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}) < 100
    assert white({"eyeBlinkLeft": 1.0}) == pytest.approx(white({}) / 2, rel=0.1)


def test_svg_holds_the_same_paths() -> None:
    root = ElementTree.fromstring(svg(draw({"jawOpen": 0.5}), 300))
    assert root.get("viewBox") == "-1000 -1000 2000 2000"
    assert [child.get("id") for child in root] == [path.name for path in draw({})]


def test_svg_that_moves_has_a_way_for_every_picture() -> None:
    pictures = [draw({"jawOpen": k / 10}) for k in range(5)]
    root = ElementTree.fromstring(svg_film(pictures, 10, 300))
    moves = [move for move in root.iter() if move.tag.endswith("animate")]
    assert 10 < len(moves) < len(pictures[0])
    for move in moves:
        ways = (move.get("values") or "").split(";")
        assert len(ways) == 5
        assert len({way.count(" ") for way in ways}) == 1, "SVG blends equal commands alone"
        assert move.get("dur") == "0.500s"


def test_a_mouth_is_called_what_it_looks_like() -> None:
    weaker = {name: {a: 0.9 * v for a, v in pose.items()} for name, pose in VISEMES.items()}
    assert [nearest_viseme(pose) for pose in weaker.values()] == list(VISEMES)
    no_tongue = {a: v for a, v in VISEMES["l th"].items() if a != "tongueOut"}
    assert nearest_viseme(no_tongue) == "eh", "a model without a tongue never says l"


def test_distinct_mouths_are_the_far_ones() -> None:
    values = np.array([[0.0], [0.01], [1.0], [0.99], [0.5], [0.52]])
    assert distinct(values, 3) == [0, 2, 4]
    assert distinct(values[:2], 5) == [0, 1]
