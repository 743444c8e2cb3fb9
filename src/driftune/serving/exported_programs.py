"""Programs beside the parts of a bundle, before its manifest is written."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from driftune.io import JsonObject
from driftune.project import Project
from driftune.serving.check import encoded_sample
from driftune.serving.generation import opened
from driftune.serving.manifest import Manifest, manifest_of
from driftune.serving.parts import Part
from driftune.serving.programs.described import Made
from driftune.serving.programs.formats import Format
from driftune.serving.programs.make import Tried, make_programs


class WithPrograms(NamedTuple):
    """What the manifest says with programs, all parts by their names, and what was made."""

    said: JsonObject
    parts: dict[str, Part]
    made: dict[str, Made]


def with_programs(
    project: Project,
    to: Path,
    said: JsonObject,
    parts: dict[str, Part],
    formats: Sequence[Format],
    before: Manifest | None,
) -> WithPrograms:
    """Add programs to what a manifest is to say and to its ``parts``, which lie in the bundle.

    They are tried on rows of the newest day up to the bundle's. A program of the bundle ``before``
    that would be the same is kept.

    Raises:
        BundleError: in one line, when the model cannot be exported.
    """
    now = opened(to, manifest_of(said))
    view = project.lake()
    newest = max(day for day in view.days if day <= now.manifest.day)
    rows = encoded_sample(project.config, project.served.encoder, view, newest, now.manifest)
    tried = Tried(now.model.inputs(rows.as_scored()), rows.domain_key.tolist())
    programs, added, made = make_programs(to, now, tried, formats, before)
    parts = parts | added
    listed: JsonObject = {name: part.as_json() for name, part in parts.items()}
    return WithPrograms({**said, "parts": listed, "programs": programs.as_json()}, parts, made)
