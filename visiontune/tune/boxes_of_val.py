"""What a run's boxes find on val, as the line would measure it, and as the report shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visiontune.data.box_fit import to_frame
from visiontune.data.layouts.headers import sizes
from visiontune.report.findings import Places, Section, Table
from visiontune.runtime.box_counter import BoxCounter
from visiontune.runtime.detection import Detection
from visiontune.runtime.regions import boxed
from visiontune.tune.choose_boxes import proposals
from visiontune.tune.choose_regions import CONFIDENCE

if TYPE_CHECKING:
    from visiontune.tune.run import Run


def places_of_val(run: Run) -> tuple[list[Places], Detection | None]:
    """What is shown on each picture of val beside what people drew, in pixels of the picture; and what that comes to.

    The network is asked itself, so this may be had before there is a file.
    """
    val, recipe = run.data.share("val"), run.recipe
    extents = sizes(sample.path for sample in val)
    counter = BoxCounter(classes=run.data.classes, good=run.data.good, roi=recipe.roi, bands=run.regions)
    places = []
    for sample, fitted in zip(val, proposals(run.net, run.pictures("val")), strict=True):
        extent = extents[sample.path]
        if isinstance(extent, str):  # the file is gone since
            places.append(Places((), ()))
            continue
        frame = extent[1], extent[0]
        corners = to_frame(fitted.corners, frame=frame, size=recipe.size, roi=recipe.roi)
        proposed = fitted._replace(corners=corners.astype("float32"))
        counter.add(sample, frame, proposed)
        places.append(Places(boxed(proposed, run.data.classes, run.regions), sample.boxes or ()))
    return places, counter.result(CONFIDENCE)


def section(found: Detection) -> Section:
    """The figures of val kind by kind, the worst first."""
    rows = sorted(found.kinds.items(), key=lambda item: (item[1].ap, item[0]))
    table = Table(
        ("kind", "objects", "found", "AP", "AP50", "AR"),
        (
            *(
                (
                    name,
                    str(one.objects),
                    f"{one.found.rate or 0:.1%}",
                    f"{one.ap:.1%}",
                    f"{one.ap50:.1%}",
                    f"{one.ar:.1%}",
                )
                for name, one in rows
            ),
            (
                "all kinds",
                str(found.objects),
                f"{found.found.rate or 0:.1%}",
                f"{found.map:.1%}",
                f"{found.ap50:.1%}",
                f"{found.ar:.1%}",
            ),
        ),
    )
    false = f", {found.false_boxes.count} in {found.good} good pictures" if found.false_boxes else ""
    shown = f"{found.right.hits} of {found.right.of} shown boxes right{false}"
    return Section(f"Boxes on val: {shown}; AP and AR as COCO has them", table)
