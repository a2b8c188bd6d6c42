"""A recipe: everything that is decided about a fine-tuning, in one frozen, printable, comparable object."""

from __future__ import annotations

import ast
import dataclasses
import difflib
from dataclasses import dataclass, field
from typing import Any

from visiontune.data.policies import flat_sheet
from visiontune.data.policy import Policy
from visiontune.data.tile_places import Tiles
from visiontune.data.tiles import Grid, wrong
from visiontune.heads import Classify, Head
from visiontune.heads.head import MASKS
from visiontune.runtime.errors import BadRecipe
from visiontune.tune.backbone import check
from visiontune.tune.unfreeze import Unfreeze

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")  # weights stay float32: they are what ships


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to make; never where the data lies. Checked when it is made: a bad value raises BadRecipe at once.

    backbone      a timm name, `hf-hub:org/name`, `local-dir:PATH`, or STARTER ("starter"), the small one that ships inside and
                  needs no network.
    pretrained    False starts from random weights; it must be said, it never happens by itself.
    head          what is asked of the picture.
    policy        augmentation, named for what part and camera allow.
    unfreeze      when which stages open, and their learning rates.
    size          (h, w) in pixels to which frames are stretched: choose it near their shape. Without `tile` the network's input.
    tile          (side, overlap) in pixels of the fitted frame, for frames much larger than their defects: the network sees
                  square tiles and judges a frame by its worst one. None shows it the whole frame at once.
    tiles         which tiles training sees: how many of each frame in a view, and which share of them around defects.
    roi           part of the frame to look at, (x0, y0, x1, y1) as fractions 0..1; None is the whole frame.
    window        grey values (low, high) of 16-bit pictures that become 0 and 255; None is (0, 65535). A camera of 12 bits
                  needs (0, 4095). The line reads 16-bit frames through it too; 8-bit pictures are not touched by it.
    epochs        passes over the train share at most; None is as long as the schedule says.
    batch         pictures in a step.
    lr            peak learning rate of the head (AdamW); deeper stages get less (see Unfreeze.decay). "auto" finds it by a short
                  range test on what the closed backbone gives; it is 2e-3 for heads that read maps (Segment, Detect).
    weight_decay  decoupled weight decay of matrices and kernels; biases and norms get none.
    l2_sp         pull of open stages towards the weights they started from (L2-SP, Li et al. 2018, arXiv 1802.01483), which then
                  replaces their weight decay: a step of rate lr goes back by the share lr * l2_sp of the way. 0 is off.
    accumulate    batches whose gradients make one step of the optimizer; for a large step in little memory.
    precision     "32-true", or "bf16-mixed" for processors and GPUs that calculate in bfloat16: weights stay float32 (see
                  finetune for what it gains). "16-mixed" is for older GPUs.
    drop_path     stochastic depth of the backbone, for architectures that have it.
    views         augmented views of each picture that epochs take turns with; they let the closed stages be computed once.
                  0 augments anew in every epoch, and then nothing of the train share is cached.
    cache_gb      disk space that the run may use for what closed stages give, in gigabytes.
    store_gb      disk space that the run may use for decoded pictures, in gigabytes. Changes no result.
    seed          of weights, order and augmentation. The split has its own, so that trying another seed moves no part.
    good          the good class: a name, "auto" (good, ok, normal, free, pass), or None for a sorter without one.
    group         a regular expression on the picture's path whose first group names the part, lot or patient, if the
                  data's manifest does not: pictures of one group never straddle a split.
    """

    backbone: str
    pretrained: bool = True
    head: Head = field(default_factory=Classify)
    policy: Policy = field(default_factory=flat_sheet)
    unfreeze: Unfreeze = field(default_factory=Unfreeze)
    size: tuple[int, int] = (224, 224)
    tile: tuple[int, int] | None = None
    tiles: Tiles = field(default_factory=Tiles)
    roi: tuple[float, float, float, float] | None = None
    window: tuple[int, int] | None = None
    epochs: int | None = None
    batch: int = 32
    accumulate: int = 1
    precision: str = "32-true"
    lr: float | str = "auto"
    weight_decay: float = 0.02
    l2_sp: float = 0.0
    drop_path: float = 0.0
    views: int = 4
    cache_gb: float = 4.0
    store_gb: float = 10.0
    seed: int = 0
    split_seed: int = 0
    good: str | None = "auto"
    group: str | None = None

    def __post_init__(self) -> None:
        check(self.backbone, pretrained=self.pretrained)
        if self.epochs is not None and (type(self.epochs) is not int or self.epochs < 1):
            raise BadRecipe(f"Recipe.epochs must be a whole number from 1 on, or None, got {self.epochs!r}")
        if self.lr != "auto" and (type(self.lr) not in (int, float) or not float(self.lr) > 0):
            raise BadRecipe(f'Recipe.lr must be greater than 0 or "auto", got {self.lr!r}')
        for name in ("views", "cache_gb", "store_gb", "weight_decay", "l2_sp", "drop_path"):
            if getattr(self, name) < 0:
                raise BadRecipe(f"Recipe.{name} must be 0 or more, got {getattr(self, name)!r}")
        if not isinstance(self.batch, int) or self.batch < 2:
            raise BadRecipe(f"Recipe.batch must be at least 2 (batch norm needs company), got {self.batch!r}")
        if type(self.accumulate) is not int or self.accumulate < 1:
            raise BadRecipe(f"Recipe.accumulate must be a whole number from 1 on, got {self.accumulate!r}")
        if self.precision not in PRECISIONS:
            raise BadRecipe(
                f"Recipe.precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}"
            )
        if len(self.size) != 2 or not all(isinstance(side, int) and 16 <= side <= 4096 for side in self.size):
            raise BadRecipe(
                f"Recipe.size must be (height, width), whole pixels from 16 to 4096, got {self.size!r}"
            )
        if self.tile is not None and (problem := wrong(self.tile, self.size)):
            raise BadRecipe(f"Recipe.tile must be (side, overlap), {problem}, got {self.tile!r}")
        if self.tile is not None and self.head.places:
            raise BadRecipe(
                f"Recipe.tile must be None with the head {type(self.head).__name__}, which knows each place of the whole "
                f"frame, got {self.tile!r}"
            )
        if self.policy.plants and not (self.head.one_class and self.head.learns == MASKS):
            raise BadRecipe(
                f"Recipe.policy must plant no defects with the head {type(self.head).__name__}, which would take them "
                "for good parts or for a kind of defect, got one that does; take TrainedAnomaly()"
            )
        if self.roi is not None:
            x0, y0, x1, y1 = self.roi
            if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
                raise BadRecipe(
                    f"Recipe.roi must be (x0, y0, x1, y1) as fractions of the frame, 0 <= x0 < x1 <= 1, got {self.roi!r}"
                )
        if self.window is not None and not is_window(self.window):
            raise BadRecipe(
                f"Recipe.window must be (low, high), whole grey values, 0 <= low < high <= 65535, got {self.window!r}"
            )

    @property
    def grid(self) -> Grid | None:
        """The tiles of a frame."""
        return None if self.tile is None else Grid(self.size, *self.tile)

    @property
    def seen(self) -> tuple[int, int]:
        """(h, w) in pixels of what the network sees at once."""
        return self.size if self.tile is None else (self.tile[0], self.tile[0])

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, for the card and run.json."""
        plain = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        plain["head"] = {"type": type(self.head).__name__, **dataclasses.asdict(self.head)}  # type: ignore[call-overload]
        plain["policy"] = self.policy.to_json()
        plain["unfreeze"] = dataclasses.asdict(self.unfreeze)
        plain["tiles"] = dataclasses.asdict(self.tiles)
        plain["size"] = list(self.size)
        plain["tile"] = list(self.tile) if self.tile else None
        plain["roi"] = list(self.roi) if self.roi else None
        plain["window"] = list(self.window) if self.window else None
        return plain


def is_window(value: object) -> bool:
    """Whether `value` is (low, high), two whole grey values in order."""
    whole = isinstance(value, tuple) and len(value) == 2 and all(type(edge) is int for edge in value)
    return whole and 0 <= value[0] < value[1] <= 65535  # type: ignore[index]


def changed(recipe: Recipe, settings: list[str]) -> Recipe:
    """`recipe` with FIELD=VALUE settings applied, as on the command line; `head.smoothing=0.1` reaches inside.

    Values are Python literals, or else plain text. Raises BadRecipe for an unknown field (with the nearest name) or a
    value of another kind than the field's.
    """
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise BadRecipe(f"--set expects FIELD=VALUE, got {setting!r}")
        recipe = replaced(recipe, name.strip().split("."), literal(text.strip()), where="Recipe")
    return recipe


def replaced(thing: Any, path: list[str], value: Any, *, where: str) -> Any:
    """A copy of the dataclass `thing` with the field at `path` set to `value`."""
    name, *inner = path
    known = {item.name: str(item.type) for item in dataclasses.fields(thing)}
    if name not in known:
        close = difflib.get_close_matches(name, list(known), n=1)
        hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(known)}"
        raise BadRecipe(f"{where} has no field {name!r}; {hint}")
    old = getattr(thing, name)
    if inner:
        if not dataclasses.is_dataclass(old):
            raise BadRecipe(f"{where}.{name} has no fields of its own; set {name}=VALUE")
        value = replaced(old, inner, value, where=f"{where}.{name}")
    elif dataclasses.is_dataclass(old):
        inside = ", ".join(f"{name}.{item.name}" for item in dataclasses.fields(old))
        raise BadRecipe(f"{where}.{name} cannot be set as a whole from the command line; set one of {inside}")
    else:
        value = fitting(value, old, f"{where}.{name}", known[name])
    return dataclasses.replace(thing, **{name: value})


def fitting(value: Any, old: Any, where: str, declared: str) -> Any:
    """`value` in the kind of `old`, or BadRecipe. None is taken for what it is; a field that holds None takes anything."""
    if declared == "float | str" and type(value) in (int, float, str):
        return value if isinstance(value, str) else float(value)
    if old is None or value is None:
        return tuple(value) if isinstance(value, list) else value
    if isinstance(old, bool) != isinstance(value, bool):
        raise BadRecipe(f"{where} is {type(old).__name__} (now {old!r}), got {value!r}")
    if isinstance(old, float) and isinstance(value, int):
        return float(value)
    if isinstance(old, tuple) and isinstance(value, int):
        return (value,) * len(old)
    if isinstance(old, tuple) and isinstance(value, list):
        return tuple(value)
    if isinstance(old, str) and not isinstance(value, str):
        return str(value)
    if not isinstance(value, type(old)):
        raise BadRecipe(f"{where} is {type(old).__name__} (now {old!r}), got {value!r}")
    return value


def literal(text: str) -> Any:
    """A Python literal, or the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
