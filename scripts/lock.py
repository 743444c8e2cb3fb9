"""Reads requirements.lock: ``python scripts/lock.py base dev ray`` prints what these groups need.

Groups: ``base`` (the project itself), the name of an extra, ``build`` (what builds from source),
``lock`` (what makes the lock), ``serve`` (what serves a bundle, alone), ``torch``, and ``cuda``
(libraries that its CUDA builds bring).
Set-up calls it before anything is installed: only Python's own modules are used.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
# Groups of other platforms' needs, left out of constraints.txt: a build of torch brings its own
# CUDA, and what makes the lock is never installed with the project.
ASIDE = {"cuda", "lock"}


@dataclass(frozen=True)
class Locked:
    """One package of the lock, as it stands there."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    groups: frozenset[str]

    @property
    def requirement(self) -> str:
        """Its lines for pip, with the hashes of all files of the version."""
        pin = f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")
        return " \\\n    ".join([pin, *(f"--hash=sha256:{each}" for each in self.hashes)])


def normalized(name: str) -> str:
    """A package's name as indexes compare it: ``ruamel.yaml`` is ``ruamel-yaml``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse(text: str) -> list[Locked]:
    """The packages of a file of requirements with hashes; a comment names an entry's groups."""
    packages, groups = [], ""
    for entry in text.replace("\\\n", " ").splitlines():
        if entry.startswith("# for "):
            groups = entry.removeprefix("# for ")
        elif entry and not entry.startswith("#"):
            pin, *hashes = entry.split("--hash=sha256:")
            name, _, rest = pin.partition("==")
            version, _, marker = rest.partition(";")
            packages.append(
                Locked(
                    normalized(name.strip()),
                    version.strip(),
                    marker.strip(),
                    tuple(each.strip() for each in hashes),
                    frozenset(groups.split()),
                )
            )
            groups = ""
    return packages


def locked() -> list[Locked]:
    """The packages of requirements.lock."""
    return parse(LOCK.read_text(encoding="utf-8"))


def main(groups: list[str]) -> int:
    """Print the requirements of groups."""
    packages = locked()
    known = {group for each in packages for group in each.groups}
    unknown = [group for group in groups if group not in known]
    if unknown or not groups:
        print(
            f"lock: no group {', '.join(unknown) or 'named'}; requirements.lock has "
            f"{', '.join(sorted(known))}",
            file=sys.stderr,
        )
        return 1
    print("\n".join(each.requirement for each in packages if each.groups & set(groups)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
