"""What was measured of boxes, as lines of the measurement's table: objects found, false boxes, average precision by kind."""

from __future__ import annotations

from visiontune.runtime.detection import Detection, KindFound
from visiontune.runtime.localisation_table import named_lines, rate_line, share, short

MOST_KINDS = 12  # rows; the worst are shown


def detection_lines(found: Detection, wide: int) -> list[str]:
    """The lines, the first one empty; names stand in a column `wide` characters wide."""
    void = f" and {found.ignored} to be ignored" if found.ignored else ""
    lines = [
        "",
        f"where: boxes, {found.objects} objects{void} in {found.pictures} pictures, {found.good} of them good; bounds if these "
        "are independent",
    ]
    beyond = f"; {found.outside} lie outside the region of interest" if found.outside else ""
    lines.append(
        rate_line("found", wide, found.found, f"objects that a shown box overlaps by half (IoU){beyond}")
    )
    if found.found_at is not None:
        at = found.found_at
        band = "any box counts" if at.above is None else f"shown above {at.above:.3g}"
        every = f"one false box in {1 / at.per_frame:.0f} good pictures"
        lines.append(rate_line("  if at most", wide, at.found, f"{every}: {band}, read off these pictures"))
    lines.append(rate_line("  named", wide, found.named, "of those found, a shown box has the right kind"))
    lines.append(
        rate_line("right", wide, found.right, "of the shown boxes, on an object of their kind, each once")
    )
    if found.false_boxes is not None:
        false = found.false_boxes
        count, bounds = f"{false.count}/{false.frames}", f"[{false.low:.3f}, {false.high:.3f}]"
        lines.append(
            f"{'false':<{wide}} {false.mean:>8.3f}   {count:>11}   {bounds:<18} boxes a good picture"
        )
    if found.good_with_false is not None:
        lines.append(rate_line("  pictures", wide, found.good_with_false, "good pictures with such a box"))
    averages = f"AP50 {share(found.ap50)}, AR {share(found.ar)}; all boxes, mean over kinds"
    lines.append(f"{'mAP':<{wide}} {share(found.map):>8}   COCO, IoU 0.50 to 0.95; {averages}")
    worst = sorted(found.kinds.items(), key=lambda item: (item[1].ap, item[0]))
    lines += [_kind(name, one, wide) for name, one in worst[:MOST_KINDS]]
    if len(worst) > MOST_KINDS:
        lines.append(f"  and {len(worst) - MOST_KINDS} more (--json)")
    if found.without_boxes:
        lines.append(f"left out: {found.without_boxes} defective pictures without boxes")
    return lines + named_lines("good pictures that carry boxes", found.boxed_good)


def _kind(name: str, one: KindFound, wide: int) -> str:
    found = f"found {share(one.found.rate)} of {one.objects}"
    return f"{'  ' + short(name, wide - 2):<{wide}} {share(one.ap):>8}   AP50 {share(one.ap50)}, AR {share(one.ar)}, {found}"
