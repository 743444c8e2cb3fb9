"""Writes docs/reference/licences.md: the licence of every locked package, for ``make lock``."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from lock import LOCK, ROOT, Locked, locked, normalized

PAGE = ROOT / "docs/reference/licences.md"
# Licences that ask for no more than their own text and names to be kept.
PERMISSIVE = re.compile(
    r"(the )?(mit|mit license|mit-0|mit-cmu|0bsd|(new )?bsd([ -][23][ -]clause)?( license)?"
    r"|(3|2)-clause bsd( license)?|modified bsd( license)?|bsd license"
    r"|apache[ -]?2\.0( license| with llvm-exception)?|dfsg approved"
    r"|apache( software)?( license)?,?( version)? ?2?(\.0)?"
    r"|isc|isc license( iscl)?|psf-2\.0|psfl|python software foundation license|cc0-1\.0"
    r"|unlicense|the unlicense unlicense|zlib|hpnd|bsl-1\.0|cnri-python|tcl|zpl-2\.1"
    r"|zope public license|public domain)",
    re.IGNORECASE,
)
UNCHANGED = "called as it is, in a file of its own; nothing of it is changed or copied"
NVIDIA = "comes with CUDA builds of torch alone, under NVIDIA's terms; builds for the CPU have none"
# Packages whose licence is not known as permissive, and why they may be used all the same.
ACCEPTED = {
    "asyncssh": f"EPL 2.0 may be chosen; DVC's git over SSH; {UNCHANGED}",
    "certifi": f"MPL 2.0; {UNCHANGED}",
    "fqdn": f"MPL 2.0; for development, with cyclonedx-bom; {UNCHANGED}",
    "grandalf": f"EPL 1.0 may be chosen; DVC draws graphs with it; {UNCHANGED}",
    "huey": f"MIT by its file LICENSE; comes with MLflow; {UNCHANGED}",
    "hypothesis": f"MPL 2.0; for tests; {UNCHANGED}",
    "orjson": f"MPL 2.0; {UNCHANGED}",
    "pathspec": f"MPL 2.0; {UNCHANGED}",
    "psycopg": f"LGPL 3; for ledgers on PostgreSQL; {UNCHANGED}",
    "psycopg-binary": f"LGPL 3; for ledgers on PostgreSQL; {UNCHANGED}",
    "pygit2": f"GPL 2 whose exception lets any program link to it; {UNCHANGED}",
    "shtab": f"MPL 2.0 by its metadata; {UNCHANGED}",
    "skops": f"MIT by its file LICENSE; comes with MLflow; {UNCHANGED}",
    "text-unidecode": f"the Artistic License may be chosen; {UNCHANGED}",
    "tqdm": f"MPL 2.0 and MIT; {UNCHANGED}",
}
HEAD = """\
# Licences

Made by `make lock` from what the packages say of themselves: every package of \
`requirements.lock`, for all extras and platforms. The last column names who needs it: \
`base` is the project itself, `docs` and `dev` are never needed to run it, `cuda` comes with \
CUDA builds of torch. `make sbom` lists what is installed, with its licences, as CycloneDX \
(`dist/sbom.json`).

## Not permissive

A licence that asks for more than its own text to be kept, or that a package does not state \
clearly, stands here with the reason why the package is used. A test fails for one without a \
reason (`ACCEPTED` in `scripts/licences.py`).

"""


def main() -> int:
    """Write the page, or say which licences need a decision."""
    packages = locked()
    stated = {normalized(each["name"]): stated_licence(each) for each in _metadata(packages)}
    missing = [each.name for each in packages if each.name not in stated]
    undecided = {
        name: said
        for name, said in stated.items()
        if not is_permissive(said) and reason(name) is None
    }
    for name, said in undecided.items():
        print(f"licences: {name}: {said or 'none stated'}: no reason in ACCEPTED", file=sys.stderr)
    if missing:
        print(f"licences: nothing known of {', '.join(missing)}", file=sys.stderr)
    if missing or undecided:
        return 1
    PAGE.write_text(page(packages, stated), encoding="utf-8")
    return 0


def page(packages: list[Locked], stated: Mapping[str, str]) -> str:
    """The page's text."""
    special = [
        (each.name, stated[each.name] or "none stated", reason(each.name))
        for each in packages
        if not is_permissive(stated[each.name])
    ]
    every = [
        (each.name, each.version, stated[each.name], ", ".join(sorted(each.groups)))
        for each in packages
    ]
    return (
        HEAD
        + _table(("package", "licence", "why it is used"), special)
        + "\n## All packages\n\n"
        + _table(("package", "version", "licence", "needed by"), every)
    )


def stated_licence(metadata: Mapping) -> str:
    """What core metadata (as JSON) says: an expression, classifiers, or a text's first line."""
    if said := metadata.get("license_expression"):
        return said
    classified = [
        each.rpartition(" :: ")[2]
        for each in metadata.get("classifier", [])
        if each.startswith("License :: ") and each != "License :: OSI Approved"
    ]
    if classified:
        return " AND ".join(classified)
    lines = (metadata.get("license") or "").strip().splitlines()
    return lines[0].strip()[:80] if lines else ""


def is_permissive(said: str) -> bool:
    """Whether every part of a licence is permissive; of alternatives one is enough."""
    parts = re.sub("[()]", "", said).split(" AND ")
    return all(
        any(PERMISSIVE.fullmatch(choice.strip()) for choice in part.split(" OR ")) for part in parts
    )


def reason(name: str) -> str | None:
    """Why a package whose licence is not permissive may be used."""
    if name.startswith(("nvidia-", "cuda-")):
        return NVIDIA
    return ACCEPTED.get(name)


def _table(head: tuple[str, ...], rows: Iterable[tuple]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    cells = ([str(cell).replace("|", "/") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _metadata(packages: list[Locked]) -> list[dict]:
    """The packages' metadata from the index; nothing is installed."""
    with tempfile.TemporaryDirectory() as folder:
        wanted, report = Path(folder, "wanted.txt"), Path(folder, "report.json")
        wanted.write_text("".join(f"{each.name}=={each.version}\n" for each in packages))
        command = [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps"),
            *("--ignore-installed", "--report", str(report), "--requirement", str(wanted)),
        ]
        subprocess.run(command, check=True)
        return [each["metadata"] for each in json.loads(report.read_text())["install"]]


if __name__ == "__main__":
    if not LOCK.exists():
        sys.exit("licences: no requirements.lock")
    sys.exit(main())
