"""Learns a mouth from filmed speakers: ``python -m lipsync_tools.train_first --data D --out RUN``.

Writes RUN/model.pt now and then; Ctrl-C keeps what was learned, and the same command goes on from
there. RUN is a working folder: ``convert_first`` makes a bundle of it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from lipsync_edge.features import FeatureSpec
from lipsync_tools import augment
from lipsync_tools.examples import N_EXTRA, Columns, Sampler, read_examples
from lipsync_tools.grid import MEASURES, SPEAKERS
from lipsync_tools.network import Mouth
from lipsync_tools.phones import PHONES, VOICES, Phone
from lipsync_tools.targets import TARGETS

REST_WEIGHT = 2.0  # a frame of silence without film against one with


@dataclass(frozen=True)
class Recipe:
    """All that decides what is learned."""

    speakers: tuple[str, ...] = SPEAKERS
    delay_frames: int = 4
    channels: int = 128
    dilations: tuple[int, ...] = (1, 1, 2, 4, 8, 1)
    steps: int = 1500
    batch: int = 40
    n_frames: int = 240
    rate: float = 2e-3
    dropout: float = 0.15
    extra_weight: float = 0.3
    phone_weight: float = 0.2
    seed: int = 1
    balance: float = 0.8  # 0: every clip counts the same; 1: every speaker does
    voices: augment.Voices = field(default_factory=augment.Voices)


def loss_of(model: Mouth, x: Tensor, y: Tensor, weights: Tensor, recipe: Recipe) -> Tensor:
    """Squared errors of the targets, and two helpers: lip measures and phones.

    Everything is delayed by the look-ahead. Frames without a label count nothing.
    """
    poses, extra = model.both(x)
    delay = recipe.delay_frames
    poses, extra, y = poses[:, delay:], extra[:, delay:], y[:, : y.shape[1] - delay]
    film, heard = y[..., Columns.film], y[..., Columns.heard]
    quiet = heard * y[..., Columns.phones.start + PHONES.index("SIL")]
    judged = torch.maximum(film, REST_WEIGHT * (1 - film) * quiet)
    error = ((poses - y[..., Columns.targets]) ** 2 * weights).mean(-1)
    n = len(MEASURES)
    measures = ((extra[..., :n] - y[..., Columns.measures]) ** 2).mean(-1)
    phones = torch.nn.functional.cross_entropy(
        extra[..., n:].flatten(0, 1),
        y[..., Columns.phones].flatten(0, 1),
        reduction="none",
    )
    return (
        mean_where(error, judged)
        + recipe.extra_weight * mean_where(measures, film)
        + recipe.phone_weight * mean_where(phones.view(heard.shape), heard)
    )


def mean_where(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean, 0 where nothing has weight."""
    return (values * weights).sum() / weights.sum().clamp_min(1.0)


class Run:
    """A training run in a folder: what is learned so far, and how to go on."""

    def __init__(self, out: Path, recipe: Recipe, spec: FeatureSpec) -> None:
        torch.manual_seed(recipe.seed)
        self.path, self.recipe, self.spec, self.step = out / "model.pt", recipe, spec, 0
        self.model = make_mouth(recipe, spec)
        self.average = torch.optim.swa_utils.AveragedModel(
            self.model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995)
        )
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.rate, weight_decay=0.02
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, recipe.rate, total_steps=recipe.steps + 1, pct_start=0.1
        )
        if self.path.exists():
            self._restore()

    def _restore(self) -> None:
        kept = torch.load(self.path, weights_only=True)
        if kept["recipe"] != asdict(self.recipe) or kept["features"] != asdict(self.spec):
            raise SystemExit(f"{self.path} was learned by another recipe: choose another --out.")
        for name in ("model", "average", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(kept[name])
        self.step = kept["step"]

    def save(self) -> None:
        """Write so that a crash leaves the old file or the new one."""
        part = self.path.with_suffix(".part")
        kept = {
            "recipe": asdict(self.recipe),
            "features": asdict(self.spec),
            "step": self.step,
        }
        for name in ("model", "average", "optimizer", "schedule"):
            kept[name] = getattr(self, name).state_dict()
        torch.save(kept, part)
        os.replace(part, self.path)

    def learn(self, x: Tensor, y: Tensor, weights: Tensor) -> float:
        """One step; returns the loss."""
        loss = loss_of(self.model, x, y, weights, self.recipe)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.average.update_parameters(self.model)
        self.step += 1
        return float(loss.detach())


def make_mouth(recipe: Recipe, spec: FeatureSpec) -> Mouth:
    """The untrained network of a recipe."""
    return Mouth(
        spec.n_mels,
        len(TARGETS),
        N_EXTRA,
        recipe.channels,
        recipe.dilations,
        recipe.dropout,
    )


def train(data: Path, run: Run, phones: dict[str, list[Phone]]) -> None:
    """Learn until the recipe's last step; whatever ends it, nothing that was learned is lost."""
    recipe, spec = run.recipe, run.spec
    examples = read_examples(data, recipe.speakers, spec, phones)
    sampler = Sampler(examples, recipe.balance)
    copier = augment.Copier(recipe.voices, spec, recipe.n_frames)
    films = [e.labels[:, Columns.targets] for e in examples if e.labels[0, Columns.film]]
    weights = 1.0 / torch.cat(films).var(0).clamp_min(1e-3)
    rng = torch.Generator().manual_seed(recipe.seed + run.step)
    first, mean, begun = run.step, 0.0, time.monotonic()
    try:
        while run.step < recipe.steps:
            mel_db, labels = sampler.draw(recipe.batch, rng)
            x, y = copier.copies(mel_db, labels, Columns.silent(), rng)
            loss = run.learn(x, y, weights)
            mean = loss if run.step == first + 1 else 0.98 * mean + 0.02 * loss
            if run.step % 100 == 0:
                step_s = (time.monotonic() - begun) / (run.step - first)
                left = (recipe.steps - run.step) * step_s / 60
                print(f"step {run.step}/{recipe.steps}  loss {mean:.4f}  {left:.1f} min left")
            if run.step % 500 == 0:
                run.save()
    finally:
        run.save()
        print(f"{run.path}: {run.step} of {recipe.steps} steps")


def load_run(run: Path) -> tuple[Recipe, FeatureSpec, Mouth, int]:
    """The recipe, the features, the averaged network (in eval mode) and the steps of a run."""
    kept = torch.load(run / "model.pt", weights_only=True)
    told = kept["recipe"] | {"voices": augment.Voices(**kept["recipe"]["voices"])}
    recipe, spec = Recipe(**told), FeatureSpec(**kept["features"])
    mouth = make_mouth(recipe, spec)
    mouth.load_state_dict(
        {k.removeprefix("module."): v for k, v in kept["average"].items() if k != "n_averaged"}
    )
    return recipe, spec, mouth.eval(), int(kept["step"])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with grid/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--speakers", default=",".join(SPEAKERS), help="whom to learn from")
    parser.add_argument("--phones", type=Path, required=True, help="what phones.py wrote")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of the recipe")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    changes = {key: json.loads(value) for key, value in (word.split("=") for word in a.set)}
    voices = {key: changes.pop(key) for key in list(changes) if key in vars(augment.Voices())}
    recipe = Recipe(
        speakers=tuple(a.speakers.split(",")),
        voices=augment.Voices(**voices),
        **changes,
    )
    a.out.mkdir(parents=True, exist_ok=True)
    phones = json.loads(a.phones.read_text())
    allowed = {*recipe.speakers, *VOICES}  # nothing of the speakers that are held out
    phones = {key: spoken for key, spoken in phones.items() if key.split("/")[0] in allowed}
    try:
        train(a.data, Run(a.out, recipe, FeatureSpec()), phones)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from there")
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
