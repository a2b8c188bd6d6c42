"""Feeds fitted pictures to the network: addressable augmented views for training, plain ones for evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NotRequired, Protocol, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from visiontune.data.box_targets import IGNORE, NOWHERE, PART, Boxes, padded
from visiontune.data.frames import Frames
from visiontune.data.masks import DEFECT, PLANTED, UNKNOWN
from visiontune.data.policy import Augmented, Policy, view_seed
from visiontune.data.samples import Dataset


class Masks(Protocol):
    """Masks uint8 (n, h, w) by position: one, or several by their numbers. An ndarray is one."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, at: Any, /) -> Any:
        """uint8 (h, w) for a number, uint8 (k, h, w) for a slice or an array of numbers."""

    def tobytes(self) -> bytes:
        """What tells these masks from others."""


class BoxesOf(Protocol):
    """Boxes by position. BoxTargets is one."""

    def __len__(self) -> int:
        """How many pictures."""

    def __getitem__(self, at: int, /) -> Boxes:
        """Those of a picture."""

    def tobytes(self) -> bytes:
        """What tells these boxes from others."""


class Batch(TypedDict):
    """One step's worth of pictures."""

    frames: torch.Tensor  # uint8 (N, h, w, 3), RGB
    label: torch.Tensor  # int64 (N,), index into the dataset's classes
    index: torch.Tensor  # int64 (N,), position in the share
    mask: NotRequired[
        torch.Tensor
    ]  # uint8 (N, h, w): 0 good, 1 defect, 2 planted, 255 unknown; for heads that learn from masks
    # for heads that learn from boxes, M being the most boxes of a picture in the batch, at least 1:
    boxes: NotRequired[torch.Tensor]  # float32 (N, M, 4), x0 y0 x1 y1 in pixels of the picture; 0 is padding
    box_kinds: NotRequired[torch.Tensor]  # int64 (N, M), into the kinds of box; -1 padding, -2 to be ignored
    known: NotRequired[torch.Tensor]  # bool (N,), False where nobody said where the defect is


class Item(TypedDict):
    """One picture on its way into a batch."""

    frames: NDArray[np.uint8]
    label: int
    index: int
    mask: NotRequired[NDArray[np.uint8]]
    boxes: NotRequired[Boxes]


class Views(TorchDataset[Item]):
    """A share's pictures as the network shall see them in one view.

    View `v` of a picture is always the same pixels, whatever the worker, the order or the epoch it is asked in: its
    augmentation is seeded by (run seed, sample id, v). `policy=None` gives the pictures as they are. `masks` uint8 (n, h, w)
    go through the same augmentation as their pictures, and so do `boxes`.
    """

    def __init__(
        self,
        share: Dataset,
        frames: Frames,
        *,
        policy: Policy | None,
        seed: int,
        view: int,
        masks: Masks | None = None,
        boxes: BoxesOf | None = None,
    ) -> None:
        if len(share) != len(frames):
            raise ValueError(f"{len(frames)} frames for {len(share)} samples")
        if masks is not None and len(masks) != len(share):
            raise ValueError(f"{len(masks)} masks for {len(share)} samples")
        if boxes is not None and len(boxes) != len(share):
            raise ValueError(f"boxes of {len(boxes)} pictures for {len(share)} samples")
        self.frames = frames
        self.labels = label_indices(share)
        self.ids = [sample.id for sample in share]
        self.policy = policy
        self.seed = seed
        self.view = view
        self.masks = masks
        self.boxes = boxes

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Item:
        frame = self.frames[index]
        mask = None if self.masks is None else self.masks[index]
        boxes = None if self.boxes is None else self.boxes[index]
        if self.policy is not None:
            seen = self.policy(
                frame,
                seed=view_seed(self.seed, self.ids[index], self.view),
                mask=mask,
                boxes=None if boxes is None else boxes.corners,
                kinds=None if boxes is None else boxes.kinds.tolist(),
            )
            frame, mask = seen.image, still_true(mask, seen.mask)
            boxes = None if boxes is None else still_there(boxes, seen)
        item: Item = {"frames": frame, "label": int(self.labels[index]), "index": index}
        if mask is not None:
            item["mask"] = mask
            item["label"] = int(seen_labels(self.labels[index : index + 1], mask[np.newaxis])[0])
        if boxes is not None:
            item["boxes"] = boxes
        return item


def still_true(mask: NDArray[np.uint8] | None, seen: NDArray[np.uint8] | None) -> NDArray[np.uint8] | None:
    """The mask of a view; unknown everywhere where it lost the defect that the picture's own mask has.

    A speck may fall between the pixels of a turned mask, or out of the crop: then nobody knows whether the view shows it.
    """
    if mask is not None and seen is not None and (mask == DEFECT).any() and not (seen == DEFECT).any():
        return np.full_like(seen, UNKNOWN)
    return seen


def still_there(boxes: Boxes, seen: Augmented) -> Boxes:
    """The boxes of a view, cut at its edges; unknown where it lost every object that the picture has.

    What is left of the last one may be too little for a box, and yet be seen: nobody knows. Of a box of which the edge left
    less than a quarter nobody knows either: it is to be ignored. So no box is an empty corner of the frame round a turned
    object: what touches all four sides of its frame leaves no corner of a quarter of it empty.
    """
    assert seen.boxes is not None and seen.kinds is not None and seen.left is not None
    kinds = np.where(seen.left < PART, IGNORE, np.array(seen.kinds, np.int64))
    found = Boxes(seen.boxes.astype(np.float32), kinds, boxes.known)
    lost = (boxes.kinds >= 0).any() and not (found.kinds >= 0).any()
    return NOWHERE if lost else found


def seen_labels(labels: NDArray[np.int64], masks: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Labels (n,) of views with these masks (n, h, w): a good part on which a defect was planted is of class 1."""
    planted = (masks == PLANTED).any(axis=(1, 2))
    return np.where(planted & (labels == 0), 1, labels)


def label_indices(share: Dataset) -> NDArray[np.int64]:
    """Class index of every sample, int64 (n,)."""
    position = {name: index for index, name in enumerate(share.classes)}
    return np.array([position[sample.label or ""] for sample in share], np.int64)


class Shuffled(Sampler[int]):
    """A permutation of 0..n-1 that depends on (seed, epoch) and on nothing else, so that a resumed epoch repeats it."""

    def __init__(self, n: int, *, seed: int, epoch: int) -> None:
        self.order = np.random.default_rng([seed, epoch]).permutation(n)

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[int]:
        return iter(self.order.tolist())


def training_batches(
    views: Views, *, batch: int, seed: int, epoch: int, workers: int = 0
) -> DataLoader[Batch]:
    """Shuffled batches of one epoch. A last batch smaller than `batch` is left out: batch norm needs company."""
    sampler = Shuffled(len(views), seed=seed, epoch=epoch)
    return DataLoader(
        views,  # type: ignore[arg-type]
        batch_size=min(batch, len(views)),
        sampler=sampler,
        drop_last=True,
        num_workers=workers,
        collate_fn=collate,
    )


def evaluation_batches(views: Views, *, batch: int) -> DataLoader[Batch]:
    """Every picture once, in order."""
    return DataLoader(views, batch_size=batch, collate_fn=collate)  # type: ignore[arg-type]


def collate(items: Sequence[Item]) -> Batch:
    """Stacks pictures into a batch."""
    batch: Batch = {
        "frames": torch.from_numpy(np.stack([item["frames"] for item in items])),
        "label": torch.tensor([item["label"] for item in items]),
        "index": torch.tensor([item["index"] for item in items]),
    }
    if "mask" in items[0]:
        batch["mask"] = torch.from_numpy(np.stack([item["mask"] for item in items]))
    if "boxes" in items[0]:
        corners, kinds, known = padded([item["boxes"] for item in items])
        batch["boxes"], batch["box_kinds"] = torch.from_numpy(corners), torch.from_numpy(kinds)
        batch["known"] = torch.from_numpy(known)
    return batch
