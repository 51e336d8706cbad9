"""Learning: a phonetic trunk on many voices, and a pose head on film, in one network at once.

A step draws films and voices without film, makes other voices and rooms of them (``augment.py``),
and lowers four losses: poses (film), lip measures (film), classes of phones (wherever the phone is
known), closure and speech (the same). Everything comes ``delay_frames`` late, which is how far the
network may look ahead.
"""

from __future__ import annotations

import csv
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from tqdm import tqdm

from lipsync_edge.errors import LipsyncError
from lipsync_edge.features import FeatureSpec
from lipsync_edge.model.card import CARD_FILE
from lipsync_tools import augment, coarticulation, teachers
from lipsync_tools.bundle_weights import bundle_weights
from lipsync_tools.grid import MEASURES
from lipsync_tools.lessons import IS_CLOSED, IS_ROUND, N_EXTRA, SILENCE, Columns, Lesson, Sampler
from lipsync_tools.network import Mouth
from lipsync_tools.targets import CHANNELS, TARGETS

REST_WEIGHT = 3.0  # a frame of silence without film against one with
CLOSURE_COST = 4.0  # a closure that is missed, against one that is made up


@dataclass(frozen=True)
class Recipe:
    """All that decides what is learned, but for the data."""

    delay_frames: int = 8
    channels: int = 136
    dilations: tuple[int, ...] = (1, 1, 2, 4, 8, 16, 1)
    steps: int = 3000
    batch: int = 48
    n_frames: int = 240
    rate: float = 2e-3
    dropout: float = 0.15
    measure_weight: float = 0.3
    phone_weight: float = 0.2
    channel_weight: float = 0.4
    believed: float = 0.4  # a pose told by phones alone against a filmed one
    teach_film: float = 0.4  # share of the teachers in the poses of films, if there are any
    teach_voices: float = 0.5  # and in the poses of voices without film
    closure_weight: float = 3.0  # a frame of a closure against another one, on film
    round_weight: float = 4.0  # and a frame of a rounded phone
    seed: int = 1
    balance: float = 0.8
    film_share: float = 0.6
    recorded_share: float = 0.2
    synthetic_share: float = 0.2
    half: bool = True  # bfloat16 matrix products, where the processor has them
    voices: augment.Voices = field(default_factory=augment.Voices)

    @property
    def shares(self) -> dict[str, float]:
        """How much of a batch comes from which group of lessons."""
        return {
            "film": self.film_share,
            "recorded": self.recorded_share,
            "synthetic": self.synthetic_share,
        }

    @classmethod
    def read(cls, told: dict[str, Any]) -> Recipe:
        """From a mapping, as a checkpoint or a card holds it; unknown keys are refused."""
        unknown = sorted(set(told) - set(cls.__dataclass_fields__))
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise LipsyncError(f"A recipe has no {', '.join(unknown)}; it has: {known}.")
        voices = told.get("voices", {})
        voices = augment.Voices(**voices) if isinstance(voices, dict) else voices
        dilations = tuple(told.get("dilations", cls.dilations))
        return cls(**{**told, "voices": voices, "dilations": dilations})


def losses(model: nn.Module, x: Tensor, y: Tensor, weights: Tensor, recipe: Recipe
           ) -> dict[str, Tensor]:  # fmt: skip
    """The weighted losses by name. x (n, frames, n_mels), y (n, frames, Columns.total), ``weights``
    (n_targets,) one over each target's variance. Frames without a label count nothing."""
    logits, extra = model(x)
    delay = recipe.delay_frames
    logits, extra = logits[:, delay:].float(), extra[:, delay:].float()
    y = y[:, : y.shape[1] - delay]
    film, heard, classes = y[..., Columns.film], y[..., Columns.heard], y[..., Columns.classes]
    closed, silent = classes[..., IS_CLOSED].sum(-1), classes[..., SILENCE]
    rounded = classes[..., IS_ROUND].sum(-1)
    n_targets, n_measures = len(TARGETS), len(MEASURES)
    poses = torch.sigmoid(logits[..., :n_targets])

    filmed = (film > 0.99).float()
    quiet = heard * silent
    rare = (recipe.closure_weight - 1) * closed + (recipe.round_weight - 1) * rounded
    judged = film * (1 + rare)
    judged = torch.maximum(judged, REST_WEIGHT * (1 - filmed) * quiet)
    error = ((poses - y[..., Columns.targets]) ** 2 * weights).mean(-1)
    measures = ((extra[..., :n_measures] - y[..., Columns.measures]) ** 2).mean(-1)
    phones = nn.functional.cross_entropy(
        extra[..., n_measures:].flatten(0, 1), classes.flatten(0, 1), reduction="none"
    ).view(heard.shape)
    truths = torch.stack([closed, 1 - silent], dim=-1).clamp(0, 1)
    channels = nn.functional.binary_cross_entropy_with_logits(
        logits[..., n_targets:], truths, reduction="none"
    )
    channels = 2 * channels[..., 0] * (1 + (CLOSURE_COST - 1) * closed) + channels[..., 1]
    return {
        "pose": mean_where(error, judged),
        "measures": recipe.measure_weight * mean_where(measures, filmed),
        "phones": recipe.phone_weight * mean_where(phones, heard),
        "channels": recipe.channel_weight * mean_where(channels, heard),
    }


def mean_where(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean, 0 where nothing has weight."""
    return (values * weights).sum() / weights.sum().clamp_min(1.0)


class _Logits(nn.Module):
    """What is trained: the network before its last sigmoid (DDP wraps ``forward`` alone)."""

    def __init__(self, mouth: Mouth) -> None:
        super().__init__()
        self.mouth = mouth

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.mouth.logits(x)


class Run:
    """A training run in a folder: what is learned so far, and how to go on."""

    def __init__(self, out: Path, recipe: Recipe, spec: FeatureSpec, told: dict[str, Any]) -> None:
        """``told``: speakers and sources, kept beside the weights for the model's card."""
        torch.manual_seed(recipe.seed)
        self.out, self.path, self.recipe, self.spec = out, out / "model.pt", recipe, spec
        self.told, self.step = told, 0
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.mouth = make_mouth(recipe, spec).to(self.device)
        wrapped = _Logits(self.mouth)
        self.model = nn.parallel.DistributedDataParallel(wrapped) if distributed() else wrapped
        self.average = torch.optim.swa_utils.AveragedModel(
            self.mouth, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995)
        )
        self.optimizer = torch.optim.AdamW(
            self.mouth.parameters(), lr=recipe.rate, weight_decay=0.02
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, recipe.rate, total_steps=recipe.steps + 1, pct_start=0.1
        )
        if self.path.exists():
            self._restore()

    def _restore(self) -> None:
        kept = torch.load(self.path, weights_only=True)
        mine = {"recipe": asdict(self.recipe), "features": asdict(self.spec), **self.told}
        other = [key for key, value in mine.items() if kept.get(key) != value]
        if other:
            raise LipsyncError(
                f"{self.path} was learned with another {', '.join(other)}: "
                "choose another folder, or remove that file."
            )
        self.mouth.load_state_dict(kept["model"])
        for name in ("average", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(kept[name])
        self.step = kept["step"]

    def start_from(self, path: Path) -> None:
        """Take over the averaged weights of another run, or a bundle's, as far as shapes agree."""
        found = bundle_weights(path) if (path / CARD_FILE).exists() else averaged(path)
        mine = self.mouth.state_dict()
        same = {k: v for k, v in found.items() if k in mine and v.shape == mine[k].shape}
        if not any(key.startswith("layers") for key in same):
            raise LipsyncError(f"{path}: its network has other sizes, nothing could be taken over.")
        self.mouth.load_state_dict(same, strict=False)
        self.average.module.load_state_dict(self.mouth.state_dict())

    def save(self) -> None:
        """Write so that a crash leaves the old file or the new one."""
        if not is_first():
            return
        part = self.path.with_suffix(".part")
        kept = {"recipe": asdict(self.recipe), "features": asdict(self.spec), **self.told}
        kept |= {"step": self.step, "model": self.mouth.state_dict()}
        for name in ("average", "optimizer", "schedule"):
            kept[name] = getattr(self, name).state_dict()
        torch.save(kept, part)
        os.replace(part, self.path)

    def learn(self, x: Tensor, y: Tensor, weights: Tensor) -> dict[str, float]:
        """One step; returns the losses."""
        x, y, weights = x.to(self.device), y.to(self.device), weights.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.half):
            parts = losses(self.model, x, y, weights, self.recipe)
            loss = torch.stack(list(parts.values())).sum()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.mouth.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.average.update_parameters(self.mouth)
        self.step += 1
        return {name: float(value.detach()) for name, value in parts.items()}


def distributed() -> bool:
    """Whether torchrun started several processes."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_first() -> bool:
    """Whether this process writes the files."""
    return int(os.environ.get("RANK", "0")) == 0


def make_mouth(recipe: Recipe, spec: FeatureSpec) -> Mouth:
    """The untrained network of a recipe."""
    n_targets = len(TARGETS) + len(CHANNELS)
    return Mouth(spec.n_mels, n_targets, N_EXTRA, recipe.channels, recipe.dilations, recipe.dropout)


def target_weights(lessons: list[Lesson]) -> Tensor:
    """One over each target's variance on film, (n_targets,)."""
    films = [lesson.labels[:, Columns.targets].float() for lesson in lessons
             if lesson.labels[0, Columns.film] == 1]  # fmt: skip
    if not films:
        return torch.ones(len(TARGETS))
    return 1.0 / torch.cat(films).var(0).clamp_min(1e-3)


def prepare(lessons: list[Lesson], recipe: Recipe, spec: FeatureSpec, runs: Sequence[Path]) -> None:
    """Give poses to the voices without film, in place: by their phones, and by teachers' runs."""
    posed = coarticulation.learn(lessons, recipe.seed, recipe.balance)
    if posed and recipe.believed > 0:
        coarticulation.dress(lessons, posed, recipe.believed)
    if runs:
        loaded = [load_run(path) for path in runs]
        told = [(mouth, other.delay_frames) for other, _, mouth, _ in loaded]
        teachers.dress(lessons, told, spec, recipe.teach_film, recipe.teach_voices)


def train(
    run: Run, lessons: list[Lesson], save_every: int = 500, cache: Path | None = None
) -> None:
    """Learn until the recipe's last step; whatever ends it, nothing that was learned is lost.

    What a step draws depends on seed, step and process alone, so that a run that was interrupted
    goes on as if it had not been.
    """
    recipe, spec = run.recipe, run.spec
    if distributed() and not dist.is_initialized():
        raise RuntimeError("the process group must be there before the run")
    sampler = Sampler(lessons, recipe.shares, recipe.balance)
    copier = augment.Copier(recipe.voices, spec, recipe.n_frames, cache)
    weights = target_weights(lessons)
    rank, n_ranks = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    curve = Curve(run.out / "curve.csv", run.step) if is_first() else None
    show = sys.stderr.isatty() and is_first()
    try:
        todo = range(run.step, recipe.steps)
        for step in tqdm(todo, run.out.name, recipe.steps, initial=run.step, disable=not show):
            rng = torch.Generator().manual_seed((recipe.seed * 1_000_003 + step) * 64 + rank)
            torch.manual_seed(rng.initial_seed())  # dropout
            mel_db, labels = sampler.draw(max(1, recipe.batch // n_ranks), rng)
            x, y = copier.copies(mel_db, labels, Columns.silent(), rng)
            found = run.learn(x, y, weights)
            if curve:
                curve.add(run.step, found)
            if run.step % save_every == 0:
                run.save()
    finally:
        run.save()
        if curve:
            curve.close()
            print(f"{run.path}: {run.step} of {recipe.steps} steps", flush=True)


class Curve:
    """Means of the losses over 50 steps each, as CSV; goes on where a run goes on."""

    EVERY = 50

    def __init__(self, path: Path, step: int) -> None:
        rows = list(csv.reader(path.open())) if path.exists() else []
        kept = [row for row in rows[1:] if int(row[0]) <= step]
        self._file = path.open("w", newline="")
        self._writer, self._sums, self._n = csv.writer(self._file), {}, 0
        self._begun = time.monotonic()
        if kept:
            self._writer.writerows([rows[0], *kept])
        self._headed = bool(kept)

    def add(self, step: int, found: dict[str, float]) -> None:
        """One step's losses."""
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in found.items()}
        self._n += 1
        if step % self.EVERY == 0:
            self.flush(step)

    def flush(self, step: int) -> None:
        """Write the means since the last line."""
        if not self._headed:
            self._writer.writerow(["step", *self._sums, "seconds"])
            self._headed = True
        means = [f"{value / self._n:.5f}" for value in self._sums.values()]
        self._writer.writerow([step, *means, f"{time.monotonic() - self._begun:.1f}"])
        self._file.flush()
        self._sums, self._n = {}, 0

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()


def averaged(run: Path) -> dict[str, Tensor]:
    """The averaged weights of a run (its folder or its checkpoint), by name."""
    path = run / "model.pt" if run.is_dir() else run
    if not path.exists():
        raise LipsyncError(f"{path}: no such checkpoint; lipsync-tools train writes it.")
    kept = torch.load(path, weights_only=True, map_location="cpu")["average"]
    return {k.removeprefix("module."): v for k, v in kept.items() if k != "n_averaged"}


def load_run(run: Path) -> tuple[Recipe, FeatureSpec, Mouth, dict[str, Any]]:
    """The recipe, the features, the averaged network (in eval mode), and what else is kept:
    ``step``, ``speakers``, ``sources``."""
    path = run / "model.pt" if run.is_dir() else run
    if not path.exists():
        raise LipsyncError(f"{path}: no such checkpoint; lipsync-tools train writes it.")
    kept = torch.load(path, weights_only=True, map_location="cpu")
    recipe, spec = Recipe.read(kept["recipe"]), FeatureSpec(**kept["features"])
    mouth = make_mouth(recipe, spec)
    mouth.load_state_dict(
        {k.removeprefix("module."): v for k, v in kept["average"].items() if k != "n_averaged"}
    )
    heavy = ("recipe", "features", "model", "average", "optimizer", "schedule")
    return recipe, spec, mouth.eval(), {k: v for k, v in kept.items() if k not in heavy}
