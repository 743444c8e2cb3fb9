"""The information-aware adaptive kernel (Jiang et al., WWW 2025 companion, arXiv 2501.14268)."""

from driftune.models.adapters.methods.iak import method as method
