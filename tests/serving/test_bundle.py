"""Bundles: the same state gives the same bytes; what is damaged or foreign is refused."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from safetensors.torch import load_file, save_file

from driftune.io import read_json, write_sealed
from driftune.project import Project
from driftune.serving import BundleError, RowsError, Scorer
from driftune.serving import export as exporting
from driftune.serving.export import export
from tests.crowning import crown, random_adapter
from tests.serving.conftest import logs


def exported(served, to: Path | None = None):
    with Project(served.world.config) as project:
        return export(project, to or served.bundle, served.world.day(2))


def contents(bundle: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(bundle)): path.read_bytes()
        for path in bundle.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


@pytest.mark.slow
@pytest.mark.ci
def test_the_same_state_gives_the_same_bytes_and_writes_no_part_again(served, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in served.bundle.rglob("*.*")}
    again = exported(served)
    elsewhere = exported(served, tmp_path / "elsewhere")
    assert not again.changed and elsewhere.bundle == again.bundle
    assert contents(served.bundle) == contents(tmp_path / "elsewhere")
    after = {path: path.stat().st_mtime_ns for path in served.bundle.rglob("*.*")}
    after.pop(served.bundle / "manifest.json")
    assert after.items() <= before.items()


def test_a_promotion_changes_one_part_and_is_seen_by_refresh(served):
    scorer = Scorer.open(served.bundle)
    before, names = scorer.score(served.rows), set(contents(served.bundle))
    assert not scorer.refresh()
    adapter = random_adapter(served.world)
    for tensor in adapter.state_dict().values():
        if tensor.is_floating_point():
            tensor.mul_(3)
    crown(served.world, adapter, served.world.config.reference.days, version=2)
    assert exported(served).changed
    assert len(set(contents(served.bundle)) - names) == 2
    assert scorer.score(served.rows).equals(before)
    assert scorer.refresh()
    after = scorer.score(served.rows)
    changed = after["p_click"].to_numpy() != before["p_click"].to_numpy()
    np.testing.assert_array_equal(changed, np.array(after["domain"]) == "home · north")
    assert set(np.array(after["champion"])[changed]) == {2}
    assert after.equals(Scorer.open(served.bundle).score(served.rows))


@pytest.mark.slow
@pytest.mark.ci
def test_under_load_each_call_uses_one_manifest_as_a_whole(served, tmp_path):
    """Two states of a bundle take turns while threads score; no score is of both or of none."""
    first = tmp_path / "first"
    shutil.copytree(served.bundle, first)
    crown(served.world, random_adapter(served.world), served.world.config.reference.days, 2)
    crown(
        served.world,
        random_adapter(served.world, "residual"),
        served.world.config.reference.days,
        domain="home · old \\· town",
    )
    exported(served)
    rows = served.rows.slice(0, 200)
    wanted = [Scorer.open(path).score(rows) for path in (first, served.bundle)]
    assert not wanted[0].equals(wanted[1])
    both = tmp_path / "both"
    shutil.copytree(first, both)
    shutil.copytree(served.bundle / "parts", both / "parts", dirs_exist_ok=True)
    scorer, stop, wrong, calls = Scorer.open(both), threading.Event(), [], []

    def work():
        while not stop.is_set():
            try:
                found = scorer.score(rows)
                if not any(found.equals(each) for each in wanted):
                    wrong.append(found)
                calls.append(1)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(12):
        source = (first, served.bundle)[(number + 1) % 2] / "manifest.json"
        part = both / "manifest.part"
        shutil.copyfile(source, part)
        part.replace(both / "manifest.json")
        assert scorer.refresh()
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong and calls


@pytest.mark.slow
@pytest.mark.ci
def test_an_export_that_dies_before_its_manifest_leaves_the_former_bundle(served, monkeypatch):
    wanted = Scorer.open(served.bundle).score(served.rows)
    crown(served.world, random_adapter(served.world), served.world.config.reference.days, 2)

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "write_manifest", die)
    with pytest.raises(KeyboardInterrupt):
        exported(served)
    assert Scorer.open(served.bundle).score(served.rows).equals(wanted)
    (served.bundle / "parts" / ".unfinished-1").mkdir()
    monkeypatch.undo()
    assert exported(served).changed
    assert not (served.bundle / "parts" / ".unfinished-1").exists()


@pytest.mark.parametrize("ending", ["safetensors", "arrow", "json"])
@pytest.mark.few(1)
def test_a_damaged_file_is_refused_in_one_line_and_mended_by_the_next_export(served, ending):
    path = next((served.bundle / "parts").rglob(f"*.{ending}"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(BundleError, match="damaged") as told:
        Scorer.open(served.bundle)
    assert str(told.value).count("\n") == 0 and path.name in str(told.value)
    exported(served)
    Scorer.open(served.bundle)


@pytest.mark.slow
@pytest.mark.ci
def test_what_is_no_bundle_is_refused_in_one_line(served, tmp_path):
    with pytest.raises(BundleError, match=r"manifest\.json: is not there"):
        Scorer.open(tmp_path / "nowhere")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "manifest.json").write_text('{"a": 1}')
    with pytest.raises(BundleError, match="is no manifest of a bundle"):
        Scorer.open(foreign)
    with pytest.raises(BundleError, match="is no manifest of a bundle"):
        exported(served, foreign)
    (foreign / "manifest.json").unlink()
    (foreign / "thesis.tex").touch()
    with pytest.raises(BundleError, match=r"holds thesis\.tex and no bundle"):
        exported(served, foreign)
    said = json.loads((served.bundle / "manifest.json").read_text())
    said["day"] = "2030-01-01"
    (served.bundle / "manifest.json").write_text(json.dumps(said))
    with pytest.raises(BundleError, match="damaged"):
        Scorer.open(served.bundle)
    exported(served)
    Scorer.open(served.bundle)


FOREIGN = [
    {"manifest.json": '{"name": "app"}', "parts/chapter.tex": "x"},
    {"manifest.json": '{"name": "app"}', f"parts/{'0' * 64}/a.bin": "x"},
    {"manifest.json": '["a"]', "parts/chapter.tex": "x"},
    {"manifest.json": "no JSON", "parts/chapter.tex": "x"},
    {"parts/chapter.tex": "x"},
    {"parts/chapters/1.tex": "x"},
    {f"parts/{'0' * 64}": "a file of that name"},
    {f"parts/{'0' * 64}/a.bin": "x", "notes.txt": "x"},
]


@pytest.mark.parametrize("files", FOREIGN)
def test_an_export_takes_nothing_away_from_a_folder_of_another_kind(served, tmp_path, files):
    foreign = tmp_path / "foreign"
    for name, text in files.items():
        path = foreign / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    before = contents(foreign)
    with pytest.raises(BundleError, match=r"manifest\.json|holds .* and no bundle") as told:
        exported(served, foreign)
    assert "\n" not in str(told.value) and contents(foreign) == before


@pytest.mark.slow
@pytest.mark.ci
def test_what_no_export_has_written_stays_among_the_parts(served):
    for name in ("mine", "f" * 63, "F" * 64):
        (served.bundle / "parts" / name).mkdir()
    (served.bundle / "parts" / ("a" * 64)).mkdir()
    (served.bundle / "parts" / "notes.txt").touch()
    exported(served)
    left = {path.name for path in (served.bundle / "parts").iterdir()}
    assert {"mine", "f" * 63, "F" * 64, "notes.txt"} <= left and "a" * 64 not in left


@pytest.mark.parametrize("size", [0, 64, None])
def test_files_that_are_written_over_do_not_change_what_serves(served, size):
    scorer = Scorer.open(served.bundle)
    wanted = scorer.score(served.rows)
    for path in (served.bundle / "parts").rglob("*"):
        if path.is_file():
            with path.open("r+b") as file:
                file.write(b"\xff" * path.stat().st_size)
                file.truncate(size)
    assert scorer.score(served.rows).equals(wanted)


@pytest.mark.parametrize("lost", [("sealed", "sha256"), ("sealed",), ("sha256",)])
@pytest.mark.parametrize("changed", [{}, {"day": "2030-01-01"}])
def test_a_manifest_without_its_checksum_is_damaged(served, lost, changed):
    path = served.bundle / "manifest.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in said.items() if k not in lost} | changed))
    with pytest.raises(BundleError, match=r"manifest\.json: damaged \(hash differs\)"):
        Scorer.open(served.bundle)


@pytest.mark.parametrize("name", ["backbone/backbone.safetensors", "encoder/encoder.json"])
@pytest.mark.few(1)
def test_a_pre_training_that_ends_meanwhile_refuses_the_export(served, monkeypatch, name):
    wanted = contents(served.bundle)
    path, take = served.world.config.home / "model" / name, exporting.take_snapshot

    def trained_meanwhile(*given):
        if path.suffix == ".json":
            card = read_json(path)
            write_sealed(path, {**card, "means": [0.0 for _ in card["means"]]})
        else:
            tensors = {key: each + 1 for key, each in load_file(path).items()}
            save_file(tensors, path)
        return take(*given)

    monkeypatch.setattr(exporting, "take_snapshot", trained_meanwhile)
    with pytest.raises(BundleError, match="changed while they were exported") as told:
        exported(served)
    assert "\n" not in str(told.value)
    assert contents(served.bundle).items() >= wanted.items()


@pytest.mark.slow
@pytest.mark.ci
def test_domains_that_the_reference_days_do_not_know_are_one(served):
    """Also those that have a champion or a decision: the lake folds them all the same."""
    params = yaml.safe_load(served.world.params.read_text())
    params["domains"] = {**(params.get("domains") or {}), "unknown": "other"}
    served.world.params.write_text(yaml.dump(params))
    days = served.world.config.reference.days
    crown(served.world, random_adapter(served.world), days, domain="mars · north")
    exported(served)
    frame = logs(served.day).head(3)
    frame["scene"], frame["region"] = ["mars", "venus", "home"], "north"
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    found = Scorer.open(served.bundle).score(rows)
    assert found["domain"].to_pylist() == ["other", "other", "home · north"]
    assert found["served_by"].to_pylist() == ["base", "base", "adapter"]


def test_rows_of_unknown_domains_and_rows_without_an_id(read_only):
    frame = logs(read_only.day).head(4).drop(columns=["click", "ordered", "event_time"])
    frame["scene"] = ["home", "mars", "home", None]
    frame["region"] = ["north", "north", "old · town", "north"]
    frame.loc[2, "user_id"] = ""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    found = Scorer.open(read_only.bundle).score(rows).to_pylist()
    assert [row["domain"] for row in found] == [
        "home · north", "mars · north", "home · old \\· town", None,
    ]  # fmt: skip
    assert [row["served_by"] for row in found] == ["adapter", "base", None, None]
    assert [row["why"] for row in found] == [None, "unknown domain", "no user", "no domain"]
    assert [row["champion"] for row in found] == [1, 0, None, None]
    assert [row["p_ctcvr"] is None for row in found] == [False, False, True, True]


def test_a_type_that_may_be_read_otherwise_is_refused_in_one_line(read_only):
    frame = logs(read_only.day).head(3)
    frame["user_id"] = [1, 2, 3]
    import pyarrow as pa

    with pytest.raises(RowsError, match=r"'user_id' \(columns\.user\) comes as int64"):
        Scorer.open(read_only.bundle).score(pa.Table.from_pandas(frame))


@pytest.mark.slow
@pytest.mark.ci
def test_the_reading_half_needs_no_more_than_it_says():
    code = (
        "import sys; from driftune.serving import Scorer; "
        "print([name for name in ('prefect', 'mlflow', 'sqlalchemy', 'pydantic', 'duckdb', "
        "'pandas', 'scipy') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
