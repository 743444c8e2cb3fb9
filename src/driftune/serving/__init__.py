"""Serving: a bundle of all that scores need, and the scorer that reads it.

``Scorer`` needs torch, numpy, pyarrow and safetensors alone; what writes bundles is imported by
those who do.
"""

from driftune.errors import BundleError, RowsError
from driftune.serving.scorer import Scorer

__all__ = ["BundleError", "RowsError", "Scorer"]
