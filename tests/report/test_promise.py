"""The verdict in words: a promise only where it is certified, and what is missing where it is not."""

from visiontune.report.promise import headline
from visiontune.runtime.bands import Bands


def evidence(**entries):
    return {"method": "some", "confidence": 0.95, **entries}


def entry(parts, misses, certified, asked=0.01, missing=0):
    return {
        "parts": parts,
        "misses": misses,
        "asked": asked,
        "certified": certified,
        "missing_parts": missing,
    }


def said(findings):
    found = headline(findings)
    return found.kept, found.title.replace("\N{NO-BREAK SPACE}", " "), found


def test_a_certified_promise_is_made(made):
    bands = Bands(0.3, 0.8, evidence(escapes=entry(500, 1, 0.00946)))
    kept, title, found = said(made(bands=bands))
    assert kept is True and found.badge == "Certified"
    assert title == "At most 1 % of defective parts pass, at 95 % confidence."
    because = found.promises[0].because.replace("\N{NO-BREAK SPACE}", " ")
    assert (
        because == "500 defective parts in val, 1 passed: this certifies at most 0.95 % at 95 % confidence."
    )


def test_what_cannot_be_certified_is_refused_with_the_number_of_missing_parts(made):
    bands = Bands(0.3, 0.8, evidence(escapes=entry(120, 0, 0.02466, missing=179)))
    kept, title, found = said(made(bands=bands))
    assert kept is False and found.badge == "Not certified"
    assert title == (
        "This model cannot promise that at most 1 % of defective parts pass. "
        "179 defective parts are missing in val to certify that."
    )
    because = found.promises[0].because.replace("\N{NO-BREAK SPACE}", " ")
    assert because == (
        "120 defective parts in val, none passed: this certifies at most 2.47 % at 95 % confidence; "
        "299 with none passed would certify 1 %."
    )


def test_one_part_is_missing_in_the_singular(made):
    _, title, _ = said(made(bands=Bands(0.3, 0.8, evidence(escapes=entry(298, 0, 0.0101, missing=1)))))
    assert "1 defective part is missing" in title


def test_escapes_speak_for_the_whole_even_if_overkill_fails(made):
    bands = Bands(0.3, 0.8, evidence(escapes=entry(500, 1, 0.0095), overkill=entry(9, 0, 0.28, 0.05, 50)))
    kept, _, found = said(made(bands=bands))
    assert kept is True
    assert [promise.kept for promise in found.promises] == [True, False]
    assert "of good parts are rejected" in found.promises[1].sentence


def test_a_sorter_promises_right_kinds(made):
    bands = Bands(0.3, 2.0, evidence(**{"wrong kind among passed": entry(700, 2, 0.009)}))
    _, title, _ = said(made(inspects=False, bands=bands))
    assert title == "At most 1 % of passed parts carry the wrong kind, at 95 % confidence."


def test_without_bands_or_evidence_nothing_is_promised(made):
    for bands, word in ((None, "no thresholds"), (Bands(0.3, 0.8), "set by hand")):
        kept, title, found = said(made(bands=bands))
        assert kept is None and found.promises == () and found.badge == "No promise"
        assert "promises nothing" in title and word in title


def test_a_promise_of_another_kind_is_told_by_its_name(made):
    bands = Bands(0.3, 0.8, evidence(**{"missed boxes": entry(500, 1, 0.0095)}))
    assert "missed boxes" in said(made(bands=bands))[1]


def test_each_kind_is_told_with_what_is_missing(made):
    kinds = {"blow\x1bhole": entry(12, 0, 0.2646, 0.05, 60), "crack": entry(90, 1, 0.0499, 0.05)}
    bands = Bands(0.3, 0.8, evidence(escapes=entry(102, 1, 0.0457, 0.05), kinds=kinds))
    found = headline(made(bands=bands))
    assert [line.replace("\N{NO-BREAK SPACE}", " ") for line in found.kinds] == [
        "blow\\x1bhole: none of 12 parts passed; at most 26.5 % certified, 60 more parts with none passed for 5 %",
        "crack: 1 of 90 parts passed; at most 4.99 % certified",
    ]
    assert [promise.name for promise in found.promises] == ["escapes"]


def test_thresholds_set_by_costs_promise_nothing_that_was_asked(made):
    costs = {"costs": "escape 100, overkill 5, review 1", "cost_per_million": 308123.4}
    bands = Bands(0.3, 0.8, evidence(**costs, escapes=entry(200, 2, 0.043, 0.044)))
    kept, title, found = said(made(bands=bands))
    assert kept is None and found.badge == "By cost"
    assert title.replace("\N{NARROW NO-BREAK SPACE}", " ") == (
        "Set by costs: 308 123 per million parts on val (escape 100, overkill 5, review 1)."
    )
