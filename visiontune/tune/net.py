"""The network as it trains: normalisation, backbone, head, and stages that stay shut when they are closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from visiontune.data.frames import Frames
from visiontune.heads import Features, HeadNet, Raw
from visiontune.heads.suppression import BOX_WORD, SCORE_WORD, Suppression
from visiontune.tune.cells import Cells, answers, raw_and_answers
from visiontune.tune.pyramid import Tap, tapped
from visiontune.tune.stages import Stage, stages

PIXELS = 2**24  # of frames that are judged together: 64 of 512 x 512, 3 of 2048 x 2448


def together(size: tuple[int, int]) -> int:
    """How many frames of `size` (h, w) are judged at once, from 1 to 64."""
    return max(1, min(64, PIXELS // (size[0] * size[1])))


class Net(nn.Module):
    """uint8 frames in, the head's raw output out. `taps` are the maps that the head reads beside the pooled features.

    `cells` are what a heatmap is read from in answers alone (see tune.cells); where there are none, `blind` may say why.
    `closed` stages run in eval mode and without gradient, whatever `train()` says.
    """

    mean: Tensor
    scale: Tensor
    more: ClassVar[tuple[str, ...]] = ()  # what the exported core says beside the head's words

    def __init__(
        self,
        backbone: nn.Module,
        head: HeadNet,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        size: tuple[int, int],
        taps: Sequence[Tap] = (),
        cells: Cells | None = None,
        blind: str = "",
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.taps = tuple(taps)
        self.cells, self.blind = cells, blind
        self.head = head
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", 1 / (255 * torch.tensor(std).view(1, 3, 1, 1)), persistent=False)
        self.stages: tuple[Stage, ...] = stages(backbone, size=size)
        self.open = len(self.stages)

    def forward(self, frames: Tensor) -> Any:
        """Raw head output from uint8 frames (N, h, w, 3), RGB, already at the model's size."""
        return self.answered(self.features(self.normalised(frames)))

    def logits(self, frames: Tensor) -> Tensor:
        """The frames' logits (N, C), of frames as `forward` takes them."""
        return self.head.logits(self(frames))

    def answers(self, frames: Tensor) -> dict[str, Tensor]:
        """The line's words for frames as `forward` takes them."""
        return answers(self, self.normalised(frames))

    def exported(self, frames: Tensor) -> dict[str, Tensor]:
        """What stands for the line's words in the exported network (see HeadNet.exported), for frames as `forward` takes them."""
        return raw_and_answers(self, self.normalised(frames), exported=True)[1]

    def left(self, said: dict[str, Tensor], rules: Suppression) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes, scores and kinds that stay, by these rules, of what `exported` says."""
        return rules.left(said[BOX_WORD], said[SCORE_WORD])

    def pooled(self, frames: Tensor) -> Tensor:
        """The backbone's pooled features (N, F), of frames as `forward` takes them."""
        found: Tensor = self.backbone(self.normalised(frames))
        return found

    def seen(self, size: tuple[int, int]) -> tuple[int, int]:
        """(h, w) of what the backbone sees at once of frames fitted to `size`."""
        return size

    def features(self, pictures: Tensor) -> Features:
        """What the head reads of normalised pictures (N, 3, h, w): pooled (N, F), or (pooled, map, ...) where there are taps."""
        return tapped(self.backbone, pictures, self.taps)

    def answered(self, features: Features) -> Raw:
        """Raw head output from what `features` gives."""
        # a class token is a slice with gaps, and sums over gaps round otherwise than over stored features without them
        raw: Raw
        if isinstance(features, Tensor):
            raw = self.head(features.contiguous())
        else:
            pooled, *maps = features
            raw = self.head(
                (pooled.contiguous(), *(one.contiguous(memory_format=torch.channels_last) for one in maps))
            )
        return raw

    def normalised(self, frames: Tensor) -> Tensor:
        """float32 (N, 3, h, w) in channels_last memory, from uint8 (N, h, w, 3)."""
        return (frames.permute(0, 3, 1, 2).float() - self.mean) * self.scale

    def open_top(self, count: int) -> None:
        """Opens the top `count` stages of the backbone, closes the others. The head is always open."""
        if not 0 <= count <= len(self.stages):
            raise ValueError(f"the backbone has {len(self.stages)} stages, cannot open {count}")
        self.open = count
        parameters = dict(self.backbone.named_parameters())
        closed = len(self.stages) - count
        for index, stage in enumerate(self.stages):
            for name in stage.parameters:
                parameters[name].requires_grad_(index >= closed)
        self.train(self.training)

    @property
    def closed(self) -> tuple[Stage, ...]:
        """The stages that are closed now, from the stem up."""
        return self.stages[: len(self.stages) - self.open]

    def train(self, mode: bool = True) -> Net:
        """Like Module.train, but closed stages stay in eval: batch norm keeps its statistics, drop-path stays off.

        Training code calls train() at every epoch; frozen has to survive it.
        """
        super().train(mode)
        if mode:
            modules = dict(self.backbone.named_modules())
            for stage in self.closed:
                for name in stage.modules:
                    modules[name].training = False
        return self

    def frozen_tensors(self) -> dict[str, Tensor]:
        """Every parameter and buffer of the closed stages, by name."""
        names = {name for stage in self.closed for name in stage.parameters}
        modules = {name for stage in self.closed for name in stage.modules}
        found = {name: p.detach() for name, p in self.backbone.named_parameters() if name in names}
        buffers = self.backbone.named_buffers()
        found.update({name: b for name, b in buffers if name.rpartition(".")[0] in modules})
        return found


def frame_logits(net: Net, frames: Frames) -> NDArray[np.float32]:
    """The frame's logits (n, C) of fitted frames uint8 (n, h, w, 3), few enough at a time for the memory."""
    net.eval()
    rows = []
    with torch.inference_mode():
        for start in range(0, len(frames), some := together((frames.shape[1], frames.shape[2]))):
            rows.append(net.logits(torch.from_numpy(np.asarray(frames[start : start + some]))).numpy())
    return np.concatenate(rows)
