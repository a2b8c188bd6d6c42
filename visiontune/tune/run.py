"""A run: what fine-tuning made, and the verbs that follow it: judge, calibrate, export, report."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor

from visiontune.data.batches import label_indices
from visiontune.data.fit import Fit
from visiontune.data.frames import Frames
from visiontune.data.samples import Dataset, Sample
from visiontune.data.store import load
from visiontune.heads.head import BOXES
from visiontune.runtime.bands import Bands
from visiontune.runtime.card import InputSpec, ModelCard
from visiontune.runtime.costs import Costs
from visiontune.runtime.errors import CalibrationRefused
from visiontune.runtime.region_bands import RegionBands
from visiontune.runtime.whole import whole
from visiontune.tune.backbone import normalisation
from visiontune.tune.calibrate import Judged, Target
from visiontune.tune.choose_boxes import val_boxes
from visiontune.tune.choose_regions import val_regions
from visiontune.tune.export import export
from visiontune.tune.keeper import PhaseResult
from visiontune.tune.kind_costs import KindCosts
from visiontune.tune.learner import Epoch, balanced_accuracy
from visiontune.tune.learning_curve import LearningCurve
from visiontune.tune.net import Net, frame_logits
from visiontune.tune.planted_escapes import with_estimate
from visiontune.tune.progress import counted
from visiontune.tune.range_test import Rates
from visiontune.tune.recipe import Recipe
from visiontune.tune.temper import temper
from visiontune.tune.verdicts import asked_bands, in_sentences
from visiontune.tune.versions import versions
from visiontune.version import __version__

if TYPE_CHECKING:
    from visiontune.report.plot import Plot
    from visiontune.tune.precisions import Precision


@dataclass(kw_only=True)
class Run:
    """A fine-tuned network with everything that made it. `history` has an entry per epoch.

    `best` is the epoch at whose end the kept weights were chosen; `phases` says how each phase ended.
    """

    recipe: Recipe
    data: Dataset
    net: Net
    fit: Fit
    frames: dict[str, Frames]
    history: tuple[Epoch, ...]
    phases: tuple[PhaseResult, ...]
    best: int
    rates: Rates
    out: Path
    start: dict[str, Tensor] = field(default_factory=dict, repr=False)
    store: Path | None = None
    console: Console = field(default_factory=lambda: Console(stderr=True))
    bands: Bands | None = None
    regions: RegionBands | None = None
    model: Path | None = None
    metrics: dict[str, Any] = field(default_factory=dict)

    def pictures(self, split: str) -> Frames:
        """The pictures of a split as the network sees them, uint8 (n, h, w, 3); decoded once."""
        if split not in self.frames:
            self.frames[split] = load(
                self.data.share(split),
                self.fit,
                window=self.recipe.window,
                folder=self.store,
                store_gb=self.recipe.store_gb,
            )
        return self.frames[split]

    def logits(self, split: str) -> NDArray[np.float32]:
        """The frame's logits for every picture of a split, float32 (n, C)."""
        return frame_logits(self.net, self.pictures(split))

    def judge(self, split: str) -> Judged:
        """How the network judges every picture of a split: severity, kinds, true labels, parts."""
        with torch.inference_mode():
            answers = self.net.head.judged(torch.from_numpy(self.logits(split)))
        share = self.data.share(split)
        return Judged(
            severity=answers["severity"].numpy(),
            kinds=answers["kinds"].numpy(),
            labels=label_indices(share),
            groups=[sample.group for sample in share],
            classes=share.classes,
            one_class=self.recipe.head.one_class,
        )

    def calibrate(
        self,
        *,
        escapes: float = 0.01,
        overkill: float = 0.05,
        confidence: float = 0.95,
        costs: Costs | KindCosts | None = None,
        prevalence: float | None = None,
    ) -> Bands:
        """Fits the temperature and sets the bands on val, and of regions or boxes where it has any; prints what they certify.

        By rates (tune.calibrate, tune.sorting), or where `costs` are given by these: Costs with the line's `prevalence` of
        defective parts (tune.operating_point), KindCosts for a sorter (tune.kind_costs). Raises CalibrationRefused when val
        lacks good or defective parts (good ones are enough of Anomaly), a rate is outside 0..1, or costs do not fit the data.
        """
        target = Target(escapes=escapes, overkill=overkill, confidence=confidence)
        labels = label_indices(self.data.share("val"))
        if not len(labels):
            raise CalibrationRefused("the val share is empty; expected held-out parts to set bands on")
        temperature = temper(self.net.head, self.logits("val"), labels)
        judged = self.judge("val")
        good = self.data.good is not None
        bands = asked_bands(judged, target, good=good, costs=costs, prevalence=prevalence)
        self.bands = with_estimate(self, bands)
        predicted = judged.kinds.argmax(axis=1)
        for name in ("proof", "precisions"):  # of files with other bands
            self.metrics.pop(name, None)
        self.metrics["val"] = {
            "accuracy": float((predicted == judged.labels).mean()),
            "balanced_accuracy": balanced_accuracy(judged.labels, predicted),
            "temperature": temperature,
        }
        for line in in_sentences(self.bands):
            self.console.print(f"  {line}", highlight=False, soft_wrap=True)
        self.regions = val_boxes(self) if self.recipe.head.learns == BOXES else val_regions(self)
        self.save()
        return self.bands

    def export(
        self, path: str | Path | None = None, *, core: bool = False, precision: str = "float32"
    ) -> Path:
        """Writes the model file (default: model.onnx in the run's folder) after proving it on val; gives its path.

        Calibrates with the defaults first if that was not done. `core=True` writes the bare network beside it. Raises
        ExportRefused, leaving no file, if the file does not judge as the network does. `precision="int8"` (faster) or
        "fp16" (smaller) writes a further file, by default model.int8.onnx, with bands and a proof of its own, and raises
        PrecisionRefused where it judges otherwise than float32 or is not worth it on this PC; see tune.narrow.
        """
        if self.bands is None:
            self.calibrate()
        assert self.bands is not None
        plain = precision == "float32"
        target = (
            Path(path) if path is not None else self.out / f"model{'' if plain else '.' + precision}.onnx"
        )
        if not plain:
            from visiontune.tune.narrow import narrow

            return narrow(self, target, precision, core=core)
        target.parent.mkdir(parents=True, exist_ok=True)
        val = self.data.share("val")
        with counted(self.console, "proving the file on val", len(val)) as step:
            card = export(
                target,
                self.net,
                self.bands,
                self.card(target.stem),
                val=val,
                judged=self.judge("val"),
                roi=self.recipe.roi,
                core=core,
                progress=step,
            )
        assert card.proof is not None
        self.metrics["proof"] = card.proof.summary()
        self.model = target
        self.save()
        return target

    def card(self, name: str) -> ModelCard:
        """The card for the model file, without golden answers and proof."""
        assert self.bands is not None
        mean, std = normalisation(self.net.backbone)
        return ModelCard(
            name=name if name != "model" else self.out.resolve().name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            made_by=f"visiontune {__version__}",
            task=self.recipe.head.task,
            classes=self.data.classes,
            good=self.data.good,
            input=InputSpec(
                size=self.recipe.size, roi=self.recipe.roi, mean=mean, std=std, window=self.recipe.window
            ),
            temperature=float(self.net.head.temperature),
            bands=self.bands,
            regions=self.regions,
            recipe=self.recipe.as_dict(),
            data={
                **self.data.provenance,
                "digest": self.data.digest(),
                "layout": self.data.layout,
                "counts": self.data.counts(),
            },
            versions=versions(),
        )

    def precisions(self) -> tuple[Precision, ...]:
        """What float32, fp16 and int8 cost and change, measured on this PC and on val; printed and kept in run.json."""
        from visiontune.tune.narrow import compare

        if self.bands is None:
            self.calibrate()
        return compare(self)

    def health(self, *, pictures: int = 128) -> dict[str, Any]:
        """Signs of overfitting and forgetting, on at most `pictures` val pictures; kept in run.json. See tune.health."""
        from visiontune.tune.health import health

        return health(self, pictures=pictures)

    def learning_curve(self) -> LearningCurve:
        """What twice the pictures may give, per class; printed and kept in run.json. See tune.outlook."""
        from visiontune.tune.outlook import outlook

        return outlook(self)

    def worst(self, n: int = 12, split: str = "val") -> list[tuple[Sample, str, float]]:
        """The n pictures of a split it judged worst: (sample, kind it named, probability it gave the true kind), worst first."""
        judged = self.judge(split)
        true = judged.kinds[np.arange(len(judged.labels)), judged.labels]
        share = self.data.share(split)
        return [
            (share.samples[i], self.data.classes[int(judged.kinds[i].argmax())], float(true[i]))
            for i in np.argsort(true, kind="stable")[:n]
        ]

    def report(self, path: str | Path | None = None) -> Path:
        """Writes the report page (default: report.html in the run's folder); gives its path."""
        from visiontune.report.page import write
        from visiontune.tune.findings import findings

        return write(path if path is not None else self.out / "report.html", findings(self))

    def curves(self) -> Plot:
        """Loss and balanced accuracy over the epochs, as a matplotlib Figure that shows itself in a notebook."""
        from visiontune.report.plots import curves

        return curves([asdict(epoch) for epoch in self.history], self.best)

    def as_dict(self) -> dict[str, Any]:
        """What run.json holds: recipe, data, splits, history, metrics, versions."""
        return {
            "schema": 1,
            "made_by": f"visiontune {__version__}",
            "recipe": self.recipe.as_dict(),
            "data": {
                **self.data.provenance,
                "root": str(self.data.root),
                "layout": self.data.layout,
                "digest": self.data.digest(),
                "classes": list(self.data.classes),
                "good": self.data.good,
                "counts": self.data.counts(),
                "notes": list(self.data.notes),
            },
            "splits": {
                name: [sample.id for sample in self.data.share(name)] for name in ("train", "val", "test")
            },
            "history": [asdict(epoch) for epoch in self.history],
            "best": self.best,
            "rates": asdict(self.rates),
            "phases": [asdict(phase) for phase in self.phases],
            "bands": asdict(self.bands) if self.bands else None,
            "metrics": self.metrics,
            "model": self.model.name if self.model else None,
            "versions": versions(),
        }

    def save(self) -> Path:
        """Writes run.json, at once or not at all."""
        target = self.out / "run.json"
        with whole(target) as draft:
            draft.write_text(json.dumps(self.as_dict(), indent=1) + "\n", encoding="utf-8")
        return target
