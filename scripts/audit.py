"""Asks the advisories of the package index about every locked version (``make audit``).

Ends with 1 when one is known to be vulnerable, and with 0 and a line "skipped" when the advisories
cannot be reached. pip-audit alone says then that nothing is known.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from lock import ASIDE, Locked, locked

# Advisories that do not concern this project, with the reason: {"GHSA-…": "…"}.
ACCEPTED: dict[str, str] = {}
# One package is asked about before all others: is there anybody to ask?
PROBE = "requests"
SECONDS = 10


def main() -> int:
    """Audit, and say what came of it."""
    packages = [each for each in locked() if each.groups - ASIDE]
    probed = audit([each for each in packages if each.name == PROBE])
    if isinstance(probed, str):
        print(f"audit: skipped: {probed}")
        return 0
    found = audit(packages)
    if isinstance(found, str):
        print(f"audit: skipped: {found}")
        return 0
    asked = [each for each in found if "skip_reason" not in each]
    bad = [each for each in asked if each["vulns"]]
    for each in bad:
        for known in each["vulns"]:
            mended = ", ".join(known["fix_versions"]) or "no version yet"
            print(f"audit: {each['name']} {each['version']}: {known['id']}, mended by {mended}")
    print(f"audit: {len(asked)} of {len(packages)} packages, {len(bad)} with known advisories")
    return 1 if bad else 0


def audit(packages: list[Locked]) -> list[dict] | str:
    """What is known of packages, or why nothing is: a line."""
    with tempfile.TemporaryDirectory() as folder:
        wanted, report = Path(folder, "wanted.txt"), Path(folder, "report.json")
        wanted.write_text("\n".join(each.requirement for each in packages))
        command = [
            *(sys.executable, "-m", "pip_audit", "--requirement", str(wanted), "--disable-pip"),
            *("--require-hashes", "--progress-spinner", "off", "--timeout", str(SECONDS)),
            *("--format", "json", "--output", str(report)),
            *(option for each in ACCEPTED for option in ("--ignore-vuln", each)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not report.exists():
            last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
            return f"the advisories cannot be reached ({last[:200]})"
        found = json.loads(report.read_text())["dependencies"]
    if all("skip_reason" in each for each in found):
        return "the index that is reached from here has no advisories"
    return found


if __name__ == "__main__":
    sys.exit(main())
