"""Deterministic weights and pictures, as the reference's fixtures were made with: no checkpoint is needed."""

import zlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def filled_tensor(name: str, tensor: Tensor) -> Tensor:
    """The weights of one state-dict entry: a function of its full key and its shape."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros_like(tensor)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    shape = tuple(tensor.shape)
    if name.endswith("running_var"):
        values = rng.uniform(0.6, 1.4, shape)
    elif tensor.ndim <= 1 and name.endswith("weight"):
        values = rng.uniform(0.4, 0.8, shape)
    elif tensor.ndim <= 1:
        values = rng.normal(0.0, 0.1, shape)
    else:
        values = rng.normal(0.0, np.sqrt(2.0 / np.prod(shape[1:])), shape)
    return torch.from_numpy(np.asarray(values)).to(tensor.dtype)


def fill(network: nn.Module) -> nn.Module:
    """Overwrite a network's state in place; returns it in eval mode."""
    network.load_state_dict({name: filled_tensor(name, tensor) for name, tensor in network.state_dict().items()})
    return network.eval()


def picture(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """A smooth random RGB picture (H, W, 3): coarse noise, interpolated bilinearly."""
    rng = np.random.default_rng(seed)
    rows, columns = max(2, height // 32), max(2, width // 32)
    coarse = rng.uniform(0, 255, (rows, columns, 3)).astype(np.float32)
    y, x = np.linspace(0, rows - 1, height), np.linspace(0, columns - 1, width)
    top, left = np.minimum(y.astype(int), rows - 2), np.minimum(x.astype(int), columns - 2)
    down, right = (y - top)[:, None, None], (x - left)[None, :, None]
    upper = coarse[top][:, left] * (1 - right) + coarse[top][:, left + 1] * right
    lower = coarse[top + 1][:, left] * (1 - right) + coarse[top + 1][:, left + 1] * right
    return np.round(upper * (1 - down) + lower * down).astype(np.uint8)
