"""The network: causal dilated layers over concatenated taps, in two forms with the same weights.

``Mouth`` takes whole sequences (training); ``StreamingMouth`` takes one frame and the taps that its
caller kept (conversion). A tap is a layer's input of ``dilation`` or ``2 * dilation`` frames ago.
The layers are the phonetic trunk; two heads stand on it: poses, and what only helps to learn.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

TAPS = 3


class Mouth(nn.Module):
    """Features (batch, frames, n_mels) to targets 0..1 (batch, frames, n_targets)."""

    def __init__(
        self,
        n_mels: int,
        n_targets: int,
        n_extra: int = 0,
        channels: int = 96,
        dilations: Sequence[int] = (1, 1, 2, 4, 8, 1),
        dropout: float = 0.1,
    ) -> None:
        """``n_extra``: more outputs that only help to learn (see :meth:`logits`)."""
        super().__init__()
        self.dilations = tuple(dilations)
        self.widths = [n_mels] + [channels] * (len(self.dilations) - 1)
        self.layers = nn.ModuleList(nn.Linear(TAPS * width, channels) for width in self.widths)
        self.head = nn.Linear(channels, n_targets)
        self.extra = nn.Linear(channels, n_extra)
        self.dropout = nn.Dropout(dropout)

    def trunk(self, x: Tensor) -> Tensor:
        """Hidden features (batch, frames, channels)."""
        for k, (layer, dilation) in enumerate(zip(self.layers, self.dilations, strict=True)):
            n_frames = x.shape[1]
            padded = nn.functional.pad(x, (0, 0, (TAPS - 1) * dilation, 0))
            taps = [padded[:, j * dilation : j * dilation + n_frames] for j in range(TAPS)]
            y = torch.relu(layer(torch.cat(taps, dim=-1)))
            x = self.dropout(y) if k == 0 else x + self.dropout(y)
        return x

    def logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Targets before the sigmoid, and the extra outputs."""
        hidden = self.trunk(x)
        return self.head(hidden), self.extra(hidden)

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Targets and the extra outputs."""
        logits, extra = self.logits(x)
        return torch.sigmoid(logits), extra

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.head(self.trunk(x)))


class StreamingMouth(nn.Module):
    """One frame: ``mel`` (1, n_mels) and ``taps_k`` (1, 2 * width_k), oldest first.

    Returns ``pose`` (1, n_axes) and ``act_k``, the input of layer k >= 1, which the caller keeps.
    """

    def __init__(self, mouth: Mouth, row_of_axis: list[int]) -> None:
        super().__init__()
        self.layers = mouth.layers
        self.head = nn.Linear(mouth.head.in_features, len(row_of_axis))
        self.head.weight.data = mouth.head.weight.data[row_of_axis].clone()
        self.head.bias.data = mouth.head.bias.data[row_of_axis].clone()

    def forward(self, mel: Tensor, **taps: Tensor) -> dict[str, Tensor]:
        out, x = {}, mel
        for k, layer in enumerate(self.layers):
            if k:
                out[f"act_{k}"] = x
            y = torch.relu(layer(torch.cat([taps[f"taps_{k}"], x], dim=-1)))
            x = x + y if k else y
        return {"pose": torch.sigmoid(self.head(x))} | out
