"""A scorer takes up what is new in a bundle, and what is damaged leaves the former one in use."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from driftune.io import read_json
from driftune.project import Project
from driftune.serving import BundleError, Scorer
from driftune.serving import scorer as scoring
from driftune.serving.export import export
from driftune.serving.manifest import read_manifest, write_manifest
from tests.crowning import crown, random_adapter


def say_otherwise(bundle, **said):
    """Write another manifest, of the same parts."""
    write_manifest(bundle, {**read_json(bundle / "manifest.json"), **said})


@pytest.mark.slow
@pytest.mark.ci
def test_after_a_new_day_it_scores_as_one_that_is_opened_then(served):
    scorer = Scorer.open(served.bundle)
    before = scorer.score(served.rows)
    crown(served.world, random_adapter(served.world), served.world.config.reference.days, 2)
    with Project(served.world.config) as project:
        export(project, served.bundle)
    assert scorer.refresh()
    after = scorer.score(served.rows)
    assert after.equals(Scorer.open(served.bundle).score(served.rows))
    assert not after["p_click"].equals(before["p_click"])
    assert scorer.info()["day"] == served.day


def test_what_a_new_manifest_names_again_is_not_read_again(served):
    scorer = Scorer.open(served.bundle)
    before, wanted = scorer._now, scorer.score(served.rows)
    say_otherwise(served.bundle, driftune="0.0.1")
    shutil.rmtree(served.bundle / "parts")
    assert scorer.refresh()
    now = scorer._now
    assert scorer.info()["driftune"] == "0.0.1"
    assert now.fields is before.fields and now.counts is before.counts and now.card is before.card
    assert now.model is not before.model
    weights = zip(now.model.parameters(), before.model.parameters(), strict=True)
    assert all(mine is its for mine, its in weights)
    assert scorer.score(served.rows).equals(wanted)


def test_hooks_of_one_generation_are_not_those_of_the_next(served):
    scorer = Scorer.open(served.bundle)
    for number in range(3):
        say_otherwise(served.bundle, driftune=f"0.0.{number}")
        assert scorer.refresh()
    assert not any(each._forward_hooks for each in scorer._now.pristine.modules())
    assert sum(len(each._forward_hooks) for each in scorer._now.model.modules()) == 1


@pytest.mark.parametrize(
    ("part", "how"),
    [
        ("encoder", "damaged"),
        ("fields", "gone"),
        ("counters", "damaged"),
        ("model", "gone"),
        ("adapter", "damaged"),
    ],
)
@pytest.mark.few(1)
def test_a_part_that_is_new_and_damaged_leaves_the_former_bundle_in_use(served, part, how):
    named = read_manifest(served.bundle)
    name = next(each for each in named.parts if each.startswith(part))
    scorer = Scorer.open(served.bundle)
    wanted = scorer.score(served.rows)
    # As if the part were another one, with the same files and one more.
    folder = named.part(name).folder(served.bundle)
    files = dict(named.part(name).files)
    file = sorted(files)[0]
    other = type(named.part(name))({**files, "more": "0" * 64})
    parts = {key: each.as_json() for key, each in named.parts.items()} | {name: other.as_json()}
    shutil.copytree(folder, other.folder(served.bundle))
    path = other.folder(served.bundle) / file
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    say_otherwise(served.bundle, parts=parts)
    for _ in range(2):
        with pytest.raises(BundleError, match=f"{file}: (damaged|is not there)") as told:
            scorer.refresh()
        assert "\n" not in str(told.value)
    assert scorer.score(served.rows).equals(wanted)
    with Project(served.world.config) as project:
        export(project, served.bundle, served.world.day(2))
    assert not scorer.refresh()


def test_a_manifest_that_is_as_it_was_is_not_read_again(served, monkeypatch):
    scorer, read = Scorer.open(served.bundle), []

    def counted(bundle):
        read.append(bundle)
        return read_manifest(bundle)

    monkeypatch.setattr(scoring, "read_manifest", counted)
    assert [scorer.refresh() for _ in range(4)] == [False] * 4 and len(read) == 1
    say_otherwise(served.bundle, driftune="0.0.1")
    assert [scorer.refresh() for _ in range(3)] == [True, False, False] and len(read) == 2
    (served.bundle / "manifest.json").unlink()
    for _ in range(2):
        with pytest.raises(BundleError, match="is not there"):
            scorer.refresh()


@pytest.mark.slow
@pytest.mark.ci
def test_the_first_calls_may_come_from_many_threads_at_once(served):
    rows = served.rows.slice(0, 200)
    wanted = Scorer.open(served.bundle).score(rows)
    for _ in range(5):
        scorer = Scorer.open(served.bundle)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(scorer.score, [rows] * 16))
        assert all(each.equals(wanted) for each in found)


def test_opening_leaves_the_random_numbers_of_the_process_alone(read_only):
    import torch

    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    Scorer.open(read_only.bundle)
    np.testing.assert_array_equal(torch.rand(3), wanted)
