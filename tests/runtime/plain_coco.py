"""COCO's average precision written out plainly, with loops: a slow oracle for what the line computes with arrays."""

from __future__ import annotations


def iou(a, b, crowd=False):
    """Of two boxes x0 y0 x1 y1; with a crowd the share of the first that lies in it."""
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    shared, own, theirs = across * down, (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    return shared / (own if crowd else own + theirs - shared)


def of_one_picture(boxes, objects, threshold):
    """What becomes of each of `boxes` [(score, corners)], strongest first: True right, False false, None void.

    `objects` [(corners, ignored)].
    """
    free = [True] * len(objects)
    told = []
    for _, corners in boxes:
        best = None
        for wanted in (False, True):  # an object to be ignored is taken only where no other is left
            if best is not None:
                break
            most = min(threshold, 1 - 1e-10)
            for at, (theirs, ignored) in enumerate(objects):
                if ignored != wanted or not free[at]:
                    continue
                found = iou(corners, theirs, crowd=ignored)
                if found >= most:
                    most, best = found, at
        if best is None:
            told.append(False)
        elif objects[best][1]:
            told.append(None)
        else:
            free[best] = False
            told.append(True)
    return told


def average(pictures, threshold, most=100):
    """(average precision, recall) at one threshold, of pictures [(boxes, objects)] of one kind; boxes in any order."""
    judged, total = [], 0
    for number, (boxes, objects) in enumerate(pictures):
        boxes = sorted(boxes, key=lambda box: -box[0])[:most]
        total += sum(not ignored for _, ignored in objects)
        for place, told in enumerate(of_one_picture(boxes, objects, threshold)):
            judged.append((-boxes[place][0], number, place, told))
    judged.sort(key=lambda one: one[:3])
    points, right, false = [], 0, 0
    for _, _, _, told in judged:
        right += told is True
        false += told is False
        points.append((right / total, right / max(right + false, 1)))
    reached = [
        max((precision for recall, precision in points if recall >= at / 100 - 1e-12), default=0.0)
        for at in range(101)
    ]
    return sum(reached) / 101, right / total
