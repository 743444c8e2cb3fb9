"""Makes requirements.lock and constraints.txt of pyproject.toml (``make lock``).

Versions stay as they are locked, but for those of ``--upgrade NAME``. What pyproject.toml newly
asks for gets the newest version that goes with the rest.
"""

import argparse
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from itertools import product

from lock import ASIDE, LOCK, ROOT, Locked, locked, normalized, parse
from packaging.markers import Marker

CONSTRAINTS = ROOT / "constraints.txt"
# The oldest Python that all extras can be installed on.
OLDEST = "3.11.5"
PYTHONS = (OLDEST, "3.12.0", "3.13.0")
PLATFORMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
# CUDA builds of torch bring these, and nothing else does.
CUDA = ("cuda-", "nvidia-", "triton")
# PyTorch's builds for the CPU alone have files of their own, which the index of all other packages
# does not have. SHA-256 of torch-VERSION+cpu for CPython 3.11, 3.12, 3.13 on x86-64, then on Arm,
# as its index of CPU builds lists them.
TORCH_CPU = {
    "2.13.0": (
        "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
        "4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2",
        "3fbf9c9d1f3c10c2d59d04aca426dee9ccc6ceb32d255c61e93acc3b4f75fae6",
        "84453b69508ec79902f899c5ed9495acb9e2bbe9fda5f1d5d6f19e3c3842e1a7",
        "6f307c2c32d764ffc6ff6893b801fad6d4752f3e67966cb8abf1843427c02604",
        "0b8f7d0423027ae8b90c7977c627f3379f325363a08224dffad9b4b2d684a83d",
    ),
}
LOCK_HEAD = """\
# Made by `make lock`. Every package of every extra, with the SHA-256 of each file of its version;
# a line above it names the groups that need it: base, extras, build, lock, serve, torch, cuda.
# Set-up installs the groups it needs from here. The versions are those of constraints.txt.
"""
CONSTRAINTS_HEAD = (
    "# Made by `make lock`: the versions of requirements.lock, tested together on CPython 3.11 to "
    "3.13; the newest of everything does not work together.\n"
)


def main() -> int:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uv", default="uv", help="the program uv")
    parser.add_argument("--upgrade", nargs="*", default=[], metavar="NAME")
    given = parser.parse_args()
    upgraded = {normalized(name) for name in given.upgrade}
    before = {each.name: each for each in locked()} if LOCK.exists() else {}
    if unknown := upgraded - before.keys():
        print(f"lock: not in {LOCK.name}: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 1
    pins = [each for name, each in before.items() if name not in upgraded]
    packages = list(_with_groups(given.uv, _resolve(given.uv, pins, *_everything(), "--hashes")))
    torch = next(each for each in packages if each.name == "torch")
    if torch.version not in TORCH_CPU:
        print(
            f"lock: no hashes of the CPU builds of torch {torch.version} (TORCH_CPU in "
            "scripts/make_lock.py); set-up could not install them",
            file=sys.stderr,
        )
        return 1
    LOCK.write_text(
        LOCK_HEAD
        + "".join(f"# for {' '.join(sorted(p.groups))}\n{p.requirement}\n" for p in packages)
    )
    CONSTRAINTS.write_text(constraints(packages))
    for each in packages:
        old = before.get(each.name)
        if old is None or old.version != each.version:
            print(f"lock: {each.name} {old.version if old else '-'} -> {each.version}")
    return 0


def constraints(packages: list[Locked]) -> str:
    """The text of constraints.txt: a line for each package but those of other builds of torch."""
    lines = [f"{each.name}=={each.version}\n" for each in packages if each.groups - ASIDE]
    return CONSTRAINTS_HEAD + "".join(lines)


def _project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _everything() -> list[str]:
    groups = [option for name in _project()["dependency-groups"] for option in ("--group", name)]
    return ["pyproject.toml", "--all-extras", *groups]


def _resolve(uv: str, pins: list[Locked], *what: str) -> list[Locked]:
    """What uv chooses for all supported Pythons and platforms, held to versions."""
    options = [each for each in what if each != "--hashes"]
    hashes = "--generate-hashes" if "--hashes" in what else "--no-generate-hashes"
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as held:
        held.write("".join(f"{each.name}=={each.version}\n" for each in pins))
        held.flush()
        command = [
            *(uv, "pip", "compile", "--quiet", "--universal", "--python-version", OLDEST),
            *("--no-header", "--no-annotate", "--constraint", held.name, hashes, *options),
        ]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return [each for each in parse(done.stdout) if _is_wanted(each.marker)]


def _is_wanted(marker: str) -> bool:
    """Whether a supported platform has a use for it."""
    if not marker:
        return True
    return any(
        Marker(marker).evaluate(
            {
                "sys_platform": system,
                "platform_machine": machine,
                "platform_system": system.capitalize(),
                "python_full_version": python,
                "python_version": python.rpartition(".")[0],
                "implementation_name": "cpython",
                "platform_python_implementation": "CPython",
                "os_name": "posix",
            }
        )
        for (system, machine), python in product(PLATFORMS, PYTHONS)
    )


def _with_groups(uv: str, packages: list[Locked]) -> Iterator[Locked]:
    """The packages with who needs them, and torch with the hashes of its CPU builds."""
    project = _project()
    asked = {"base": ["pyproject.toml"]}
    for extra in project["project"]["optional-dependencies"]:
        asked[extra] = ["pyproject.toml", "--extra", extra]
    for group in project["dependency-groups"]:
        asked[group] = ["--group", f"pyproject.toml:{group}"]
    needs = {
        group: {each.name for each in _resolve(uv, packages, *what)}
        for group, what in asked.items()
    }
    for each in packages:
        groups = {group for group, names in needs.items() if each.name in names}
        if "base" in groups:
            # What the project itself needs, its extras need not name; the rest stands alone.
            groups = {"base"} | groups & project["dependency-groups"].keys()
        if each.name.startswith(CUDA):
            groups = {"cuda"}
        hashes = each.hashes
        if each.name == "torch":
            groups |= {"torch"}
            hashes = tuple(sorted({*hashes, *TORCH_CPU.get(each.version, ())}))
        yield Locked(each.name, each.version, each.marker, hashes, frozenset(groups))


if __name__ == "__main__":
    sys.exit(main())
