"""The table that measure_finetuning makes of its results: accuracy with its doubt, cost, and cost to the same val score."""

import numpy as np

from visiontune.tune.learner import balanced_accuracy

SIDES = ("full", "lightning", "ours")
DRAWS = 2000


def pooled(rows):
    """Balanced accuracy of each seed, all folds of it together: {seed: score}."""
    scores = {}
    for seed in sorted({row["seed"] for row in rows}):
        mine = [row for row in rows if row["seed"] == seed]
        labels = np.concatenate([row["labels"] for row in mine])
        scores[seed] = balanced_accuracy(labels, np.concatenate([row["named"] for row in mine]))
    return scores


def difference(ours, theirs):
    """Mean difference of the balanced accuracies over seeds, with its 90 % interval when whole groups are redrawn."""
    keys = sorted({(r["seed"], r["fold"]) for r in ours} & {(r["seed"], r["fold"]) for r in theirs})
    right = {}
    for mine, rows in (("ours", ours), ("theirs", theirs)):
        by = {(row["seed"], row["fold"]): row for row in rows}
        right[mine] = np.concatenate([np.equal(by[key]["labels"], by[key]["named"]) for key in keys]).astype(
            float
        )
    by = {(row["seed"], row["fold"]): row for row in ours}
    labels = np.concatenate([by[key]["labels"] for key in keys])
    _, member = np.unique(np.concatenate([by[key]["groups"] for key in keys]), return_inverse=True)
    count = member.max() + 1
    kinds = np.unique(labels)
    gap = right["ours"] - right["theirs"]
    sums = np.stack([np.bincount(member, gap * (labels == kind), count) for kind in kinds])
    sizes = np.stack([np.bincount(member, labels == kind, count) for kind in kinds])
    drawn = np.random.default_rng(0).integers(count, size=(DRAWS, count))
    weights = np.stack([np.bincount(row, minlength=count) for row in drawn])
    with np.errstate(invalid="ignore"):
        found = np.nanmean((weights @ sums.T) / (weights @ sizes.T), axis=1)
    return float(np.mean(sums.sum(1) / sizes.sum(1))), *np.quantile(found, [0.05, 0.95])


def reached(rows, base):
    """CPU seconds until val is as good as the best of full fine-tuning: median over the runs that reach it, and how many do."""
    goal = {(row["seed"], row["fold"]): max(entry[1] for entry in row["curve"]) for row in base}
    times = []
    for row in rows:
        best = goal.get((row["seed"], row["fold"]))
        hits = [entry[0] for entry in row["curve"] if best is not None and entry[1] >= best]
        times += hits[:1]
    return f"{np.median(times):.0f} ({len(times)} of {len(rows)})" if times else f"never (of {len(rows)})"


def head_phase(rows, full):
    """Share of full fine-tuning's CPU seconds that our head phase takes: its epochs alone, and with all that comes before."""
    alone, whole = [], []
    for row in rows:
        epochs = [entry[0] for entry in row["curve"] if entry[2] == 0]
        steps = np.diff(epochs)
        alone.append((epochs[-1] - epochs[0] + steps.mean()) / full)
        whole.append(epochs[-1] / full)
    return f"{np.mean(alone):.3f}, with decoding, check and cache {np.mean(whole):.2f}"


def table(rows):
    """Markdown: a row per data set and side."""
    lines = [
        "| data | side | runs | test balanced accuracy, mean (range) over seeds | against full, points (90 % interval) | CPU s "
        "| share of full | head phase, share of full | CPU s to full's best val |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    means = {side: [] for side in SIDES}
    shares = {side: [] for side in SIDES}
    for name in dict.fromkeys(row["data"] for row in rows):
        base = [row for row in rows if row["data"] == name and row["side"] == "full"]
        for side in SIDES:
            part = [row for row in rows if row["data"] == name and row["side"] == side]
            if not part or not base:
                continue
            scores = list(pooled(part).values())
            cpu = float(np.mean([row["cpu"] for row in part]))
            share = cpu / float(np.mean([row["cpu"] for row in base]))
            means[side].append(np.mean(scores))
            shares[side].append(share)
            middle, low, high = (100 * value for value in difference(part, base))
            against = "" if side == "full" else f"{middle:+.1f} ({low:+.1f} to {high:+.1f})"
            head = head_phase(part, cpu / share) if side == "ours" else ""
            lines.append(
                f"| {name} | {side} | {len(part)} | {np.mean(scores):.3f} ({min(scores):.3f} to {max(scores):.3f}) "
                f"| {against} | {cpu:.0f} | {share:.2f} | {head} | {reached(part, base)} |"
            )
    for side in SIDES:
        if means[side] and len(means[side]) == len(means["full"]):
            against = (
                "" if side == "full" else f"{100 * (np.mean(means[side]) - np.mean(means['full'])):+.1f}"
            )
            lines.append(
                f"| **mean** | {side} | | {np.mean(means[side]):.3f} | {against} | | {np.mean(shares[side]):.2f} | | |"
            )
    return "\n".join(lines)
