"""State files after whatever happened to them: the old state, or none; and the program goes on."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inputs import BESIDE, examples

from lipsync_edge.memory import last_pose
from lipsync_edge.runs import Runs
from lipsync_edge.store import Store

GOOD = {"jaw": 1510.5, "upper_lip": 1499.0}
keys = st.one_of(
    st.text(max_size=10), st.sampled_from(["boot", "running", "crashes", "reason", "jaw"])
)
states = st.dictionaries(
    keys,
    st.recursive(
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.text(max_size=10),
            st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["this boot", 2, -1]),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=5,
    ),
    max_size=6,
)  # fmt: skip


def written(state: dict[str, Any]) -> bytes:
    """A file as the store writes it, made without the store."""
    text = json.dumps(state, sort_keys=True, separators=(",", ":"))
    total = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps({"sha256": total, "state": state}, sort_keys=True).encode()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(written(draw(st.one_of(st.just(GOOD), states))))
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 5))] = draw(st.binary(max_size=4))
    return bytes(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


def test_the_format_is_the_store_s_own(folder: Path) -> None:
    assert Store(folder).save("pose", GOOD)
    assert (folder / "pose.json").read_bytes() == written(GOOD)


@examples(14_000)
@given(st.one_of(damaged(), st.binary(max_size=200)))
def test_damage_is_found_and_put_aside(folder: Path, data: bytes) -> None:
    """What was changed by as little as a letter is no state, unless it says the same."""
    BESIDE["state files, damaged"] += 1
    path, bad = folder / "pose.json", folder / "pose.bad"
    bad.unlink(missing_ok=True)
    path.write_bytes(data)
    store = Store(folder)
    state = store.load("pose")
    if state is None:
        assert bad.read_bytes() == data
        assert not path.exists()
        return
    document = json.loads(data)
    assert written(document["state"]) == json.dumps(document, sort_keys=True).encode()


@examples(12_000)
@given(states)
def test_states_that_make_no_sense_stop_nobody(folder: Path, state: dict[str, Any]) -> None:
    """Whole files whose contents nobody wrote: of another version, or made by hand."""
    BESIDE["states of nonsense"] += 1
    for name in ("pose", "runs"):
        (folder / f"{name}.json").write_bytes(written(state))
    store = Store(folder)
    assert store.load("runs") == state
    pose = last_pose(store)
    assert all(math.isfinite(us) for us in pose.values())
    runs = Runs(store, 3, "this boot")
    runs.begin()
    again = Store(folder).load("runs")
    assert again is not None
    assert again["running"] is True
    assert (runs.safe_mode != "") == (again["crashes"] >= 3)
