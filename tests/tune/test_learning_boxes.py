"""A run that learns from boxes: the same bits cached or not, cut off or not; and the odd data sets."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional

from tests.edited_parts import edited
from visiontune.data.samples import Box
from visiontune.heads import Classify, HeadNet, Labels
from visiontune.heads.classify import ClassifyNet
from visiontune.heads.head import BOXES
from visiontune.runtime.errors import BadData
from visiontune.runtime.region_bands import RegionBands
from visiontune.tune import Unfreeze, finetune, read
from visiontune.tune.boxes_of_val import places_of_val


@dataclass(frozen=True, kw_only=True)
class Spot:
    """The least head that learns from boxes: for each kind, whether it is there and the middle of its boxes."""

    task: ClassVar[str] = "detect"
    taps: ClassVar[str] = "pooled"
    learns: ClassVar[str] = BOXES
    one_class: ClassVar[bool] = False
    places: ClassVar[bool] = False

    def build(self, features: int, labels: Labels) -> HeadNet:
        return SpotNet(features, labels)


class SpotNet(HeadNet):
    def __init__(self, features: int, labels: Labels) -> None:
        super().__init__()
        self.kinds = labels.kinds
        self.named = torch.tensor([labels.classes.index(kind) for kind in labels.kinds])
        self.classify = ClassifyNet(Classify(), features, labels)
        self.spot = nn.Linear(features, 2 * len(labels.kinds))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.classify(features), self.spot(features).unflatten(1, (len(self.kinds), 2))

    def logits(self, raw: tuple[Tensor, Tensor]) -> Tensor:
        return raw[0]

    def losses(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        return self.classify.losses(logits, targets)

    def judged(self, logits: Tensor) -> dict[str, Tensor]:
        return self.classify.judged(logits / self.temperature)

    def answer(self, raw: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """A box of 24 pixels for each kind, and a row of padding."""
        said = self.judged(raw[0])
        middles = 64 * raw[1].clamp(0.2, 0.8)
        boxes = torch.cat([middles - 12, middles + 12], dim=2)
        scores = said["kinds"][:, self.named]
        return {
            **said,
            "boxes": functional.pad(boxes, (0, 0, 0, 1)),
            "box_scores": functional.pad(scores, (0, 1)),
            "box_kinds": functional.pad(self.named.expand(len(boxes), -1), (0, 1)),
        }

    def map_losses(self, raw: tuple[Tensor, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        boxes, kinds = targets["boxes"], targets["box_kinds"]
        assert boxes.dtype == torch.float32 and targets["known"].dtype == torch.bool
        assert not kinds[~targets["known"]].ge(0).any()
        middles = (boxes[..., :2] + boxes[..., 2:]) / 128
        here = raw[1].gather(1, kinds.clamp(min=0)[..., None].expand(-1, -1, 2))
        return ((here - middles).square().sum(2) * (kinds >= 0)).sum(1)


@pytest.fixture(scope="module")
def recipe(tiny_recipe):
    return replace(tiny_recipe, head=Spot(), unfreeze=Unfreeze(at=(1, 2)), epochs=4, views=2, lr=2e-3)


def tuned(recipe, data, out, **options):
    said = io.StringIO()
    run = finetune(recipe, data, out=out, console=Console(file=said, width=200), **options)
    return run, said.getvalue()


@pytest.fixture(scope="module")
def cached(recipe, parts_folder, tmp_path_factory):
    return tuned(recipe, read(parts_folder), tmp_path_factory.mktemp("cached"))


def same(here, there):
    return [name for name, value in here.items() if not torch.equal(value, there[name])]


def test_the_head_knows_the_kinds_of_the_boxes(cached):
    run, _ = cached
    assert run.net.head.kinds == run.data.kinds and len(run.data.kinds) > 2


def test_the_cache_of_boxes_changes_no_bit(cached, recipe, parts_folder, tmp_path):
    run, said = cached
    assert "closed stages are computed once" in said and "not cached" not in said
    plain, said = tuned(replace(recipe, cache_gb=0), read(parts_folder), tmp_path / "plain")
    assert "computed once" not in said
    assert same(plain.net.state_dict(), run.net.state_dict()) == []
    assert [e.val_loss for e in plain.history] == [e.val_loss for e in run.history]


def test_boxes_are_learned(cached, recipe, parts_folder, tmp_path):
    run, _ = cached
    data = read(parts_folder)
    samples = [
        replace(s, boxes=tuple(Box(b.kind, 0, 0, 2, 2) for b in s.boxes) if s.boxes else s.boxes)
        for s in data
    ]
    moved, _ = tuned(recipe, replace(data, samples=tuple(samples)), tmp_path / "moved")
    assert moved.history[0].train_loss != run.history[0].train_loss


def test_a_run_that_was_cut_off_ends_in_the_same_bits(cached, recipe, parts_folder, tmp_path):
    from lightning import Callback

    run, _ = cached

    class Off(Callback):
        def on_train_epoch_start(self, trainer, module):
            if trainer.current_epoch == 2:
                raise KeyboardInterrupt

    data = read(parts_folder)
    with pytest.raises(KeyboardInterrupt):
        tuned(recipe, data, tmp_path / "off", callbacks=[Off()])
    kept = sorted((tmp_path / "off/cache").glob("*.boxes.npz"))
    assert kept
    kept[0].unlink()  # a kill between tensors and boxes
    again, _ = tuned(recipe, data, tmp_path / "off", resume=True)
    assert same(again.net.state_dict(), run.net.state_dict()) == []


def test_without_boxes_there_is_nothing_to_learn(recipe, parts_folder, tmp_path):
    folder = edited(parts_folder, tmp_path / "parts", lambda row: row.update(boxes=""))
    with pytest.raises(BadData, match="expected boxes in train, found none; add a COCO"):
        tuned(recipe, read(folder), tmp_path / "run")


@pytest.fixture(scope="module")
def calibrated(cached):
    run, _ = cached
    run.calibrate(escapes=0.2, overkill=0.2, confidence=0.8)
    return run


def test_calibration_says_from_which_score_boxes_are_shown(calibrated):
    told = calibrated.metrics["boxes"]
    assert calibrated.regions.high == told["bands"]["high"] == calibrated.card("x").regions.high
    assert told["good"] == calibrated.data.counts()["val"]["good"] and told["false"] == 0
    assert told["found"]["of"] == sum(len(sample.boxes) for sample in calibrated.data.share("val"))
    assert "  boxes: " in calibrated.console.file.getvalue()


def test_the_report_shows_what_the_boxes_find(calibrated, tmp_path):
    run = replace(calibrated, regions=RegionBands(low=0.01, high=0.01))
    places, found = places_of_val(run)
    assert found.objects == calibrated.metrics["boxes"]["found"]["of"] and found.good
    assert len(places) == len(run.data.share("val"))
    shown = [one for place in places for one in place.regions]
    assert shown and all(0 <= one.box[0] < one.box[2] <= 64 for one in shown)
    page = run.report(tmp_path / "report.html").read_text("utf-8")
    assert "Boxes on val" in page and "white dashes are what people drew" in page
    assert f"{found.map:.1%}</td>" in page


def test_boxes_come_back_to_the_pixels_of_a_picture_of_another_size(calibrated, tmp_path):
    """The same val pictures at twice the size: the same boxes, twice as large."""
    val = calibrated.data.share("val")
    samples = []
    for sample in val:
        path = tmp_path / sample.path.name
        picture = Image.open(sample.path)
        picture.resize((128, 128)).save(path)
        boxes = tuple(replace(b, x0=2 * b.x0, y0=2 * b.y0, x1=2 * b.x1, y1=2 * b.y1) for b in sample.boxes)
        samples.append(replace(sample, path=path, boxes=boxes))
    large = replace(calibrated, data=replace(calibrated.data, samples=tuple(samples)))
    (here, found), (there, again) = places_of_val(calibrated), places_of_val(large)
    assert found == again
    for one, two in zip(here, there, strict=True):
        for small, wide in zip(one.regions, two.regions, strict=True):
            assert [2 * edge for edge in small.box] == pytest.approx(wide.box, abs=1e-4)


def test_a_kind_that_is_no_class_is_refused_by_name(recipe, parts_folder, tmp_path):
    def change(row):
        row["label"] = "good" if row["label"] == "good" else "bad"

    data = read(edited(parts_folder, tmp_path / "parts", change))
    with pytest.raises(BadData, match=r"classes of pictures too \(good, bad\), found also crack"):
        tuned(recipe, data, tmp_path / "run")


@pytest.mark.parametrize(("head", "phases"), [(Classify(), 1), (Spot(), 2)], ids=["labels", "boxes"])
def test_a_frame_without_error_is_no_end_where_boxes_are_learned(head, phases, recipe, tmp_path):
    """Bright pictures are cracked: the head alone makes no error, and yet knows nothing of where."""
    rows = ["path,label,boxes,split"]
    (tmp_path / "parts").mkdir()
    for at in range(48):
        cracked, split = at % 2, "val" if at % 6 < 2 else "test" if at % 6 == 2 else "train"
        pixels = np.random.default_rng(at).integers(0, 60, (64, 64), np.uint8) + np.uint8(150 * cracked)
        Image.fromarray(pixels).save(tmp_path / f"parts/{at}.png")
        boxes = f"crack {at % 40} 5 {at % 40 + 20} 25" if cracked else "none"
        rows.append(f"{at}.png,{'crack' if cracked else 'good'},{boxes},{split}")
    (tmp_path / "parts/manifest.csv").write_text("\n".join(rows) + "\n")
    gated = replace(recipe, head=head, unfreeze=Unfreeze(head=6, brief=1, full=1), epochs=None, lr=2e-2)
    run, _ = tuned(gated, read(tmp_path / "parts"), tmp_path / "run")
    assert run.phases[0].errors == 0
    assert len(run.phases) == phases
