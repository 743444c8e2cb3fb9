"""``driftune check-model``: what the configured recommender does on rows of the reference days."""

from driftune.deployment.check_model.examine import Report, check_model
from driftune.deployment.check_model.subject import Finding

__all__ = ["Finding", "Report", "check_model"]
