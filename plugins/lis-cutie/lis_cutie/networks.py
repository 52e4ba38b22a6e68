"""Cutie's networks, made without a file and without the network."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from cutie.model.cutie import CUTIE
from cutie.model.utils import resnet
from omegaconf import DictConfig, OmegaConf
from torch import Tensor


def base() -> CUTIE:
    """`cutie_base`: on a ResNet-50."""
    return _built({})


def small() -> CUTIE:
    """`cutie_small`: on a ResNet-18."""
    return _built(_settings("model/small.yaml"))


def fitting(state: Mapping[str, Tensor] | None = None) -> CUTIE:
    """The one whose entries these are: a ResNet-50 has three convolutions in a block, a ResNet-18 two."""
    is_base = state is None or "pixel_encoder.res2.0.conv3.weight" in state
    return base() if is_base else small()


def _built(changes: DictConfig | dict[str, object]) -> CUTIE:
    model = OmegaConf.merge(_settings("model/base.yaml"), changes)
    settings = OmegaConf.merge(
        _settings("eval_config.yaml"), {"model": model, "use_long_term": False}, {"mem_every": 5}
    )
    with TemporaryDirectory() as folder:
        _keep_from_downloading(Path(folder))
        network = CUTIE(OmegaConf.merge(settings, {"model": {"resnet_model_path": folder}})).eval()
    network.cfg = settings
    del network.aux_computer  # it serves training alone, and not every file has it
    return network


def _keep_from_downloading(folder: Path) -> None:
    """Cutie begins with ResNets of ImageNet, and looks for their files here: these hold zeros, soon overwritten."""
    for name, make in (("resnet18", resnet.resnet18), ("resnet50", resnet.resnet50)):
        shapes = make(pretrained=False).state_dict()
        zeros = {key: torch.zeros((), dtype=value.dtype).expand(value.shape) for key, value in shapes.items()}
        torch.save(zeros, folder / Path(resnet.model_urls[name]).name)


def _settings(file: str) -> DictConfig:
    """As the package comes with them."""
    settings = OmegaConf.create(files("cutie.config").joinpath(file).read_text())
    assert isinstance(settings, DictConfig)
    return settings
