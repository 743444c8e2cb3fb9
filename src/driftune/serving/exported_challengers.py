"""The challengers that wait for the gate, as parts of a bundle, to be scored beside champions."""

from pathlib import Path

from driftune.models.adapters import AdapterFileError, load_adapter
from driftune.project import Project
from driftune.registry.records import Decision
from driftune.registry.waiting import challengers
from driftune.serving.manifest import Challenger
from driftune.serving.parts import Part, put


def waiting_challengers(
    project: Project, to: Path
) -> tuple[dict[str, Challenger], dict[str, Part]]:
    """The newest waiting challenger of each domain, by key, and the parts that they are.

    One whose files are damaged, of another backbone, or not those that were judged, has none.
    """
    # In order of days: the newest one stays.
    newest = {row.domain_key: row for row in challengers(project.ledger)}
    found: dict[str, Challenger] = {}
    parts: dict[str, Part] = {}
    for key, row in sorted(newest.items()):
        folder, part = project.workspace.challenger(row.id), None
        problem = _problem(project, row, folder)
        if problem is None:
            part = f"challenger {key}"
            files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
            parts[part] = put(to, files)
        found[key] = Challenger(row.id, row.day, row.champion_version, part, problem)
    return found, parts


def _problem(project: Project, row: Decision, folder: Path) -> str | None:
    """Why a challenger cannot be scored, the same in every workspace."""
    judged = None if row.gate is None else row.gate.challenger_sha256
    try:
        _, card = load_adapter(folder, backbone=project.served.backbone)
    except AdapterFileError as error:
        return str(error).replace(f"{folder.parent}/", "")
    if judged is not None and judged != card.sha256:
        return "its files are not those that the gate judged"
    return None
