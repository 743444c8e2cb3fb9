"""The device and the precision that ``params.yaml`` chooses for the models of a run."""

import os

import torch

from driftune.config import Config
from driftune.errors import ConfigError, DeviceFullError
from driftune.models.adapters.devices import HOST, DeviceMemoryError, needing, say_once
from driftune.models.recommender import Recommender


def device_for(config: Config) -> torch.device:
    """The device of ``adapter.device``, as this process sees them now.

    ``auto`` is the first CUDA device, and the CPU without any: never MPS, which knows no float64
    and on which nothing was measured; name it to use it. Which devices there are, and which is
    the first, is up to CUDA_VISIBLE_DEVICES, which Ray sets for its workers.

    Raises:
        ConfigError: when there is no such device, or it cannot compute in ``adapter.precision``.
    """
    wanted = config.adapter.device
    if wanted == "auto":
        device = torch.device("cuda", 0) if _cuda_devices() else _fallen_back()
    elif wanted.startswith("cuda"):
        device = _cuda(config, wanted)
    elif wanted == "mps" and not torch.backends.mps.is_available():
        raise _refusal(config, "device", "PyTorch finds no MPS here; set auto or cpu")
    else:
        device = torch.device(wanted)
    if config.adapter.precision == "bf16" and not _knows_bf16(device):
        raise _refusal(config, "precision", f"{name_of(device)} computes no bf16; set fp32")
    return device


def serving(config: Config, model: Recommender) -> Recommender:
    """The frozen model on its device, in the precision that it scores in, for the log's labels.

    Raises:
        ConfigError: see ``device_for``.
        DeviceFullError: when the device's memory does not suffice for the model.
    """
    device = device_for(config)
    try:
        with needing(device, "the backbone"):
            model.to(device)
    except DeviceMemoryError as error:
        raise DeviceFullError(str(error)) from None
    model.precision = config.adapter.precision
    model.converts = config.columns.convert is not None
    return model


def name_of(device: torch.device) -> str:
    """What a device is called, for people: ``cuda:0 (NVIDIA H100)``."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)


def _cuda_devices() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _cuda(config: Config, wanted: str) -> torch.device:
    there, number = _cuda_devices(), torch.device(wanted).index or 0
    if number < there:
        return torch.device("cuda", number)
    if not there:
        raise _refusal(config, "device", f"there is no CUDA device ({_why()}); set auto or cpu")
    names = ", ".join(f"cuda:{each}" for each in range(there))
    are = "is 1 CUDA device" if there == 1 else f"are {there} CUDA devices"
    raise _refusal(config, "device", f"there {are} ({names}); name one of them, or set auto")


def _fallen_back() -> torch.device:
    """The CPU; said where a GPU could be expected: PyTorch is built for CUDA and finds none."""
    if torch.version.cuda is not None:
        say_once(f"adapter.device = auto: computing on the CPU, there is no CUDA device ({_why()})")
    return HOST


def _why() -> str:
    if torch.version.cuda is None:
        return "this PyTorch is built without CUDA"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return f"CUDA_VISIBLE_DEVICES='{visible}'; Ray sets it by runner.needs.gpus"
    return "nvidia-smi lists those that the driver knows"


def _knows_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "mps":
        return torch.backends.mps.is_macos_or_newer(14, 0)
    return True


def _refusal(config: Config, key: str, reason: str) -> ConfigError:
    value = getattr(config.adapter, key)
    return ConfigError(f"{config.source_file}: adapter.{key} = '{value}': {reason}")
