"""The networks of f-BRS without a file: float32, unfused, with the published checkpoints' key names."""

from stages.engines.segmenters.fbrs.deeplab import DeepLab
from stages.engines.segmenters.fbrs.hrnet import HRNet
from stages.nn.residual import BasicBlock, Bottleneck

_RESNET50_DEPTHS = (3, 4, 6, 3)  # ResNet-34 has as many, of simpler blocks
_RESNET101_DEPTHS = (3, 4, 23, 3)


def resnet34_dh128() -> DeepLab:
    """DeepLabV3+ on ResNet-34."""
    return DeepLab(BasicBlock, _RESNET50_DEPTHS, channels=128)


def resnet50_dh128() -> DeepLab:
    """DeepLabV3+ on ResNet-50."""
    return DeepLab(Bottleneck, _RESNET50_DEPTHS, channels=128)


def resnet101_dh256() -> DeepLab:
    """DeepLabV3+ on ResNet-101."""
    return DeepLab(Bottleneck, _RESNET101_DEPTHS, channels=256)


def hrnet18s_ocr48() -> HRNet:
    """HRNet-18 with fewer blocks, and object context."""
    return HRNet(width=18, ocr_width=48, small=True)


def hrnet18_ocr64() -> HRNet:
    """HRNet-18 and object context."""
    return HRNet(width=18, ocr_width=64)


def hrnet32_ocr128() -> HRNet:
    """HRNet-32 and object context."""
    return HRNet(width=32, ocr_width=128)
