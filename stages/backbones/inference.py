"""What makes any convolutional network faster on a CPU without changing what it computes."""

import torch
from torch import nn


def for_inference(network: nn.Module) -> nn.Module:
    """Freeze a network in place, and arrange it for inference.

    Memory is laid out channels last, and 1x1 convolutions are declared dilated. A single point has no neighbours to
    spread, so that means nothing, except that PyTorch takes oneDNN for "dilated" convolutions also on one thread, which
    is twice as fast as its own way for 1x1 kernels.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
            module.dilation = (2, 2)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in PyTorch's annotations
    return network.requires_grad_(False)
