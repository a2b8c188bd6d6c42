"""What a run found, as the plain data that the report shows."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

from visiontune.data.samples import SPLITS
from visiontune.heads.head import BOXES
from visiontune.report.findings import Findings, Section, Table, worst
from visiontune.report.learning_curve import section as learning_curve
from visiontune.runtime.detection import Detection
from visiontune.tune.boxes_of_val import places_of_val
from visiontune.tune.boxes_of_val import section as box_section
from visiontune.tune.choose_regions import heatmaps
from visiontune.tune.learner import parameter_groups
from visiontune.tune.run import Run
from visiontune.tune.versions import versions
from visiontune.version import __version__


def findings(run: Run) -> Findings:
    """Judges val once more and gathers all that the page says of the run. Raises BadData for a network that says NaN."""
    judged = run.judge("val")
    data, val = run.data, run.data.share("val")
    shown = worst(judged.kinds, judged.labels)
    boxes = places_of_val(run) if run.recipe.head.learns == BOXES else None
    heat = None if boxes else heatmaps(run.net, run.pictures("val")[np.array(shown)])
    name = run.model.stem if run.model is not None else "model"
    return Findings(
        title=name if name != "model" else run.out.resolve().name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        made_by=f"visiontune {__version__}",
        classes=data.classes,
        good=data.good,
        recipe=run.recipe.as_dict(),
        data={
            **data.provenance,
            "layout": data.layout,
            "digest": data.digest(),
            "counts": data.counts(),
            "groups": {split: len({sample.group for sample in data.share(split)}) for split in SPLITS},
            "notes": data.notes,
        },
        severity=judged.severity,
        kinds=judged.kinds,
        labels=judged.labels,
        groups=judged.groups,
        paths=[sample.path for sample in val],
        masks={at: mask for at in shown if (mask := val.samples[at].mask) is not None},
        heatmaps={} if heat is None else dict(zip(shown, heat, strict=True)),
        regions=run.regions,
        roi=run.recipe.roi,
        window=run.recipe.window,
        history=[asdict(epoch) for epoch in run.history],
        best=run.best,
        stages=stages(run),
        bands=run.bands,
        temperature=float(run.net.head.temperature),
        proof=run.metrics.get("proof"),
        versions=versions(),
        places=boxes[0] if boxes else (),
        sections=sections(run, boxes[1] if boxes else None),
    )


def sections(run: Run, boxes: Detection | None) -> tuple[Section, ...]:
    """What more pictures may give where that was asked, how the phases ended, and whether the network overfitted or forgot."""
    health = run.health()
    phases = Table(
        ("open stages", "epochs", "val loss", "errors", "gain", "lower bound", "kept"),
        tuple(
            (
                str(phase.open),
                f"{phase.start} to {phase.start + phase.epochs - 1}",
                f"{phase.val_loss:.4f}",
                str(phase.errors),
                "" if phase.gain is None else f"{phase.gain:+.4f}",
                "" if phase.low is None else f"{phase.low:+.4f}",
                phase.chosen if phase.kept else "no",
            )
            for phase in run.phases
        ),
    )
    moved = Table(("stage", "drift"), tuple((name, f"{far:.2%}") for name, far in health["drift"].items()))
    corrupted = Table(
        ("val pictures", *health["corruptions"]),
        tuple(
            (kind, *(f"{found[kind]:.3f}" for found in health["corruptions"].values()))
            for kind in health["corruptions"]["end"]
        ),
    )
    curve = run.metrics.get("learning_curve")
    return (
        *(() if curve is None else (learning_curve(curve),)),
        *(() if boxes is None else (box_section(boxes),)),
        *where(run),
        *trained_beside_memory(run),
        Section("Phases: val loss in nats at its best temperature", phases),
        Section("How far the weights moved from where they began, |w - w0| / |w0|", moved),
        Section(
            "Balanced accuracy under stock corruptions: what a change of light or focus would cost", corrupted
        ),
    )


def where(run: Run) -> tuple[Section, ...]:
    """How regions are cut from the heatmap and what they find on val; or why there is no heatmap."""
    heading = "Where: regions of the heatmap against the masks of val"
    if run.net.blind:
        return (Section(heading, run.net.blind),)
    found = run.metrics.get("regions")
    if found is None:
        return ()
    bands, hits = found["bands"], found["found"]
    row = (
        f"{bands['low']:g}",
        f"{bands['high']:.3g}",
        f"{hits['hits']} of {hits['of']}",
        f"{found['false']} in {found['good']}",
        f"{found['iou']:.1%}",
    )
    header = ("cells from", "where they reach", "defects found", "false regions in good pictures", "overlap")
    return (Section(heading, Table(header, (row,))),)


def trained_beside_memory(run: Run) -> tuple[Section, ...]:
    """Whether training paid, where a head stands on a memory of good parts that needs none."""
    found = run.metrics.get("beside_memory")
    if found is None:
        return ()
    row = (
        f"{found['defective']} {found['on']}, {found['good']} good",
        f"{found['trained']:.3f}",
        f"{found['memory']:.3f}",
        f"{found['gain']:+.3f}",
        f"{found['low']:+.3f}",
        "better" if found["better"] else "not better beyond noise: take Anomaly(), which needs no training",
    )
    header = ("val pictures", "AUROC, trained", "memory alone", "gain", "lower bound", "so it is")
    return (Section("The trained head beside the memory it stands on", Table(header, (row,))),)


def stages(run: Run) -> list[dict[str, Any]]:
    """The stages from the stem to the head: name, parameters, peak learning rate, and the epoch from which they trained."""
    peak = {group["name"]: float(group["peak"]) for group in parameter_groups(run.net, run.recipe, run.rates)}
    rows: list[dict[str, Any]] = []
    for height, stage in enumerate(run.net.stages):
        needs = len(run.net.stages) - height  # so many stages have to be open for this one to train
        opened = next((epoch.epoch for epoch in run.history if epoch.open >= needs), None)
        rows.append(
            {"name": stage.name, "parameters": stage.size, "lr": peak.get(stage.name, 0.0), "opened": opened}
        )
    size = sum(parameter.numel() for parameter in run.net.head.parameters())
    return [*rows, {"name": "head", "parameters": size, "lr": peak.get("head", 0.0), "opened": 0}]
