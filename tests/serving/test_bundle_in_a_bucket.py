"""Bundles in an S3-compatible store: what a folder would hold, uploaded and followed by parts."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from driftune.project import Project
from driftune.registry.ledger import Ledger
from driftune.registry.rollback import rollback
from driftune.serving import BundleError, Follower, Scorer
from driftune.serving.export import export
from driftune.serving.known import remember
from driftune.serving.places import Bucket, Folder
from driftune.serving.publish import export_to
from driftune.serving.where import bundle_status
from tests.crowning import KEY, crown, random_adapter

URL = "s3://logs/bundles/now"


def renew(served, url: str = URL):
    with Project(served.world.config) as project:
        return export_to(project, url, served.world.day(2))[0]


def promote(served) -> None:
    """Version 2 of a domain's adapter, which is another one, is its champion."""
    adapter = random_adapter(served.world, scale=3)
    crown(served.world, adapter, served.world.config.reference.days, 2)


def written(bucket: Any) -> dict[str, Any]:
    """When each object was written last, by its name in the bundle."""
    found = bucket.find(URL.removeprefix("s3://"), detail=True)
    return {name.split("now/")[1]: each["LastModified"] for name, each in found.items()}


@pytest.mark.slow
@pytest.mark.ci
def test_only_missing_parts_are_uploaded_the_manifest_last_and_others_dropped(
    served, bucket, monkeypatch
):
    first = renew(served)
    assert first.changed and first.bundle == Scorer.open(served.bundle).info()["bundle"]
    names = {name for name in Folder(served.bundle).names() if name != ".lock"}
    assert set(written(bucket)) == names
    order: list[str] = []
    for verb in ("put", "write", "drop"):
        real = getattr(Bucket, verb)

        def noted(self, *given, real=real, verb=verb):
            order.append(f"{verb} {given[0] if verb != 'put' else given[1]}")
            real(self, *given)

        monkeypatch.setattr(Bucket, verb, noted)
    assert not renew(served).changed and order == []
    promote(served)
    assert renew(served).changed
    verbs = [each.split()[0] for each in order]
    assert verbs == sorted(verbs, key=["put", "write", "drop"].index)
    assert verbs.count("write") == 1 and "write manifest.json" in order
    # An adapter is a file and its card.
    assert verbs.count("put") == verbs.count("drop") == 2
    # A file that broke off is uploaded again.
    cut = next(name for name in written(bucket) if name.endswith("adapter.safetensors"))
    bucket.pipe_file(f"logs/bundles/now/{cut}", b"half")
    order.clear()
    assert not renew(served).changed and order == [f"put {cut}"]
    Scorer.open(URL)


@pytest.mark.slow
@pytest.mark.ci
def test_scores_are_those_of_the_folder_and_refresh_goes_by_the_etag(
    served, bucket, tmp_path, monkeypatch
):
    renew(served)
    scorer = Scorer.open(URL, cache=tmp_path / "cache")
    before = scorer.score(served.rows)
    assert before.equals(Scorer.open(served.bundle).score(served.rows))
    read: list[str] = []
    for verb in ("read", "get"):
        real = getattr(Bucket, verb)

        def noted(self, name, *given, real=real):
            read.append(name)
            return real(self, name, *given)

        monkeypatch.setattr(Bucket, verb, noted)
    assert not scorer.refresh() and read == []
    with Ledger(served.world.config) as ledger:
        rollback(served.world.config, ledger, KEY, None, "complaints")
    renew(served)
    read.clear()
    assert scorer.refresh() and read == ["manifest.json"]
    with Project(served.world.config) as project:
        export(project, served.bundle, served.world.day(2))
    after = scorer.score(served.rows)
    assert after.equals(Scorer.open(served.bundle).score(served.rows)) and not after.equals(before)
    adapter, days = random_adapter(served.world, scale=5), served.world.config.reference.days
    crown(served.world, adapter, days, domain="search · north")
    renew(served)
    read.clear()
    assert scorer.refresh()
    assert sorted(name.rsplit("/")[-1] for name in read) == [
        "adapter.safetensors", "card.json", "manifest.json",
    ]  # fmt: skip
    # The cache is a bundle itself, and has what the manifest names alone.
    assert {name for name in Folder(tmp_path / "cache").names() if name != ".lock"} == set(
        written(bucket)
    )
    assert Scorer.open(tmp_path / "cache").info() == scorer.info()


@pytest.mark.slow
@pytest.mark.ci
def test_what_is_in_the_cache_is_checked_and_mended(served, bucket, tmp_path):
    renew(served)
    Scorer.open(URL, cache=tmp_path / "cache")
    broken = next((tmp_path / "cache" / "parts").rglob("*.safetensors"))
    broken.write_bytes(b"broken")
    scorer = Scorer.open(URL, cache=tmp_path / "cache")
    assert broken.stat().st_size > 100
    assert scorer.score(served.rows).equals(Scorer.open(served.bundle).score(served.rows))
    other = tmp_path / "home"
    other.mkdir()
    (other / "thesis.tex").touch()
    with pytest.raises(BundleError, match=r"holds thesis\.tex; name an empty folder"):
        Scorer.open(URL, cache=other)
    with pytest.raises(BundleError, match="a cache belongs to one"):
        Scorer.open(served.bundle, cache=tmp_path / "cache")


@pytest.mark.slow
@pytest.mark.ci
def test_damage_and_what_is_not_there_are_one_line_and_the_former_bundle_serves(
    served, bucket, monkeypatch
):
    with pytest.raises(BundleError, match=r"now/manifest\.json: is not there"):
        Scorer.open(URL)
    bucket.pipe_file("logs/bundles/now/thesis.tex", b"1")
    with pytest.raises(BundleError, match=r"holds thesis\.tex and no bundle"):
        renew(served)
    bucket.rm_file("logs/bundles/now/thesis.tex")
    renew(served)
    scorer = Scorer.open(URL)
    before = scorer.score(served.rows)
    promote(served)
    renew(served)
    said = json.loads(Bucket(URL).read("manifest.json") or b"")
    file = f"parts/{_part(scorer, said)}/adapter.safetensors"
    whole = bucket.cat_file(f"logs/bundles/now/{file}")
    bucket.pipe_file(f"logs/bundles/now/{file}", whole[:-1] + b"?")
    for change in (lambda: None, lambda: bucket.rm_file(f"logs/bundles/now/{file}")):
        change()
        with pytest.raises(BundleError) as error:
            scorer.refresh()
        assert "\n" not in str(error.value) and "parts/" in str(error.value)
        assert scorer.score(served.rows).equals(before)
    renew(served)
    assert scorer.refresh() and not scorer.score(served.rows).equals(before)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    type(bucket).clear_instance_cache()
    with pytest.raises(BundleError, match=f"{URL}: cannot be reached") as error:
        scorer.refresh()
    assert "\n" not in str(error.value)


def _part(scorer: Scorer, said: dict) -> str:
    """The folder of the part that a manifest names and the scorer's does not."""
    from driftune.serving.parts import Part

    names = {Part(files).name for files in said["parts"].values()}
    (new,) = names - {part.name for part in scorer.manifest.parts.values()}
    return new


@pytest.mark.slow
@pytest.mark.ci
def test_processes_report_to_the_bucket(served, bucket):
    renew(served)
    remember(served.world.config, URL)
    config = served.world.config
    with Follower(Scorer.open(URL), poll=600) as follower, Ledger(config) as ledger:
        rollback(config, ledger, KEY, None, "complaints")
        renew(served)
        (bundle,) = bundle_status(config, ledger)
        assert [each["state"] for each in bundle["processes"]] == ["former"]
        assert follower.look() and follower.health()["unreported"] is None
        (bundle,) = bundle_status(config, ledger)
        assert [each["state"] for each in bundle["processes"]] == ["current"]
        assert (bundle["place"], bundle["differs"], bundle["problem"]) == (URL, [], None)
    assert not [name for name in written(bucket) if name.startswith("serving/")]


@pytest.mark.slow
@pytest.mark.ci
def test_commands_take_addresses_and_status_shows_them(served, bucket, tmp_path: Path) -> None:
    root = served.world.root

    def driftune(*command: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "driftune.cli", *command], cwd=root, env=os.environ,
            capture_output=True, text=True,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert f"{URL}: bundle " in driftune("export", "--to", URL)
    shown = driftune("status")
    assert f"{URL}: bundle " in shown and "behind" not in shown


@pytest.mark.slow
@pytest.mark.ci
def test_the_reading_half_knows_no_store_until_it_is_asked_for_an_address():
    code = (
        "import sys; from driftune.serving import Scorer, Follower; "
        "print([name for name in ('fsspec', 's3fs', 'prefect', 'mlflow', 'sqlalchemy', 'pydantic', "
        "'duckdb', 'pandas', 'scipy') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
