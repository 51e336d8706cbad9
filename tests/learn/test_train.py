"""Learning: what is interrupted goes on as if it had not been; two processes learn as one does."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lipsync_edge.errors import LipsyncError
from lipsync_edge.features import FeatureSpec
from lipsync_tools import augment, teachers
from lipsync_tools.articulation import NAMES
from lipsync_tools.cli import main
from lipsync_tools.lessons import PIECE, Columns, Lesson
from lipsync_tools.targets import TARGETS
from lipsync_tools.train import Recipe, Run, load_run, prepare, train

SPEC = FeatureSpec()
SMALL = {"channels": 16, "steps": 30, "batch": 6, "half": False}


def lessons(n: int = 12) -> list[Lesson]:
    """Loud frames with an open mouth, quiet ones with a closed one: something can be learned."""
    rng = np.random.default_rng(0)
    out = []
    for k in range(n):
        loud = np.repeat(rng.random(PIECE // 8 + 1) < 0.5, 8)[:PIECE]
        mel_db = rng.normal(0, 3, (PIECE, SPEC.n_mels)) + np.where(loud, -20, -70)[:, None]
        labels = np.zeros((PIECE, Columns.kept), np.float32)
        labels[:, 0] = loud
        labels[:, Columns.heard] = 1
        labels[:, Columns.film] = k % 2
        classes = np.where(loud, NAMES.index("open"), NAMES.index("silence")).astype(np.int8)
        out.append(
            Lesson(
                "film" if k % 2 else "recorded",
                f"s{k % 4}",
                torch.tensor(mel_db, dtype=torch.float16),
                torch.tensor(labels, dtype=torch.float16),
                torch.tensor(classes),
            )
        )
    return out


def learned(folder: Path, **changes: object) -> Run:
    folder.mkdir(exist_ok=True)
    run = Run(folder, Recipe.read({**SMALL, **changes}), SPEC, {"speakers": ["s1"]})
    train(run, lessons())
    return run


def test_learns(tmp_path: Path) -> None:
    learned(tmp_path, steps=200, rate=5e-3)
    rows = list(csv.DictReader((tmp_path / "curve.csv").open()))
    assert [int(row["step"]) for row in rows] == [50, 100, 150, 200]
    assert float(rows[-1]["pose"]) < 0.6 * float(rows[0]["pose"])
    assert float(rows[-1]["phones"]) < 0.6 * float(rows[0]["phones"])


def test_goes_on_as_if_it_had_not_been_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = learned(tmp_path / "whole")
    (tmp_path / "cut").mkdir()
    cut = Run(tmp_path / "cut", Recipe.read(SMALL), SPEC, {"speakers": ["s1"]})
    learn = cut.learn

    def until_half(*args: torch.Tensor) -> dict[str, float]:
        if cut.step == 13:
            raise KeyboardInterrupt
        return learn(*args)

    monkeypatch.setattr(cut, "learn", until_half)
    with pytest.raises(KeyboardInterrupt):
        train(cut, lessons())
    assert load_run(tmp_path / "cut")[3]["step"] == 13
    learned(tmp_path / "cut")
    for name, value in load_run(tmp_path / "whole")[2].state_dict().items():
        assert torch.equal(value, load_run(tmp_path / "cut")[2].state_dict()[name]), name
    assert whole.step == 30


def test_another_recipe_does_not_overwrite(tmp_path: Path) -> None:
    learned(tmp_path)
    with pytest.raises(LipsyncError, match="another recipe"):
        learned(tmp_path, steps=31)


def test_unknown_values_of_a_recipe_are_named(tmp_path: Path) -> None:
    with pytest.raises(LipsyncError, match="stepps"):
        Recipe.read({"stepps": 3})


def test_voices_without_film_get_poses_and_keep_their_lips_shut_in_closures() -> None:
    made = lessons()
    for lesson in made:
        lesson.classes[100:110] = NAMES.index("bilabial")
    prepare(made, Recipe.read(SMALL), SPEC, [])
    voice = next(lesson for lesson in made if lesson.group == "recorded")
    opening = voice.labels[:, 0].float()
    assert (opening[100:110] == 0).all()
    assert opening[voice.classes == NAMES.index("open")].mean() > 0.3
    assert (voice.labels[:, Columns.film] < 0.99).all()


def test_teachers_do_not_open_lips_that_a_phone_closes() -> None:
    class Open(torch.nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return torch.ones(*rows.shape[:2], len(TARGETS) + 2)

    some = lessons(2)
    for lesson in some:
        lesson.labels[:, Columns.targets] = 0.0
        lesson.classes[10:20] = NAMES.index("bilabial")
    teachers.dress(some, [(Open(), 4)], SPEC, film=0.4, voices=0.5)  # type: ignore[list-item]
    shown = {lesson.group: lesson.labels[:, 0].float() for lesson in some}
    assert shown["recorded"][10:20].max() == 0
    assert shown["recorded"][20:].min() == pytest.approx(0.5)
    assert shown["film"][10:20].numpy() == pytest.approx(0.4, abs=1e-3)


def test_babble_is_made_of_the_others() -> None:
    """Each voice has a band of its own: what one hears is all but one's own."""
    power = torch.zeros(6, 50, 6)
    power[range(6), :, range(6)] = 3.0
    heard = augment.babble(power, torch.Generator().manual_seed(1))
    assert heard.amax((1, 2)) == pytest.approx(torch.ones(6))
    assert (heard[range(6), :, range(6)] == 0).all()
    assert ((heard > 0).any(1).sum(1) >= 2).all()


def test_two_processes(tmp_path: Path, data: Path) -> None:
    """The real thing: torchrun, gloo, films of two speakers; both processes end with one model."""
    torchrun = shutil.which("torchrun", path=str(Path(sys.executable).parent))
    assert torchrun, "torch brings torchrun along"
    command = ["-m", "lipsync_tools.cli", "train", str(data), "-o", str(tmp_path / "run"),
               "--speakers", "s2,s3", "--no-synthetic", "--threads", "1",
               "--set", "steps=12", "channels=16", "batch=8"]  # fmt: skip
    told = subprocess.run(
        [torchrun, "--standalone", "--nproc-per-node", "2", *command],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr[-2000:]
    recipe, _, mouth, kept = load_run(tmp_path / "run")
    assert (recipe.batch, kept["step"], kept["speakers"]) == (8, 12, ["s2", "s3"])
    assert all(torch.isfinite(value).all() for value in mouth.state_dict().values())


def test_speakers_that_are_not_there_are_named(data: Path, capsys: pytest.CaptureFixture) -> None:
    code = main(["train", str(data), "-o", "unused", "--speakers", "s99", "--no-synthetic"])
    assert code == 1
    assert "s99" in capsys.readouterr().err
