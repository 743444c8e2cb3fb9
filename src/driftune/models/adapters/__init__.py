"""Adapters on a frozen recommender: the IAK kernel, its bank, its files and its training.

Imports torch and safetensors and nothing of the rest of the project, so it can be used alone.
"""

from driftune.models.adapters.attach import AdaptedModel, AttachError, attach
from driftune.models.adapters.bank import AdapterBank
from driftune.models.adapters.config import IAKConfig
from driftune.models.adapters.files import (
    AdapterFileError,
    fingerprint,
    load_adapter,
    save_adapter,
)
from driftune.models.adapters.iak import Adapted, IAKKernel, gaussian_kl, reconstruction_loss
from driftune.models.adapters.training import TrainReport, esmm_loss, train_kernel

__all__ = [
    "Adapted",
    "AdaptedModel",
    "AdapterBank",
    "AdapterFileError",
    "AttachError",
    "IAKConfig",
    "IAKKernel",
    "TrainReport",
    "attach",
    "esmm_loss",
    "fingerprint",
    "gaussian_kl",
    "load_adapter",
    "reconstruction_loss",
    "save_adapter",
    "train_kernel",
]
