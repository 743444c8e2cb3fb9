"""Adapters on a frozen recommender: IAK and its rivals, their bank, files and training.

Imports torch and safetensors and nothing of the rest of the project, so it can be used alone.
"""

from driftune.models.adapters.adapter import Adapter
from driftune.models.adapters.attach import AdaptedModel, AttachError, attach
from driftune.models.adapters.bank import AdapterBank
from driftune.models.adapters.choose import choose_beta, train_pooled_first
from driftune.models.adapters.examples import Examples
from driftune.models.adapters.files import (
    AdapterFileError,
    Card,
    fingerprint,
    load_adapter,
    save_adapter,
)
from driftune.models.adapters.losses import click_rows, esmm_loss, esmm_rows
from driftune.models.adapters.methods.config import KernelConfig
from driftune.models.adapters.methods.copies import CopyConfig
from driftune.models.adapters.methods.houlsby import HoulsbyConfig
from driftune.models.adapters.methods.iak.config import IAKConfig
from driftune.models.adapters.methods.iak.kernel import (
    IAKKernel,
    gaussian_kl,
    reconstruction_loss,
)
from driftune.models.adapters.methods.kernel import Adapted, Kernel, NotFiniteError
from driftune.models.adapters.methods.lora import LoRAConfig
from driftune.models.adapters.methods.method import Method, Phase, Schedule, Site
from driftune.models.adapters.methods.registry import register
from driftune.models.adapters.report import Training, TrainReport
from driftune.models.adapters.sealed import SealedBank
from driftune.models.adapters.settings import TrainConfig
from driftune.models.adapters.templates import Templates
from driftune.models.adapters.together import Choice, Chosen, choose_together
from driftune.models.adapters.training import train

__all__ = [
    "Adapted",
    "AdaptedModel",
    "Adapter",
    "AdapterBank",
    "AdapterFileError",
    "AttachError",
    "Card",
    "Choice",
    "Chosen",
    "CopyConfig",
    "Examples",
    "HoulsbyConfig",
    "IAKConfig",
    "IAKKernel",
    "Kernel",
    "KernelConfig",
    "LoRAConfig",
    "Method",
    "NotFiniteError",
    "Phase",
    "Schedule",
    "SealedBank",
    "Site",
    "Templates",
    "TrainConfig",
    "TrainReport",
    "Training",
    "attach",
    "choose_beta",
    "choose_together",
    "click_rows",
    "esmm_loss",
    "esmm_rows",
    "fingerprint",
    "gaussian_kl",
    "load_adapter",
    "reconstruction_loss",
    "register",
    "save_adapter",
    "train",
    "train_pooled_first",
]
