"""Licences are listed, and one that asks for more than its text has a reason to be there."""

import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))
from licences import ACCEPTED, PAGE, is_permissive, page, reason, stated_licence  # noqa: E402
from lock import locked  # noqa: E402


def listed() -> dict[str, list[str]]:
    """The rows of the page's table of all packages: version, licence, who needs it."""
    table = PAGE.read_text(encoding="utf-8").split("## All packages")[1]
    rows = [line.strip("| \n").split(" | ") for line in table.splitlines() if "|" in line][2:]
    return {row[0]: row[1:] for row in rows}


def stated() -> dict[str, str]:
    return {name: row[1] for name, row in listed().items()}


def said_by_installed(name: str) -> str:
    metadata = distribution(name).metadata
    return stated_licence(
        {
            "license_expression": metadata.get("License-Expression"),
            "classifier": metadata.get_all("Classifier") or [],
            "license": metadata.get("License"),
        }
    )


def test_the_page_lists_the_lock() -> None:
    packages = locked()
    assert {name: row[0] for name, row in listed().items()} == {p.name: p.version for p in packages}
    assert PAGE.read_text(encoding="utf-8") == page(packages, stated())


def test_the_page_says_what_installed_packages_say() -> None:
    compared = 0
    for name, said in stated().items():
        try:
            assert said == said_by_installed(name).replace("|", "/"), name
        except PackageNotFoundError:
            continue
        compared += 1
    assert compared > 250


def test_a_licence_that_is_not_permissive_has_a_reason() -> None:
    special = {name for name, said in stated().items() if not is_permissive(said)}
    assert {name for name in special if reason(name) is None} == set()
    assert ACCEPTED.keys() <= special, "reasons that nothing needs any more"


@pytest.mark.parametrize(
    ("said", "permissive"),
    [
        ("MIT", True),
        ("BSD-3-Clause AND (MIT OR Apache-2.0)", True),
        ("MIT OR GPL-3.0-or-later", True),
        ("MIT AND GPL-3.0-or-later", False),
        ("MPL-2.0", False),
        ("LGPL-3.0-only", False),
        ("GNU Affero General Public License v3", False),
        ("Other/Proprietary License", False),
        ("SSPL-1.0", False),
        ("MIT-like, ask the authors", False),
        ("", False),
    ],
)
def test_which_licences_are_permissive(said: str, permissive: bool) -> None:
    assert is_permissive(said) is permissive
