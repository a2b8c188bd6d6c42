"""The figures hold the right numbers (read back from their artists) and disturb nobody's matplotlib."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.patches import Rectangle

from tests.report.conftest import HISTORY
from visiontune.report import plots
from visiontune.report.histogram import log_odds, severity_edges
from visiontune.runtime.bands import Bands
from visiontune.runtime.binomial import interval


def bars(axes):
    """(left, right, height) of the bars of a histogram, in severity."""
    boxes = [box for container in axes.containers for box in container]
    share = lambda odds: 1 / (1 + np.exp(-odds))  # noqa: E731
    return [(share(b.get_x()), share(b.get_x() + b.get_width()), b.get_height()) for b in boxes]


def cells(plot):
    """{(true, named): text} of a confusion matrix, and {(true, named): colour}."""
    axes = plot.axes[0]
    texts = {
        (round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axes.texts
    }
    boxes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    colors = {(round(b.get_y() + 0.5), round(b.get_x() + 0.5)): b.get_facecolor() for b in boxes}
    return texts, colors


def test_curves_draw_the_history():
    losses, accuracy = plots.curves(HISTORY, 4).axes
    drawn = {line.get_label(): line.get_ydata() for line in losses.lines}
    assert drawn["train"] == pytest.approx([entry["train_loss"] for entry in HISTORY])
    assert drawn["val"] == pytest.approx([entry["val_loss"] for entry in HISTORY])
    assert accuracy.lines[0].get_ydata() == pytest.approx([e["val_balanced_accuracy"] for e in HISTORY])
    assert list(losses.lines[2].get_xdata()) == [4, 4] and losses.lines[2].get_label() == "kept: epoch 4"


def test_curves_colour_the_ground_where_stages_opened():
    losses = plots.curves(HISTORY, None).axes[0]
    spans = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in losses.patches]
    assert spans == [(-0.5, 2.5), (2.5, 3.5), (3.5, 4.5), (4.5, 5.5)]
    assert [text.get_text() for text in losses.texts] == ["head", "1 open", "2 open", "3 open"]
    assert len({patch.get_facecolor() for patch in losses.patches}) == 4


@pytest.mark.parametrize("history", [(), HISTORY[:1], ({"epoch": 0}, {"epoch": 1})])
def test_curves_of_little_history(history):
    assert plots.curves(history, 0 if history else None).png()


@pytest.mark.parametrize("size", [2, 7, 12, 43])
def test_confusion_shows_every_count_and_nothing_else(size):
    stream = np.random.default_rng(size)
    labels, predicted = stream.integers(size, size=(2, 400))
    table = np.zeros((size, size), int)
    np.add.at(table, (labels, predicted), 1)
    texts, colors = cells(plots.confusion(labels, predicted, [f"kind {i}" for i in range(size)]))
    assert {at: int(text.split("\n")[0]) for at, text in texts.items()} == {
        at: count for at, count in np.ndenumerate(table) if count
    }
    assert set(colors) == set(texts)
    for (true, named), (red, _, blue, _) in colors.items():
        assert (blue > red) == (true == named)


def test_confusion_is_normalised_by_row():
    labels = np.array([0] * 10 + [1] * 1000)
    predicted = np.array([0] * 5 + [1] * 5 + [0] * 5 + [1] * 995)
    texts, colors = cells(plots.confusion(labels, predicted, ["a", "b"]))
    assert texts == {(0, 0): "5\n50 %", (0, 1): "5\n50 %", (1, 0): "5\n<1 %", (1, 1): "995\n>99 %"}
    assert sum(colors[0, 1][:3]) < sum(colors[1, 0][:3])  # the larger share of its row is darker


def test_confusion_labels_tell_how_many_pictures_a_class_has():
    axes = plots.confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), ["a", "b" * 50]).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[0] == "a (2)" and names[1].endswith(" (1)") and len(names[1]) < 30


scores = st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=60)
cuts = st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0]))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("n", "share", "cut"),
    [
        (300, 0.3, (0.05, 0.8)),
        (300, 0.3, (0.4, 0.4)),
        (40, 0.0, (0.2, 2.0)),
        (40, 1.0, (2.0, 2.0)),
        (200, 0.5, (1e-7, 1 - 1e-6)),
        (1, 0.0, (0.0, 0.0)),
    ],
)
def test_bars_count_every_picture_and_never_straddle_a_threshold(n, share, cut):
    stream = np.random.default_rng(n)
    severity = stream.beta(0.2, 0.2, n).astype(np.float32)
    severity[: n // 10] = 0
    severity[n - n // 10 :] = 1
    defective = stream.random(n) < share
    bands = Bands(*cut)
    panels = plots.severities(severity, defective, bands).axes
    for axes, side in zip(panels, (False, True), strict=True):
        drawn = bars(axes)
        assert sum(height for _, _, height in drawn) == (defective == side).sum()
        for edge in (float(np.float32(threshold)) for threshold in cut):
            assert not [bar for bar in drawn if bar[0] < edge - 1e-9 and edge + 1e-9 < bar[1]]
        numbers = np.bincount(bands.decisions(severity[defective == side]), minlength=3)
        assert axes.get_title(loc="left").endswith(": {} pass · {} review · {} reject".format(*numbers))


@given(scores, cuts)
def test_edges_of_the_bars_rise_and_take_the_thresholds_in(rows, cut):
    bands = Bands(cut[0], cut[0] + cut[1])
    edges = severity_edges(np.array([row[0] for row in rows], np.float32), bands)
    assert (np.diff(edges) > 0).all() and 0 < edges[0] < edges[-1] < 1
    for threshold in (float(np.float32(bands.review_from)), float(np.float32(bands.reject_from))):
        inside = edges[0] * 9 < threshold and 9 * (1 - edges[-1]) < 1 - threshold
        assert (threshold in edges and inside) or not 0 < threshold < 1


def test_bars_left_of_a_threshold_are_what_passes():
    stream = np.random.default_rng(1)
    severity = stream.beta(0.4, 0.4, 500).astype(np.float32)
    bands = Bands(0.07, 0.6)
    panel = plots.severities(severity, np.zeros(500, bool), bands).axes[0]
    middles = np.array([(left + right) / 2 for left, right, _ in bars(panel)])
    heights = np.array([height for _, _, height in bars(panel)])
    found = [heights[bands.decisions(middles) == decision].sum() for decision in range(3)]
    assert found == np.bincount(bands.decisions(severity)).tolist()


def test_thresholds_stand_where_they_are():
    panel = plots.severities(np.array([0.1, 0.9], np.float32), np.array([False, True]), Bands(0.2, 0.7)).axes[
        0
    ]
    drawn = [line.get_xdata()[0] for line in panel.lines]
    assert drawn == pytest.approx(log_odds(np.array([0.2, 0.7])).tolist(), abs=1e-5)
    assert [text.get_text() for text in panel.texts] == ["pass", "review", "reject"]
    assert panel.get_yscale() == "log"


def test_reliability_is_counted_bin_by_bin():
    stream = np.random.default_rng(2)
    severity = stream.random(200).astype(np.float32)
    defective = stream.random(200) < severity**2
    axes = plots.reliability(severity, defective).axes[0]
    order, error, points = np.argsort(severity, kind="stable"), 0.0, []
    for start in range(0, 200, 20):
        mine = order[start : start + 20]
        said, seen = severity[mine].astype(float).mean(), defective[mine].mean()
        error += abs(said - seen) * 20 / 200
        points.append((said, seen, *interval(int(defective[mine].sum()), 20)))
    drawn = axes.containers[0]
    data, _, (bounds,) = drawn.lines
    assert np.column_stack(data.get_data()) == pytest.approx(np.array(points)[:, :2])
    ends = np.array([part[:, 1] for part in bounds.get_segments()])
    assert ends == pytest.approx(np.array(points)[:, 2:])
    assert axes.get_title(loc="left").startswith(f"ECE {error:.3f} (10 bins of about 20 pictures")


def test_reliability_of_a_single_picture():
    assert plots.reliability(np.array([0.5], np.float32), np.array([True])).svg()


def figures(names=("a", "b")):
    severity = np.linspace(0.01, 0.99, 40, dtype=np.float32)
    risky = severity > 0.6
    return [
        plots.curves(HISTORY, 2),
        plots.confusion(risky.astype(np.int64), (severity > 0.5).astype(np.int64), names),
        plots.severities(severity, risky, Bands(0.2, 0.7)),
        plots.reliability(severity, risky),
    ]


def test_the_users_settings_neither_matter_nor_change():
    plain = [plot.svg() for plot in figures()]
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "text.color": "red"}):
        before = dict(matplotlib.rcParams)
        assert [plot.svg() for plot in figures()] == plain
        assert dict(matplotlib.rcParams) == before


def test_svg_is_well_formed_undated_and_loads_nothing():
    for plot in figures(("<script>alert(1)</script>", "a & $\\frac{$ --> 打痕")):
        text = plot.svg().decode()
        root = ElementTree.fromstring(text)
        for element in root.iter():
            assert not element.tag.endswith("script")
            assert not any(
                name.endswith("href") and not value.startswith(("#", "data:"))
                for name, value in element.items()
            )
        assert "metadata" not in text
    assert "frac" in figures(("$\\frac{$", "b"))[1].svg().decode()


def test_a_figure_shows_itself_in_a_notebook():
    assert plots.curves(HISTORY)._repr_png_().startswith(b"\x89PNG")


def test_pyplot_is_never_imported():
    code = (
        "import sys, numpy as np\n"
        "from visiontune.report import plots\n"
        "plots.reliability(np.array([.1, .9], np.float32), np.array([False, True])).svg()\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
