"""What a training job of the user's own reports stands on its decision's page, as its own words."""

from datetime import date
from typing import Any

import pytest

from tests.reports import records
from tests.reports.records import FIRST, PLAIN, Site


def test_a_page_says_who_trained_and_what_that_reports(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = records.training_figures

    def by_a_trainer(day: date) -> dict[str, Any]:
        told = {"trainer": "command", "reported": {"<b>auc</b>": 0.71234567, "rows\n": 12.0}}
        return figures(day) | told

    site.day(FIRST, PLAIN)
    site.decide(PLAIN[1], FIRST, "promoted", 1.8)
    monkeypatch.setattr(records, "training_figures", by_a_trainer)
    site.decide(PLAIN[0], FIRST, "promoted", 1.8)
    site.build()
    text = site.decision_text(PLAIN[0], FIRST)
    assert "a command of your own (adapter.trainer)" in text
    assert "Reported by the trainer" in text and "nobody has checked them" in text
    assert "<dt>&lt;b&gt;auc&lt;/b&gt;</dt><dd>0.712346</dd>" in text
    assert "<dt>rows\\n</dt><dd>12</dd>" in text
    assert "Reported by the trainer" not in site.decision_text(PLAIN[1], FIRST)
    assert "Trained by" not in site.decision_text(PLAIN[1], FIRST)
