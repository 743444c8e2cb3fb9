"""The bill of materials names all that is installed."""

import json
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.ci
def test_the_bill_of_materials_names_every_installed_package(tmp_path: Path) -> None:
    (recipe,) = (
        line for line in (ROOT / "Makefile").read_text().replace("\\\n", "").splitlines()
        if "cyclonedx_py" in line
    )  # fmt: skip
    bill = tmp_path / "sbom.json"
    command = recipe.strip().removeprefix("@").replace("$(BIN)/python", sys.executable)
    command = command.replace("dist/sbom.json", str(bill))
    subprocess.run(command, shell=True, cwd=ROOT, check=True, capture_output=True)
    made = json.loads(bill.read_text())
    assert made["bomFormat"] == "CycloneDX"
    assert made["metadata"]["component"]["name"] == "driftune"
    named = {(each["name"], each["version"]) for each in made["components"]}
    installed = {(each.metadata["Name"], each.version) for each in distributions()}
    assert {pair for pair in installed if pair[0] != "driftune"} - named == set()
    assert sum(bool(each.get("licenses")) for each in made["components"]) > 0.9 * len(named)
