"""Which of the boxes that cells say stay, and what they are named: what a detector tells those who export it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from visiontune.heads.boxes import agreed, strongest

BOX_WORD, SCORE_WORD = "cell_boxes", "cell_scores"  # of the exported network, before suppression
HEARD = 10  # cells to each box that a frame can have, the strongest ones, which say where the boxes lie


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """Suppression within each kind, then the strongest of all kinds (see boxes.strongest), each where the strongest cells agree
    that it lies (see boxes.agreed).

    least    score that a box must be above.
    overlap  IoU above which the weaker of two boxes of one kind goes.
    most     boxes that a frame can have.
    named    the position among the classes of each kind of box.
    """

    least: float
    overlap: float
    most: int
    named: tuple[int, ...]

    def left(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (N, most, 4), scores (N, most) and kinds (N, most) that stay of boxes (N, P, 4) with scores (N, P, K)."""
        found = [self._of_one(some, theirs) for some, theirs in zip(boxes, scores, strict=True)]
        boxes, scores, kinds = (torch.stack(column) for column in zip(*found, strict=True))
        return boxes, scores, torch.tensor(self.named, device=kinds.device)[kinds] * (scores > 0)

    def _of_one(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same of one picture, its kinds by their columns."""
        chosen, strength, kinds = strongest(
            boxes, scores, least=self.least, overlap=self.overlap, most=self.most
        )
        # of equal ones the first, as in ONNX's TopK
        heard = scores.amax(dim=1).argsort(descending=True, stable=True)[: HEARD * self.most]
        placed = agreed(chosen, kinds, boxes[heard], scores[heard])
        return torch.where(strength[:, None] > 0, placed, chosen), strength, kinds

    def in_words(self, said: dict[str, Tensor]) -> dict[str, Tensor]:
        """The line's words in the place of what cells say."""
        words = {word: value for word, value in said.items() if word not in (BOX_WORD, SCORE_WORD)}
        kept = self.left(said[BOX_WORD], said[SCORE_WORD])
        return {**words, **dict(zip(("boxes", "box_scores", "box_kinds"), kept, strict=True))}

    def moved(self, overlap: float) -> Suppression:
        """The same with an overlap so much larger."""
        return replace(self, overlap=self.overlap + overlap)
