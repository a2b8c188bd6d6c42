"""What was measured of a heatmap, as lines of the measurement's table: defects found, false regions, overlap."""

from __future__ import annotations

from visiontune.runtime.aupimo import LOW
from visiontune.runtime.localisation import Localisation
from visiontune.runtime.rate import Rate

MOST_NAMES = 3  # of pictures that were left out; the JSON has all


def localisation_lines(found: Localisation, wide: int) -> list[str]:
    """The lines, the first one empty; names stand in a column `wide` characters wide."""
    marked = f"{found.found.of} defects marked in {found.masked} pictures"
    lines = [
        "",
        f"where: heatmap against masks, {marked}, {found.good} good pictures; bounds if these are independent",
    ]
    beyond = f"; {found.outside} lie outside the region of interest" if found.outside else ""
    lines.append(rate_line("found", wide, found.found, f"defects that a region touches{beyond}"))
    if found.found_at is not None:
        at = found.found_at
        band = "any region counts" if at.above is None else f"high band above {at.above:.3g}"
        every = f"one false region in {1 / at.per_frame:.0f} good pictures"
        lines.append(rate_line("  if at most", wide, at.found, f"{every}: {band}, read off these pictures"))
    if found.false_regions is not None:
        false = found.false_regions
        count, bounds = f"{false.count}/{false.frames}", f"[{false.low:.3f}, {false.high:.3f}]"
        lines.append(
            f"{'false':<{wide}} {false.mean:>8.3f}   {count:>11}   {bounds:<18} regions a good picture"
        )
    if found.good_with_false is not None:
        lines.append(rate_line("  pictures", wide, found.good_with_false, "good pictures with such a region"))
    lines.append(
        f"{'overlap':<{wide}} {share(found.iou_any):>8}   IoU of regions and masks, whatever the kind"
    )
    worst = sorted(found.iou.items(), key=lambda item: (item[1], item[0]))
    lines += [f"{'  ' + short(kind, wide - 2):<{wide}} {share(iou):>8}" for kind, iou in worst]
    lines.append(f"{'pixel AP':<{wide}} {share(found.pixel_ap):>8}   average precision of the pixels")
    lines.append(
        f"{'AUPRO':<{wide}} {share(found.aupro):>8}   every defect alike, up to 30% false pixels; by chance 15.00%"
    )
    if found.aupimo is not None:
        thin = found.good_cells * LOW < 1
        rests = f"; few good pictures: rests on single cells of {found.good_cells}" if thin else ""
        said = f"every picture alike, 0.001% to 0.01% false pixels{rests}"
        lines.append(f"{'AUPIMO':<{wide}} {share(found.aupimo):>8}   {said}")
    return lines + _left_out(found)


def _left_out(found: Localisation) -> list[str]:
    lines = (
        [f"left out: {found.without_mask} defective pictures without a mask"] if found.without_mask else []
    )
    lines += named_lines(
        "defective pictures whose mask marks nothing, so where is unknown", found.empty_masks
    )
    return lines + named_lines("good pictures whose mask marks something", found.marked_good)


def named_lines(what: str, names: tuple[str, ...]) -> list[str]:
    """The pictures of a sort that were left out, the first by name; no line where there are none."""
    if not names:
        return []
    more = f" and {len(names) - MOST_NAMES} more (--json)" if len(names) > MOST_NAMES else ""
    return [f"left out: {len(names)} {what}: {', '.join(names[:MOST_NAMES])}{more}"]


def rate_line(name: str, wide: int, rate: Rate, meaning: str) -> str:
    """A rate with its count and bounds, and what it means."""
    count, bounds = f"{rate.hits}/{rate.of}", f"[{100 * rate.low:.2f}%, {100 * rate.high:.2f}%]"
    return f"{name:<{wide}} {share(rate.rate):>8}   {count:>11}   {bounds:<18} {meaning}"


def share(value: float | None) -> str:
    """A share in per cent; "-" where there is none."""
    return "-" if value is None else f"{100 * value:.2f}%"


def short(name: str, most: int) -> str:
    """A name in at most so many characters."""
    return name if len(name) <= most else name[: most - 1] + "…"
