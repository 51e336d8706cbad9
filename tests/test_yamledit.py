"""Hand-written YAML changes in one value; all else stays, byte by byte."""

from __future__ import annotations

import pytest
import yaml

from lipsync_edge.config import default_yaml
from lipsync_edge.errors import ConfigError
from lipsync_edge.yamledit import Path, set_values

LAG: Path = ("servos", "jaw", "lag_ms")

# text before, path, value, text after
CASES = {
    "value": ("servos:\n  jaw:\n    lag_ms: 50  # a guess\n    channel: 0\n", LAG, "43.2",
              "servos:\n  jaw:\n    lag_ms: 43.2  # a guess\n    channel: 0\n"),
    "quoted": ('servos: {jaw: {lag_ms: "50"}}\n', LAG, "43", "servos: {jaw: {lag_ms: 43}}\n"),
    "flow": ("servos:\n  jaw: {channel: 0}  # x\n", LAG, "43",
             "servos:\n  jaw: {lag_ms: 43, channel: 0}  # x\n"),
    "empty flow": ("servos: {jaw: {}}", LAG, "43", "servos: {jaw: {lag_ms: 43}}"),
    "flow section": ("servos: {}\n", LAG, "43", "servos: {jaw: {lag_ms: 43}}\n"),
    "new key": ("servos:\n  jaw:  # the jaw\n    # its output\n    channel: 0\n", LAG, "43",
                "servos:\n  jaw:  # the jaw\n    lag_ms: 43\n    # its output\n    channel: 0\n"),
    "new servo": ("servos:\n  lip:\n    lag_ms: 9\naudio:\n  input: mic\n", LAG, "43",
                  "servos:\n  jaw:\n    lag_ms: 43\n  lip:\n    lag_ms: 9\naudio:\n  input: mic\n"),
    "new section": ("head: jaw\n# the end", LAG, "43",
                    "head: jaw\n# the end\n\nservos:\n  jaw:\n    lag_ms: 43\n"),
    "nothing": ("", LAG, "43", "servos:\n  jaw:\n    lag_ms: 43\n"),
    "comments alone": ("# mine\n", LAG, "43", "# mine\n\nservos:\n  jaw:\n    lag_ms: 43\n"),
    "no value": ("servos:\n  jaw:\n    lag_ms:   # later\n", LAG, "43",
                 "servos:\n  jaw:\n    lag_ms: 43   # later\n"),
    "no content": ("servos: # mine\n  # jaw:\naudio:\n  input: mic\n", LAG, "43",
                   "servos: # mine\n  jaw:\n    lag_ms: 43\n  # jaw:\naudio:\n  input: mic\n"),
    "windows": ("servos:\r\n  jaw:\r\n    channel: 0\r\n", LAG, "43",
                "servos:\r\n  jaw:\r\n    lag_ms: 43\r\n    channel: 0\r\n"),
    "wide": ("servos:\n      jaw:\n              channel: 0\n", LAG, "43",
             "servos:\n      jaw:\n              lag_ms: 43\n              channel: 0\n"),
    "list": ("boards:\n  - address: 0x40  # left\n  - address: 0x41\n",
             ("boards", 0, "oscillator_hz"), "25600000",
             "boards:\n  - address: 0x40  # left\n    oscillator_hz: 25600000\n"
             "  - address: 0x41\n"),
    "flow list": ("boards: [{address: 0x40}, {address: 0x41}]\n",
                  ("boards", 1, "oscillator_hz"), "25600000",
                  "boards: [{address: 0x40}, {oscillator_hz: 25600000, address: 0x41}]\n"),
    "new list": ("head: jaw\n", ("boards", 0, "oscillator_hz"), "25600000",
                 "head: jaw\n\nboards:\n  - oscillator_hz: 25600000\n"),
    "nothing in a flow": ("servos: {jaw: , lip: {}}  # x\n", LAG, "43",
                          "servos: {jaw: {lag_ms: 43} , lip: {}}  # x\n"),
    "nothing in a flow's end": ("servos: {jaw: }\n", LAG, "43",
                                "servos: {jaw: {lag_ms: 43} }\n"),
    "no value in a flow": ("servos: {jaw: {lag_ms: , channel: 0}}\n", LAG, "43",
                           "servos: {jaw: {lag_ms: 43 , channel: 0}}\n"),
    "a key alone": ("servos: {jaw: {lag_ms}}\n", LAG, "43", "servos: {jaw: {lag_ms: 43}}\n"),
    "null": ("servos:\n  jaw: null  # as shipped\n", LAG, "43",
             "servos:\n  jaw: {lag_ms: 43}  # as shipped\n"),
    "null section": ("servos: ~\nhead: jaw\n", LAG, "43",
                     "servos: {jaw: {lag_ms: 43}}\nhead: jaw\n"),
    "umlaut": ("# Größe: ü\nservos:\n  jaw:\n    lag_ms: 50\n", LAG, "43",
               "# Größe: ü\nservos:\n  jaw:\n    lag_ms: 43\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_value_changes(name: str) -> None:
    before, path, value, after = CASES[name]
    assert set_values(before, {path: value}, "robot.yaml") == after


def test_several_values_in_the_defaults() -> None:
    text = default_yaml()
    changes: dict[Path, str] = {("audio", "output_latency_ms"): "12.5", LAG: "43.2"}
    edited = set_values(text, changes, "default.yaml")
    expected = yaml.safe_load(text)
    expected["audio"]["output_latency_ms"] = 12.5
    expected["servos"] = {"jaw": {"lag_ms": 43.2}}
    assert yaml.safe_load(edited) == expected
    kept = [line for line in text.splitlines() if "output_latency_ms" not in line]
    assert [line for line in edited.splitlines() if line in set(kept)][: len(kept)] == kept


@pytest.mark.parametrize(
    "text",
    [
        "servos: 3\n",
        "servos:\n  jaw: [1]\n",
        "servos:\n  jaw:\n    lag_ms: |\n      50\n",
        "servos: {jaw: {lag_ms: 1, lag_ms: 2}}\n",
        "base: &b {lag_ms: 1}\nservos:\n  jaw: *b\n",  # would change both
        "- a\n- b\n",
        "servos: [\n",
        "head: jaw\n...\n",
    ],
)
def test_what_is_not_safe_is_refused_with_the_lines_to_type(text: str) -> None:
    with pytest.raises(ConfigError, match=r"servos\.jaw\.lag_ms: 43"):
        set_values(text, {LAG: "43"}, "robot.yaml")


def test_a_list_is_not_made_longer() -> None:
    with pytest.raises(ConfigError, match="by hand"):
        set_values("boards:\n  - address: 0x40\n", {("boards", 1, "oscillator_hz"): "25"}, "r.yaml")
