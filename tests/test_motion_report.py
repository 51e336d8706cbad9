"""The evaluation of motion: known systems get known figures; the command runs as a whole."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("soundfile")
pytest.importorskip("tqdm")
from filmed_speaker import PHONES, make_clip, opening_at, width_at, write_data

from lipsync_edge.cli import SAMPLE
from lipsync_edge.cli import main as robot
from lipsync_tools import cli, motion_eval
from lipsync_tools.grid import SPEAKERS
from lipsync_tools.motion_report import Clip, Figures, figures, table, verdicts
from lipsync_tools.motion_runs import ORACLE, Servos, Setup, Ways, config_of, follow, run_clip
from lipsync_tools.motion_sums import Sums, difference, moments, ratio
from lipsync_tools.targets import AXES, learn_ranges
from lipsync_tools.truth import film_truth

FILM = make_clip()
RANGES = learn_ranges([FILM])
TRUTH = film_truth(FILM, RANGES, [(str(n), float(a), float(b)) for n, a, b in PHONES])
T = np.arange(300) / 100


def system(late_s: float = 0.0, at_least: float = 0.0, speaker: str = "s1") -> Clip:
    """A mouth that does what the face did, but late, or never further shut than so."""
    seen = np.stack([np.maximum(opening_at(T - late_s), at_least), width_at(T - late_s)], axis=1)
    return Clip(replace(TRUTH, speaker=speaker), seen, seen[:, :1])


def judged(late_s: float = 0.0, at_least: float = 0.0) -> Figures:
    """It learns its map and threshold from a mouth in step."""
    return figures([([system()], [system(late_s, at_least, "s2"), system(late_s, at_least, "s3")])])


def test_a_perfect_mouth() -> None:
    f = judged()
    assert f.r > 0.99
    assert abs(f.offset_ms) <= 2
    assert (f.closure_recall, f.closure_false) == (1.0, 0.0)
    assert (f.rounding_recall, f.rounding_false) == (1.0, 0.0)
    assert (f.n_closures, f.n_opens, f.n_rounds) == (6, 6, 2)
    assert f.offset_by_speaker.keys() == {"s2", "s3"}


def test_a_late_mouth_is_late_by_so_much() -> None:
    on_time, late = judged(), judged(late_s=0.05)
    assert late.offset_ms - on_time.offset_ms == pytest.approx(50, abs=2)
    assert late.timing.median - on_time.timing.median == pytest.approx(50, abs=3)
    assert late.timing.mean_abs == pytest.approx(50, abs=6)
    assert late.mtm_ms == pytest.approx(50, abs=6)
    assert late.r < on_time.r


def test_a_mouth_that_never_shuts_makes_no_closures() -> None:
    f = judged(at_least=0.6)
    assert f.closure_recall == 0.0
    assert f.closure_recall_tight == 0.0
    assert math.isnan(f.timing.mean)


def test_a_mouth_that_never_opens_shuts_the_vowels() -> None:
    shut = system()
    still = Clip(shut.truth, np.stack([0 * T, width_at(T)], axis=1), shut.horns)
    f = figures([([system()], [still])])
    assert (f.closure_recall, f.closure_false) == (1.0, 1.0)


def test_a_head_without_lips_is_not_judged_on_rounding() -> None:
    f = figures([([system()], [system()])], has_lips=False)
    assert math.isnan(f.rounding_recall)
    assert "-" in table({"jaw": {"plan": f}})


def test_verdicts_name_what_is_missed_and_what_is_worse() -> None:
    good, late = replace(judged(), offset_ms=-5.0), judged(late_s=0.05)
    first, worse, *_ = verdicts({"head": {"lag": good, "plan": late}})
    assert "0 to 30 ms early" in first
    assert worse.startswith("    against lag: worse in ")
    assert "|closure timing error| +4" in worse
    assert "false closures" not in worse
    better = verdicts({"head": {"lag": late, "plan": good}})[2]
    assert "|closure timing error| -4" in better
    assert verdicts({"head": {"lag": good, "plan": good}}) == [
        "head: misses no target",
        "    against lag: worse in nothing",
    ]


def test_figures_of_resampled_clips_and_what_may_be_chance() -> None:
    rng = np.random.default_rng(0)
    names = tuple(f"s{k % 3}" for k in range(60))
    signals = [rng.normal(size=(2, 200)) for _ in names]
    rows = [{"timing": ratio(rng.exponential(9, 5)), "r": moments(a, a + b)} for a, b in signals]
    ours = Sums.join(names, rows)
    own = [k for k, name in enumerate(names) if name == "s1"]
    a, b = np.concatenate([signals[k] for k in own], axis=1)
    alone = Sums(("s1",) * 20, {"r": ours.of["r"][own]})
    assert alone.figure("r")[0] == pytest.approx(np.corrcoef(a, a + b)[0, 1])
    counts = ours.resampled(50)
    assert (counts.sum(axis=1) == 60).all()
    assert (counts[:, own].sum(axis=1) == 20).all()
    noise = {"timing": ours.of["timing"] + rng.normal(0, 5, (60, 1)) * [1, 0], "r": ours.of["r"]}
    point, low, high = difference(Sums(names, noise), ours, "timing")
    assert low < 0 < high, "noise of mean 0"
    assert high - low == pytest.approx(2 * 1.96 * 5 / 5 / 60**0.5, rel=0.2)
    shifted = {"timing": noise["timing"] + np.array([5.0, 0.0])}
    _, low, high = difference(Sums(names, shifted), ours, "timing")
    assert 0 < low < point + 1 < high
    assert difference(ours, ours, "r") == (0, 0, 0)


def test_a_clip_goes_through_servos_and_the_slow_way_is_late() -> None:
    servos = Servos("jaw", "mg90s")
    setups = [Setup(ORACLE, servos, way) for way in ("straight", "lag")]
    runs = run_clip(FILM, RANGES, TRUTH, setups, Ways(), 0)
    jaw = AXES.index("jawOpen")
    late = []
    for setup in setups:
        run = runs[setup]
        assert run.seen.shape == run.pose.shape == (300, len(AXES))
        assert run.horns.min() == pytest.approx(0, abs=0.02)  # a motor overshoots a little
        assert 0.6 < run.horns.max() < 1.02
        film = Clip(TRUTH, np.asarray(run.pose[:, [jaw]], float), np.asarray(run.horns, float))
        servo = Clip(TRUTH, np.asarray(run.seen[:, [jaw]], float), np.asarray(run.horns, float))
        late.append(figures([([film], [servo])]).offset_ms)
    assert 35 <= late[0] <= 70, "an MG90S trails by some 43 ms, more on long ways"
    assert late[1] == pytest.approx(late[0] - 43, abs=15)


def test_another_speed_reaches_planner_gate_and_simulation() -> None:
    made = config_of(Servos("jaw", "mg90s", 1000.0), "plan", Ways())
    (servo,) = made.head.servos
    assert servo.options.speed_us_per_s == 1000
    assert servo.options.slew_us_per_s == pytest.approx(1000 / (1 - 0.5 / 2.2), abs=1)
    commands = np.full((100, 1), 1800.0)
    horns = follow([Setup(ORACLE, Servos("jaw", "mg90s", 1000.0), "plan")], [commands], Ways(), 0.5)
    assert np.diff(horns[0][:, 0]).max() * 100 == pytest.approx(1000, rel=0.02)


def test_horns_are_those_of_render_simulate(tmp_path: Path) -> None:
    out = tmp_path / "hello.csv"
    assert robot(["render", str(SAMPLE), "-o", str(out), "--head", "jaw", "--simulate"]) == 0
    names = out.read_text().splitlines()[0].split(",")
    table_ = np.genfromtxt(out, delimiter=",", skip_header=1)
    widths = table_[:, [names.index("width_us.jaw")]]
    setup = Setup(ORACLE, Servos("jaw", "mg90s"), "plan")
    (horns,) = follow([setup], [widths], Ways(), 0.5)
    shares = (horns[::2, 0] - 1400) / 400
    shown = table_[:, names.index("horn.jaw")]  # of widths with all their decimals
    np.testing.assert_allclose(shares[: len(shown)], shown, atol=0.005)


def test_the_command_judges_a_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    phones = write_data(tmp_path, SPEAKERS)
    monkeypatch.setattr(motion_eval, "SERVOS", (Servos("jaw", "mg90s"),))
    monkeypatch.setattr(motion_eval, "SPEEDS", (2000.0,))
    say = ["evaluate", "--stage", "motion", "--data", str(tmp_path), "--phones", str(phones),
           "--jobs", "1"]  # fmt: skip
    plot = tmp_path / "speeds.png"
    pytest.importorskip("matplotlib")
    assert cli.main([*say, "--json", "--plot", str(plot)]) == 0
    report = json.loads(capsys.readouterr().out)
    rows = report["systems"]["oracle, mg90s in jaw"]
    assert set(rows) == {"straight", "lag", "plan"}
    assert rows["plan"]["n_closures"] == 5 * 3, "every speaker but s1 is judged once"
    assert rows["straight"]["offset_ms"] > rows["lag"]["offset_ms"] + 25
    assert "model, mg90s in jaw" in report["systems"]
    assert plot.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert cli.main(say) == 0
    out = capsys.readouterr().out
    assert "c planned (ours)" in out
    assert "LEARNED" in out, "the shipped bundle knows these speakers, and the table says so"


def test_a_wrong_data_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="is --data right"):
        cli.main(["evaluate", "--stage", "motion", "--data", str(tmp_path)])


def test_the_two_pictures_show_a_jaw_that_is_late_and_one_that_is_not(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from lipsync_tools.motion_pictures import draw_idea, trace

    late_ms = []
    for planner in ("straight", "plan"):
        found = trace(str(SAMPLE), "jaw", planner, "jaw", "jaw")
        step = round(1000 * found.tick_s)
        wanted = np.repeat(found.wanted, step)
        shut = [int(np.argmin(signal[3400:3800])) for signal in (wanted, found.horn)]
        late_ms.append(shut[1] - shut[0])
    assert late_ms[0] > 60, "the B of Bob: the jaw shuts when it is over"
    assert abs(late_ms[1]) < 40, "the tick of 20 ms, and the pose is shut for two"
    pytest.importorskip("pocketsphinx")
    for path in draw_idea(tmp_path):
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
