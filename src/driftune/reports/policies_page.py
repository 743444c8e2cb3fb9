"""The page of the last comparison of policies: AUC gained, by fine-tunes spent."""

from typing import Any

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.io import read_json
from driftune.reports.figures import intervals_spec

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
        # Points of gain against fine-tunes would lie on one another: many policies spend alike.
        "chart": intervals_spec(
            [
                {
                    "label": f"{row['policy']}: {row['finetunes']:,}",
                    "estimate": row["gain"]["value"],
                    "low": row["gain"]["low"],
                    "high": row["gain"]["high"],
                }
                for row in sorted(found["policies"], key=lambda row: row["finetunes"])
            ]
        ),
    }
