"""What the cache gives an epoch: stored tensors as batches, and the masks and boxes of the views that they were made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visiontune.data.batches import Batch, BoxesOf, Masks, seen_labels
from visiontune.data.box_targets import BoxTargets, padded, unpadded
from visiontune.runtime.whole import whole


class KeptBatches:
    """Batches of stored tensors: {"kept": float16 or float32 (N, ...), "label": int64 (N,)}, and masks or boxes as in a Batch."""

    def __init__(
        self,
        kept: NDArray[Any],
        labels: NDArray[np.int64],
        order: Iterable[int],
        batch: int,
        *,
        whole: bool,
        masks: Masks | None = None,
        boxes: BoxesOf | None = None,
    ) -> None:
        self.kept, self.labels, self.order = kept, labels, np.array(list(order))
        self.masks, self.boxes = masks, boxes
        size = min(batch, len(self.order))
        end = len(self.order) if whole else len(self.order) // size * size
        self.starts = range(0, end, size)
        self.size = size

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for start in self.starts:
            rows = self.order[start : start + self.size]
            found = {
                "kept": torch.from_numpy(self.kept[rows]),
                "label": torch.from_numpy(self.labels[rows]),
            }
            if self.masks is not None:
                masks = self.masks[rows]
                found["mask"] = torch.from_numpy(masks)
                found["label"] = torch.from_numpy(seen_labels(self.labels[rows], masks))
            if self.boxes is not None:
                some = padded([self.boxes[row] for row in rows.tolist()])
                found |= zip(("boxes", "box_kinds", "known"), map(torch.from_numpy, some), strict=True)
            yield found


@dataclass(frozen=True, kw_only=True)
class Marks:
    """The masks and boxes of each view, in a folder: to move them anew would take as long as to augment the pictures."""

    folder: Path
    masks: bool
    boxes: bool

    def there(self, key: str) -> bool:
        """Whether all that belongs to a view is on disk."""
        return all(path.is_file() for path in self._files(key).values())

    def write(self, key: str, batches: Sequence[Batch]) -> None:
        """Keeps what these batches, in the share's order, hold of it."""
        files = self._files(key)
        if "masks" in files:
            with whole(files["masks"]) as draft, draft.open("wb") as file:
                np.save(file, torch.cat([batch["mask"] for batch in batches]).numpy())
        if "boxes" in files:
            pictures = [
                one
                for batch in batches
                for one in unpadded(*(batch[name].numpy() for name in ("boxes", "box_kinds", "known")))
            ]
            with whole(files["boxes"]) as draft:
                BoxTargets.of(pictures).save(draft)

    def read(self, key: str) -> dict[str, Any]:
        """`masks` and `boxes` of a view, as KeptBatches takes them."""
        files = self._files(key)
        return {
            "masks": np.load(files["masks"], mmap_mode="r") if "masks" in files else None,
            "boxes": BoxTargets.load(files["boxes"]) if "boxes" in files else None,
        }

    def _files(self, key: str) -> dict[str, Path]:
        stem = key.replace(" ", "-")
        found = {}
        if self.masks:
            found["masks"] = self.folder / f"{stem}.masks.npy"
        if self.boxes:
            found["boxes"] = self.folder / f"{stem}.boxes.npz"
        return found


def marks_only(batch: Batch) -> Batch:
    """A batch without its pictures, to be gathered."""
    found: Any = {name: tensor for name, tensor in batch.items() if name != "frames"}
    return cast(Batch, found)
