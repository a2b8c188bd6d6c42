"""A run writes its own report and shows its own curves."""

from dataclasses import replace

from tests.report.test_page import Reader, check
from visiontune.tune.findings import findings


def test_a_run_reports_itself(cooked, tmp_path):
    written = cooked.report(tmp_path / "report.html")
    reader = check(Reader(written.read_text("utf-8")))
    assert cooked.data.digest() in reader.text
    assert "0 decisions flipped" in reader.text
    assert str(cooked.data.root) not in written.read_text(
        "utf-8"
    )  # an auditor need not know whose home it is


def test_the_page_lies_in_the_runs_folder_by_default(cooked):
    assert cooked.report() == cooked.out / "report.html"


def test_findings_are_those_of_the_run(cooked):
    found = findings(cooked)
    assert found.title == cooked.out.name
    assert found.bands == cooked.bands and found.best == cooked.best
    assert [path.name for path in found.paths] == [sample.path.name for sample in cooked.data.share("val")]
    groups = {sample.group for sample in cooked.data.share("train")}
    assert found.data["groups"]["train"] == len(groups)


def test_stages_say_what_trained_from_when_and_how_fast(cooked):
    stages = findings(cooked).stages
    total = sum(parameter.numel() for parameter in cooked.net.parameters())
    assert sum(stage["parameters"] for stage in stages) == total
    assert [stage["opened"] for stage in stages[-4:]] == [None, 2, 1, 0]
    assert stages[-1]["lr"] == cooked.rates.head
    assert stages[-2]["lr"] < stages[-1]["lr"]


def test_a_run_that_was_not_calibrated_reports_that(cooked, tmp_path):
    raw = replace(cooked, bands=None, metrics={}, model=None, out=tmp_path)
    assert "promises nothing yet" in raw.report(tmp_path / "report.html").read_text("utf-8")


def test_a_run_shows_its_curves(cooked):
    losses, _ = cooked.curves().axes
    assert list(losses.lines[1].get_ydata()) == [epoch.val_loss for epoch in cooked.history]
