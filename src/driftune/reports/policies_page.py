"""The page of the last comparison of policies: AUC gained against fine-tunes spent."""

from typing import Any

from driftune.config import Config
from driftune.files import read_json
from driftune.reports.figures import points_spec
from driftune.workspace import Workspace

METRICS = {"ctr_auc": "CTR-AUC", "ctcvr_auc": "CTCVR-AUC"}


def policies_view(config: Config) -> dict[str, Any] | None:
    """The page as plain values; None when policies were never compared."""
    path = Workspace(config).policies
    if not path.exists():
        return None
    found = read_json(path)
    metric = METRICS[found["metric"]]
    return {
        "root": "",
        **found,
        "metric": metric,
        "chart": points_spec(
            "fine-tunes",
            f"{metric} gained",
            [
                {"name": row["policy"], "x": row["finetunes"], **row["gain"]}
                for row in found["policies"]
            ],
        ),
    }
