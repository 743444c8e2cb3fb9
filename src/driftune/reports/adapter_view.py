"""Where a decision's challenger is kept: its card, and MLflow's version of it."""

import json
from typing import TypedDict

from driftune.config import Config
from driftune.config.workspace import Workspace, shown_path
from driftune.registry.mlflow_mirror import model_name, version_page
from driftune.registry.records import Decision


class CardView(TypedDict):
    """An adapter's card as text, and where its file lies."""

    path: str
    text: str


class MlflowView(TypedDict):
    """MLflow's version of an adapter: ``href`` on a server, ``command`` for the local store."""

    version: str
    model: str
    href: str | None
    command: str | None


def card_view(config: Config, row: Decision) -> CardView | None:
    """The card of the adapter that the gate judged, as text, and where its file lies.

    None where the files are gone or are another challenger's by now.
    """
    from driftune.models.adapters.files import CARD
    from driftune.registry.champions import adapter_folder

    judged = None if row.gate is None else row.gate.challenger_sha256
    if not judged:
        return None
    folders = [Workspace(config).challengers / row.id]
    if row.adapter_version is not None:
        folders.insert(0, adapter_folder(config, row.domain_key, row.adapter_version, judged))
    for folder in folders:
        try:
            card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(card, dict) and card.get("sha256") == judged:
            text = json.dumps(card, sort_keys=True, indent=1, ensure_ascii=False)
            return {"path": shown_path(config, folder / CARD), "text": text}
    return None


def mlflow_view(config: Config, key: str, version: str | None) -> MlflowView | None:
    """MLflow's version of an adapter; None where MLflow was not told of it."""
    if version is None:
        return None
    command = None
    if config.registry.mlflow is None:
        store = shown_path(config, Workspace(config).mlflow)
        command = f"mlflow ui --backend-store-uri sqlite:///{store}"
    return {
        "version": version,
        "model": model_name(key),
        "href": version_page(config, key, version),
        "command": command,
    }
