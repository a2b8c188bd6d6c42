"""A folder of painted parts with a changed manifest."""

import csv
import shutil


def edited(folder, target, change):
    """A copy of the parts at `target`; `change` edits each row of the manifest, or leaves it out by returning False."""
    shutil.copytree(folder, target)
    rows = list(csv.DictReader((target / "manifest.csv").open()))
    rows = [row for row in rows if change(row) is not False]
    with (target / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return target
