"""f-BRS: interactive segmentation whose clicks are enforced by optimising a few numbers inside the network."""

from collections.abc import Callable

from torch import nn

from stages.backbones.residual import BasicBlock, Bottleneck
from stages.segmenters.fbrs.deeplab import DeepLab
from stages.segmenters.fbrs.hrnet import HRNet
from stages.segmenters.fbrs.lite import LiteClicks

RESNET50_DEPTHS = (3, 4, 6, 3)  # ResNet-34 has as many, of simpler blocks
RESNET101_DEPTHS = (3, 4, 23, 3)


def _ready(network: nn.Module) -> nn.Module:
    """Nothing here is ever trained: fixed statistics, no gradients of weights."""
    return network.eval().requires_grad_(False)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet34_dh128": lambda: _ready(DeepLab(BasicBlock, RESNET50_DEPTHS, channels=128)),
    "resnet50_dh128": lambda: _ready(DeepLab(Bottleneck, RESNET50_DEPTHS, channels=128)),
    "resnet101_dh256": lambda: _ready(DeepLab(Bottleneck, RESNET101_DEPTHS, channels=256)),
    "hrnet18s_ocr48": lambda: _ready(HRNet(width=18, ocr_width=48, small=True)),
    "hrnet18_ocr64": lambda: _ready(HRNet(width=18, ocr_width=64)),
    "hrnet32_ocr128": lambda: _ready(HRNet(width=32, ocr_width=128)),
    "lite": lambda: _ready(LiteClicks()),
}
"""Each builds its network without a file: float32, unfused, eval mode, the published checkpoint's key names."""
