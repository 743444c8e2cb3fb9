"""Serving: a bundle of all that scores need, and the scorer that reads it.

``Scorer`` needs torch, numpy, pyarrow and safetensors alone; what writes bundles is imported by
those who do.
"""

from typing import TYPE_CHECKING

from driftune.errors import BundleError, RowsError

if TYPE_CHECKING:
    from driftune.serving.follow import Follower
    from driftune.serving.scorer import Scorer

__all__ = ["BundleError", "Follower", "RowsError", "Scorer"]


def __getattr__(name: str) -> "type[Follower] | type[Scorer]":
    """Import what needs torch when it is asked for: those who read manifests alone go without."""
    if name == "Follower":
        from driftune.serving.follow import Follower

        return Follower
    if name == "Scorer":
        from driftune.serving.scorer import Scorer

        return Scorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
