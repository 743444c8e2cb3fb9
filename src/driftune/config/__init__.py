"""params.yaml: one class a section, loaded and validated at the edge; paths of the workspace."""

from driftune.config.columns import ColumnRole
from driftune.config.root import Config

__all__ = ["ColumnRole", "Config"]
