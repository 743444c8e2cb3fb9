"""Every package that may be installed is locked, with the hashes of its files."""

import re
import subprocess
import sys
import tomllib
from collections import deque
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))
from lock import ASIDE, Locked, locked, main, normalized, parse  # noqa: E402
from make_lock import CUDA, PLATFORMS, PYTHONS, TORCH_CPU, constraints  # noqa: E402

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
# What packages ask for and set-up leaves out.
LEFT_OUT = {Requirement(line).name for line in PROJECT["tool"]["uv"]["override-dependencies"]}
# What `make setup` installs beside the project.
SET_UP = ("dev", "docs", "examples", "postgres", "ray")


def by_name() -> dict[str, Locked]:
    return {each.name: each for each in locked()}


def asked_for(group: str) -> list[Requirement]:
    """What pyproject.toml names for a group."""
    if group == "base":
        lines = PROJECT["project"]["dependencies"]
    else:
        lines = EXTRAS.get(group) or PROJECT["dependency-groups"][group]
    return [Requirement(line) for line in lines]


def needed(group: str) -> Iterator[tuple[str, str]]:
    """Name and version of all that is installed because a group needs it, however far."""
    queue, seen = deque(asked_for(group)), set()
    while queue:
        wanted = queue.popleft()
        key = (normalized(wanted.name), frozenset(wanted.extras))
        if key in seen or key[0] in LEFT_OUT:
            continue
        seen.add(key)
        found = distribution(wanted.name)
        yield key[0], found.version
        for line in found.requires or []:
            further = Requirement(line)
            extras = ["", *wanted.extras]
            if further.marker is None or any(further.marker.evaluate({"extra": e}) for e in extras):
                queue.append(further)


@pytest.mark.parametrize("group", ["base", *SET_UP])
@pytest.mark.few(1)
def test_all_that_is_installed_for_a_group_is_locked_for_it(group: str) -> None:
    packages = by_name()
    for name, version in needed(group):
        each = packages[name]
        assert each.version == version.partition("+")[0], name
        assert each.groups & {group, "base"} or name.startswith(CUDA), name


@pytest.mark.parametrize("group", ["base", *EXTRAS, *PROJECT["dependency-groups"]])
def test_what_pyproject_asks_for_is_locked_in_a_version_it_allows(group: str) -> None:
    packages = by_name()
    for wanted in asked_for(group):
        each = packages[normalized(wanted.name)]
        assert each.version in wanted.specifier, wanted
        assert each.groups & {group, "base"}, wanted


def test_each_package_has_hashes_and_stands_there_once() -> None:
    packages = locked()
    assert len({each.name for each in packages}) == len(packages) > 300
    for each in packages:
        assert each.hashes and each.groups, each.name
        assert all(re.fullmatch("[0-9a-f]{64}", one) for one in each.hashes), each.name


def test_what_is_left_out_is_not_locked() -> None:
    assert {"rfc3987-syntax"} == LEFT_OUT
    assert not LEFT_OUT & by_name().keys()


def test_constraints_are_the_versions_of_the_lock() -> None:
    assert (ROOT / "constraints.txt").read_text(encoding="utf-8") == constraints(locked())


def test_the_lock_names_no_place_to_download_from() -> None:
    options = re.compile(r"://|^\s*--?(index|extra|find|trusted|i\b|f\b)", re.MULTILINE)
    for name in ("requirements.lock", "constraints.txt"):
        assert options.search((ROOT / name).read_text(encoding="utf-8")) is None, name


def test_both_builds_of_torch_are_locked_for_all_pythons_and_processors() -> None:
    torch = by_name()["torch"]
    linux = [machine for system, machine in PLATFORMS if system == "linux"]
    assert len(TORCH_CPU[torch.version]) == len(PYTHONS) * len(linux) == 6
    # Those of the index of all other packages are more: macOS, Windows, other Pythons.
    assert set(TORCH_CPU[torch.version]) < set(torch.hashes)
    assert len(torch.hashes) >= 2 * len(TORCH_CPU[torch.version])


def test_cuda_is_no_part_of_what_everybody_installs() -> None:
    cuda = {each.name for each in locked() if "cuda" in each.groups}
    assert {"triton", "nvidia-cublas", "cuda-toolkit"} <= cuda
    assert all(name.startswith(CUDA) for name in cuda)
    assert all(each.groups == {"cuda"} for each in locked() if each.name in cuda)
    assert {"cuda", "lock"} == ASIDE


def test_groups_print_as_they_are_locked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["postgres", "build"]) == 0
    printed = parse(capsys.readouterr().out)
    assert {"psycopg", "psycopg-binary", "hatchling", "setuptools"} <= {p.name for p in printed}
    packages = by_name()
    for each in printed:
        assert each.requirement == packages[each.name].requirement


def test_a_group_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["base", "moon"]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("lock: no group moon; requirements.lock has base")
    assert main([]) == 1


def test_a_file_with_another_hash_is_not_installed(tmp_path: Path) -> None:
    # The real pip, a file of the locked name and version, and another content.
    each = by_name()["iniconfig"]
    name = f"iniconfig-{each.version}-py3-none-any.whl"
    (tmp_path / name).write_bytes(b"another file")
    (tmp_path / "wanted.txt").write_text(each.requirement)
    command = [
        *(sys.executable, "-m", "pip", "install", "--require-hashes", "--no-deps", "--dry-run"),
        *("--ignore-installed", "--no-index", "--find-links", str(tmp_path)),
        *("--target", str(tmp_path / "there"), "--requirement", str(tmp_path / "wanted.txt")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "HASHES" in done.stderr
