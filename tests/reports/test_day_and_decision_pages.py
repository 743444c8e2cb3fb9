"""Day and decision pages: what they say, and what they do without."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from driftune.domains import domain_key
from driftune.io import read_json, write_json
from driftune.quality.released import Entry, keep
from driftune.reports.summary import day_rows
from tests.reports.records import FIRST, PLAIN, Site, gate_report


def test_a_day_page_shows_checks_rejected_rows_and_decisions(site: Site) -> None:
    site.day(FIRST, PLAIN, "warning", hours=[8, 9, 10])
    site.decide(PLAIN[0], FIRST, "promoted", 1.8)
    site.workspace.quarantine(FIRST).parent.mkdir(parents=True)
    site.workspace.quarantine(FIRST).touch()
    write_json(site.workspace.docs_record(FIRST), [])
    site.build()
    text = site.text(f"day/{FIRST}.html")
    assert "quality warning" in text
    assert "The click label is 0 or 1." in text and "37 rows" in text
    assert text.index("The click label is 0 or 1.") < text.index("at least 100 rows")
    assert "3 of 24, a partial day" in text
    assert text.count('<li class="on"') == 3
    assert f"workspace/quarantine/{FIRST}.parquet" in text
    assert f'href="../data_docs/{FIRST}.html"' in text
    assert f'href="../decision/{FIRST}/{domain_key(PLAIN[0])}.html"' in text
    assert "&lt;img src=x onerror=a()&gt;" in text and "<img" not in text
    assert "20.0%" in text


def test_a_decision_says_what_its_figures_mean_where_rows_are_drawn(site: Site) -> None:
    later = FIRST + timedelta(days=1)
    site.day(FIRST, PLAIN, drawn=48_000, drawn_from="session")
    site.day(later, PLAIN)
    for day in (FIRST, later):
        site.decide(PLAIN[0], day, "promoted", 1.8)
    site.build()
    said = "48,000 of the day&#39;s 60,000 rows were shown to nobody"
    assert said in site.decision_text(PLAIN[0], FIRST)
    assert "shown to nobody" not in site.decision_text(PLAIN[0], later)


def test_a_day_page_tells_its_releases_and_whether_they_hold(site: Site) -> None:
    site.day(FIRST, PLAIN, delivery="a")
    given = {"at": "2026-03-07T08:00:00+00:00", "by": "<ann>", "domains": [], "done": True}
    entries = [
        Entry(**given | {"why": "first <b>", "reasons": ["duplicate"], "content": "b"}),
        Entry(**given | {"why": "second", "reasons": [], "content": "a"}),
        Entry(**given | {"why": "third", "reasons": [], "content": "a", "done": False}),
    ]
    keep(site.workspace, FIRST, entries)
    site.build()
    text = site.text(f"day/{FIRST}.html")
    places = [text.index(word) for word in (
        "Released from quarantine", "pending", "third", "in force", "second",
        "of another delivery", "duplicate", "first &lt;b&gt;",
    )]  # fmt: skip
    assert places == sorted(places)
    assert "<ann>" not in text and "<b>" not in text.split("Released from", 1)[1].split("</ul>")[0]
    site.workspace.released(FIRST).write_text("{", encoding="utf-8")
    site.build()
    assert "Released from quarantine" not in site.text(f"day/{FIRST}.html")


def test_a_rollback_stands_on_the_day_of_its_labels_and_of_its_run(site: Site) -> None:
    run = FIRST + timedelta(days=1)
    for day in (FIRST, run):
        site.day(day, PLAIN)
        site.decide(PLAIN[0], day, "stable", 0.2)
    site.build()
    site.check(PLAIN[0], FIRST, as_of=run, restored=0)
    site.build(days=[run])
    checked, acted = (site.text(f"day/{day}.html") for day in (FIRST, run))
    assert f'taken back for frozen base (one day) in the run of <a href="{run}.html">' in checked
    assert f'version 1 taken back for frozen base, by the labels of <a href="{FIRST}.html' in acted
    (row,) = day_rows(site.ledger, run)
    wanted = f"version 1 taken back for the frozen base (AUC -0.031 on {FIRST})"
    assert row["rolled_back"] == wanted
    assert [row["rolled_back"] for row in day_rows(site.ledger, FIRST)] == [None]


def test_a_domain_s_own_verdict_and_reasons_stand_beside_its_counts(site: Site) -> None:
    site.day(FIRST, PLAIN)
    record = read_json(site.workspace.quality(FIRST))
    record["domains"][0] |= {"verdict": "ok", "reasons": []}
    record["domains"][1] |= {"verdict": "refused", "reasons": ["41% of its rows <are> rejected"]}
    write_json(site.workspace.quality(FIRST), record)
    site.decide(PLAIN[0], FIRST, "stable", 0.3)
    site.decide(PLAIN[1], FIRST - timedelta(days=1), "stable", 0.3)
    site.build()
    text = site.text(f"day/{FIRST}.html")
    row = text[text.index(f'id="{domain_key(PLAIN[1])}"') :]
    assert "refused</span>" in row[: row.index("</tr>")]
    assert "41% of its rows &lt;are&gt; rejected" in row[: row.index("</tr>")]
    assert "Data refused" in site.text()


def test_a_domain_that_was_kept_out_is_refused_on_the_map_whatever_drift_says(site: Site) -> None:
    site.day(FIRST, PLAIN)
    record = read_json(site.workspace.quality(FIRST))
    record["domains"][1] |= {"verdict": "refused", "reasons": ["no clicks"]}
    write_json(site.workspace.quality(FIRST), record)
    for name in PLAIN:
        site.decide(name, FIRST, "insufficient", None)
    site.build()
    row = site.text().split(PLAIN[1], 1)[1].split("</tr>", 1)[0]
    assert "Data refused" in row
    assert "Data refused" not in site.text().split(PLAIN[0], 1)[1].split("</tr>", 1)[0]


def test_a_day_delivered_anew_tells_of_each_domain_once(site: Site) -> None:
    site.day(FIRST, PLAIN)
    site.decide(PLAIN[0], FIRST, "rejected", 1.8)
    newest = site.decide(PLAIN[0], FIRST, "stable", 0.3, revision=2)
    assert site.ledger.decision(newest).revision == 2
    assert [row["state"] for row in day_rows(site.ledger, FIRST)] == ["stable"]


def test_broken_checks_are_named_by_severity_and_passed_ones_folded(site: Site) -> None:
    site.day(FIRST, PLAIN, "refused")
    site.build()
    text = site.text(f"day/{FIRST}.html")
    broken, passed = text.split("<details>", 1)
    assert '<span class="chip v-refused"><span aria-hidden="true">✕</span> critical' in broken
    assert '<span class="chip v-warning"><span aria-hidden="true">!</span> warning' in broken
    assert "2 passed" in passed and "at least 100 rows" in passed


def test_a_refused_delivery_of_a_held_day_says_that_the_older_one_stays(site: Site) -> None:
    site.day(FIRST, PLAIN)
    site.day(FIRST, PLAIN, "refused")
    site.build()
    assert "from an earlier delivery; the newest delivery was refused" in site.text(
        f"day/{FIRST}.html"
    )


def test_a_refused_redelivery_is_shown_beside_the_day_that_stays(site: Site) -> None:
    site.day(FIRST, PLAIN, rows=12_345)
    held = site.workspace.quality(FIRST).read_bytes()
    site.day(FIRST, PLAIN, "refused", rows=999)
    beside = site.workspace.quality(FIRST, redelivery=True)
    site.workspace.quality(FIRST).rename(beside)
    site.workspace.quality(FIRST).write_bytes(held)
    write_json(site.workspace.docs_record(FIRST, redelivery=True), [])
    site.build()
    text = site.text(f"day/{FIRST}.html")
    assert "the newest delivery was refused" in text
    assert "<b>12,345</b> rows delivered" in text
    shown = text[text.index("Refused redelivery") :]
    assert "2 of 4 checks broken" in shown and "<b>999</b> rows delivered" in shown
    assert "At most 20% of the rows are rejected." in shown
    assert f'href="../data_docs/{FIRST}.refused.html"' in shown
    assert site.text(f"data_docs/{FIRST}.refused.html")
    beside.unlink()
    site.build()
    assert "Refused redelivery" not in site.text(f"day/{FIRST}.html")


def test_a_damaged_quality_record_does_not_stop_the_site(site: Site) -> None:
    site.day(FIRST, PLAIN)
    site.workspace.quality(FIRST).write_text('{"day": "2026-03-12", "rows"', encoding="utf-8")
    (site.workspace.quality(FIRST).parent / "notes.json").write_text("{}", encoding="utf-8")
    site.build()
    assert "The lake holds 11,963 rows" in site.text(f"day/{FIRST}.html")


def test_a_promotion_shows_metrics_interval_rules_and_training(site: Site) -> None:
    decided = site.decide(PLAIN[0], FIRST, "promoted", 1.8)
    site.promote(PLAIN[0], decided, 1)
    site.build()
    text = site.decision_text(PLAIN[0], FIRST)
    assert "the challenger passed the gate and became version 1 (AUC +0.0210)" in text
    assert "The gate promotes the challenger. It could not judge: guardrail." in text
    for shown in (
        "0.6840",
        "0.7050",
        "+0.0065 to +0.0355",
        "12,345",
        "3.1416",
        "v12:ab12cd34,ef56",
    ):
        assert shown in text
    assert "lies above zero" in text and "r-pass" in text and "r-unknown" in text
    assert "2026-03-12 00:01" in text
    assert "<dt>MLflow version</dt><dd>41</dd>" in text
    # The difference, halves and slices, calibration.
    assert text.count("data-figure") == 3
    assert f"driftune report --drift {decided}" in text


@pytest.mark.parametrize("judged", [True, False])
@pytest.mark.few(1)
def test_the_card_of_the_challenger_that_was_judged_is_shown(site: Site, judged: bool) -> None:
    decided = site.decide(PLAIN[0], FIRST, "rejected", 1.8)
    sha256 = gate_report("reject")["challenger_sha256"] if judged else "of another one"
    card = {"sha256": sha256, "domain": "<b>home</b>", "seed": 77}
    write_json(site.workspace.challengers / decided / "card.json", card)
    site.build()
    text = site.decision_text(PLAIN[0], FIRST)
    assert ("&#34;seed&#34;: 77" in text) is judged
    assert (f"workspace/challengers/{decided}/card.json" in text) is judged
    assert "<b>home</b>" not in text


def test_a_promoted_version_is_linked_on_an_mlflow_server(site: Site) -> None:
    site.promote(PLAIN[0], site.decide(PLAIN[0], FIRST, "promoted", 1.8), 1)
    site.build()
    local = site.decision_text(PLAIN[0], FIRST)
    assert "mlflow ui --backend-store-uri sqlite:///workspace/mlflow.db" in local
    assert "#/models" not in local
    server = {"mlflow": "https://ann:secret@mlflow.test:5000/ml/"}
    registry = site.config.registry.model_copy(update=server)
    Site(site.config.model_copy(update={"registry": registry}), site.ledger).build()
    text = site.decision_text(PLAIN[0], FIRST)
    model = f"driftune.{domain_key(PLAIN[0])}"
    assert f'href="https://mlflow.test:5000/ml/#/models/{model}/versions/41"' in text
    assert "secret" not in text and "mlflow ui" not in text


def test_a_gate_s_parts_are_shown_with_their_verdicts(site: Site) -> None:
    site.decide(PLAIN[0], FIRST, "rejected", 1.8)
    site.build()
    text = site.decision_text(PLAIN[0], FIRST)
    for shown in (
        "first half of the users",
        "new items",
        "-0.0500 to -0.0100",
        "worse",
        "DeLong",
        "Doubly robust",
        "-0.0010 to +0.0050",
        "950",
    ):
        assert shown in text, shown


def test_off_policy_estimates_that_were_refused_say_why(site: Site) -> None:
    report = gate_report("reject", -0.01)
    report["off_policy"] |= {"refused": "no propensities are logged"}
    site.decide(PLAIN[0], FIRST, "rejected", 1.8, gate=report)
    site.build()
    text = site.decision_text(PLAIN[0], FIRST)
    assert "None: no propensities are logged." in text
    assert "Doubly robust" not in text


def test_evidently_page_is_linked_once_it_exists(site: Site) -> None:
    site.decide(PLAIN[0], FIRST, "pending", 1.8)
    site.build()
    page = site.workspace.drift_page(FIRST, domain_key(PLAIN[0]))
    assert "driftune report --drift" in site.decision_text(PLAIN[0], FIRST)
    page.parent.mkdir(parents=True)
    page.touch()
    site.build()
    text = site.decision_text(PLAIN[0], FIRST)
    assert f'href="../../drift/{FIRST}/{domain_key(PLAIN[0])}.html"' in text
    assert "driftune report --drift" not in text


def test_a_promotion_by_hand_is_told_from_the_gates(site: Site) -> None:
    decided = site.decide(PLAIN[0], FIRST, "rejected", 1.8)
    with site.ledger.write() as connection:
        site.ledger.override(connection, decided, "rejected", 3, note="ann (by hand): campaign")
    site.build()
    text = site.decision_text(PLAIN[0], FIRST)
    assert "promoted by hand as version 3, against the gate" in text
    assert "The gate rejects the challenger." in text
    assert "ann (by hand): campaign" in text


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "state", ["stable", "pending", "claimed", "failed", "insufficient", "unheard of"]
)
def test_a_decision_without_gate_and_training_has_a_page(site: Site, state: str) -> None:
    score = None if state == "insufficient" else 1.2
    site.decide(PLAIN[0], FIRST, state, score)
    site.build()
    text = site.decision_text(PLAIN[0], FIRST)
    assert "No challenger was judged." in text
    assert "Training</h2>" not in text


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "gate",
    [
        {},
        {"decision": None, "rules": None, "champion": None, "difference": None},
        {"decision": "reject", "rules": [{"name": "user ids", "verdict": "fail"}], "champion": {}},
        {"champion": {"ctr_auc": None}, "difference": {"estimate": 0.1, "low": None}},
    ],
)
def test_missing_parts_of_a_gate_report_are_left_out(site: Site, gate: dict) -> None:
    site.decide(PLAIN[0], FIRST, "rejected", 1.2, gate=gate, training={"split": None}, scores={})
    site.build()
    assert "the gate kept the champion" in site.decision_text(PLAIN[0], FIRST)


def test_a_drift_s_page_says_what_moved_and_which_rule_decided(site: Site) -> None:
    site.decide(PLAIN[0], FIRST, "pending", 2.0)
    site.build()
    text = site.decision_text(PLAIN[0], FIRST)
    assert "Rule: strong evidence" in text
    assert "Champion&#39;s AUC 0.700 → 0.660" in text or "Champion's AUC 0.700 → 0.660" in text
    assert "<b>burgers</b>" not in text and "&lt;b&gt;burgers" in text
    assert text.count('class="moved"') == 2
    assert "hours of the day" in text


def test_signals_that_could_not_be_judged_show_as_dashes(site: Site) -> None:
    scores = {
        "rule": "no evidence",
        "signals": {"hour": {"p": None}, "auc": {"p": 0.5, "effect": float("inf")}},
    }
    site.decide(PLAIN[0], FIRST, "insufficient", float("nan"), scores=scores)
    site.build()
    text = site.decision_text(PLAIN[0], FIRST)
    assert "hours of the day" in text
    assert "nan" not in text.lower() and ">inf" not in text


def test_neighbouring_decisions_of_a_domain_are_linked(site: Site) -> None:
    days = [FIRST, FIRST + timedelta(days=3)]
    for day in days:
        site.decide(PLAIN[0], day, "stable", 0.4)
    site.build()
    name = f"{domain_key(PLAIN[0])}.html"
    assert f'href="../../decision/{days[1]}/{name}"' in site.decision_text(PLAIN[0], days[0])
    assert f'href="../../decision/{days[0]}/{name}"' in site.decision_text(PLAIN[0], days[1])


def times(folder: Path) -> dict[Path, int]:
    """Modification times of the site's pages."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_only_changed_pages_are_written(site: Site) -> None:
    site.whole()
    before = times(site.workspace.reports)
    site.build()
    assert times(site.workspace.reports) == before
    decided = next(row for row in site.ledger.decisions() if row.state == "rejected")
    with site.ledger.write() as connection:
        site.ledger.override(connection, decided.id, "rejected", 1, note="by hand")
    site.build()
    after = times(site.workspace.reports)
    changed = {
        path.name
        for path, moment in after.items()
        if path.suffix == ".html" and before.get(path) != moment
    }
    assert changed == {"index.html", f"{decided.day}.html", f"{decided.domain_key}.html"}


@pytest.mark.slow
@pytest.mark.ci
def test_a_refresh_also_draws_what_one_that_was_killed_has_left(site: Site) -> None:
    site.whole()
    decided = next(row for row in site.ledger.decisions() if row.state == "rejected")
    with site.ledger.write() as connection:
        site.ledger.override(connection, decided.id, "rejected", 1, note="by hand")
    site.build(days=[])
    page = site.decision_text(decided.domain, date.fromisoformat(decided.day))
    assert "s-promoted" in page
    assert "s-rejected" not in page
    before = times(site.workspace.reports)
    site.build(days=[])
    assert times(site.workspace.reports) == before


def spoiled(site: Site) -> list[Path]:
    """Every day and decision page, with a mark that only a rewritten page loses."""
    pages = [*site.workspace.reports.glob("day/*"), *site.workspace.reports.glob("decision/*/*")]
    for path in pages:
        path.write_text("old", encoding="utf-8")
    return pages


def rewritten(site: Site, pages: list[Path]) -> set[str]:
    """Those that a refresh wrote, by their paths in the site."""
    home = site.workspace.reports
    return {str(path.relative_to(home)) for path in pages if path.read_text("utf-8") != "old"}


def test_chosen_days_leave_other_pages_alone(site: Site) -> None:
    calendar = [FIRST + timedelta(days=number) for number in range(4)]
    for day in calendar:
        site.day(day, PLAIN)
        site.decide(PLAIN[0], day, "stable", 0.4)
    site.build()
    pages = spoiled(site)
    site.build(days=[calendar[3]])
    key = domain_key(PLAIN[0])
    expected = {f"day/{day}.html" for day in calendar[2:]}
    assert rewritten(site, pages) == expected | {
        f"decision/{day}/{key}.html" for day in calendar[2:]
    }
    assert str(FIRST) in site.text()


@pytest.mark.slow
@pytest.mark.ci
def test_a_promotion_refreshes_every_page_of_its_domain_and_of_no_other(site: Site) -> None:
    calendar = [FIRST + timedelta(days=number) for number in range(4)]
    for day in calendar[:3]:
        for domain in PLAIN[:2]:
            site.decide(domain, day, "stable", 0.4)
    site.build()
    site.promote(PLAIN[0], site.decide(PLAIN[0], calendar[3], "promoted", 1.8), 1)
    site.decide(PLAIN[1], calendar[3], "stable", 0.4)
    site.build(days=[calendar[3]])
    chosen = site.decision_text(PLAIN[0], FIRST), site.decision_text(PLAIN[1], FIRST)
    site.build()
    assert chosen == (site.decision_text(PLAIN[0], FIRST), site.decision_text(PLAIN[1], FIRST))
    assert "version 1" in chosen[0]


def test_missing_pages_and_another_release_s_are_written_whatever_their_day(site: Site) -> None:
    calendar = [FIRST + timedelta(days=number) for number in range(4)]
    for day in calendar:
        site.day(day, PLAIN)
    site.build()
    lost = site.workspace.reports / "day" / f"{FIRST}.html"
    lost.unlink()
    site.build(days=[calendar[3]])
    assert lost.exists()
    pages = spoiled(site)
    (site.workspace.reports / ".release").write_text("another", encoding="utf-8")
    site.build(days=[calendar[3]])
    assert len(rewritten(site, pages)) == len(pages)


def test_a_damaged_page_is_written_anew(site: Site) -> None:
    site.decide(PLAIN[0], FIRST, "stable", 0.4)
    index = site.build()
    whole = index.read_text(encoding="utf-8")
    index.write_text(whole[:200], encoding="utf-8")
    site.build()
    assert index.read_text(encoding="utf-8") == whole


def test_data_docs_show_each_expectation_and_survive_damage(site: Site) -> None:
    site.day(FIRST, PLAIN)
    site.build()
    text = site.text(f"data_docs/{FIRST}.html")
    assert "<b>1</b> broken" in text
    assert "&lt;b&gt;x&lt;/b&gt;" in text
    site.workspace.docs_record(FIRST).write_text("{", encoding="utf-8")
    site.build()
    assert "The record of this page is damaged" in site.text(f"data_docs/{FIRST}.html")


def test_a_weak_champion_is_marked_on_its_decision_domain_and_front_page(site: Site) -> None:
    weak = {"champion": "ranks clicks worse than chance (CTR-AUC 0.480)", "challenger": None}
    gate = {**gate_report("reject"), "champion_serves": 0, "weak": weak}
    site.decide(PLAIN[0], FIRST, "rejected", 1.8, gate=gate)
    site.build()
    assert "The champion ranks clicks worse than chance (CTR-AUC 0.480)" in site.decision_text(
        PLAIN[0], FIRST
    )
    told = "the frozen base ranks clicks worse than chance (CTR-AUC 0.480), by the gate"
    assert told in site.text() and "<b>Weak</b>" in site.text()
    assert told in site.text(f"domain/{domain_key(PLAIN[0])}.html")
