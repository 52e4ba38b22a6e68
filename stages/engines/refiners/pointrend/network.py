"""PointRend's network for masks of things, as far as masks of given boxes need it: backbone, pyramid and mask head.

T.-Y. Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017, on a ResNet-50 whose blocks carry the
stride in their first convolution. Parameter names are detectron2's. What proposes boxes and classes is left out.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.engines.refiners.pointrend.heads import FEATURES, MaskHead
from stages.nn.normed import FrozenNorm, NormedConv2d

CLASSES = 80
"""Of COCO."""
MEAN_BGR = (103.53, 116.28, 123.675)
_STRIDE = 32
_OF_FORMER_VERSIONS = {
    "roi_heads.mask_coarse_head.": "roi_heads.mask_head.coarse_head.",
    "roi_heads.mask_point_head.": "roi_heads.mask_head.point_head.",
    ".coarse_mask_fc": ".fc",
}


class PointRend(nn.Module):
    """`pointrend_coco_r50`."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Pyramid()
        self.roi_heads = nn.ModuleDict({"mask_head": MaskHead(CLASSES)})

    @property
    def mask_head(self) -> MaskHead:
        """Masks of boxes."""
        head = self.roi_heads["mask_head"]
        assert isinstance(head, MaskHead)
        return head

    def p2(self, picture: Tensor) -> Tensor:
        """The finest map of the pyramid.

        Args:
            picture: (1, 3, H, W) float32 BGR in [0, 255], of any size.

        Returns:
            (1, 256, h, w) at stride 4 of the picture padded, at the right and the bottom, to multiples of 32.
        """
        normalised = picture - torch.tensor(MEAN_BGR, device=picture.device).view(1, 3, 1, 1)
        bottom, right = (-side % _STRIDE for side in picture.shape[-2:])
        finest: Tensor = self.backbone(functional.pad(normalised, (0, right, 0, bottom)))["p2"]
        return finest

    def adapted(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state dict of former versions of detectron2, whose heads had other names, as one of today's."""
        renamed = {}
        for name, value in state.items():
            for former, today in _OF_FORMER_VERSIONS.items():
                name = name.replace(former, today)  # noqa: PLW2901 - one after the other
            renamed[name] = value
        return renamed


class Pyramid(nn.Module):
    """`p2` to `p5`, 256 channels at strides 4 to 32. Key prefix: `backbone`."""

    def __init__(self) -> None:
        super().__init__()
        self.bottom_up = ResNet50()
        for level, channels in enumerate((256, 512, 1024, 2048), start=2):
            setattr(self, f"fpn_lateral{level}", nn.Conv2d(channels, FEATURES, 1))
            setattr(self, f"fpn_output{level}", nn.Conv2d(FEATURES, FEATURES, 3, padding=1))

    def forward(self, picture: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W), sides multiples of 32 -> maps by name."""
        joined: Tensor | None = None
        found = {}
        for level, features in reversed(list(enumerate(self.bottom_up(picture), start=2))):
            lateral = getattr(self, f"fpn_lateral{level}")(features)
            joined = lateral if joined is None else lateral + functional.interpolate(joined, scale_factor=2.0)
            found[f"p{level}"] = getattr(self, f"fpn_output{level}")(joined)
        return found


class ResNet50(nn.Module):
    """Key prefix: `backbone.bottom_up`."""

    def __init__(self) -> None:
        super().__init__()
        first = NormedConv2d(3, 64, 7, stride=2, padding=3, norm=FrozenNorm(64), rectified=True)
        self.stem = nn.ModuleDict({"conv1": first})
        self.res2 = _stage(64, 64, blocks=3, stride=1)
        self.res3 = _stage(256, 128, blocks=4, stride=2)
        self.res4 = _stage(512, 256, blocks=6, stride=2)
        self.res5 = _stage(1024, 512, blocks=3, stride=2)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> 256, 512, 1024 and 2048 channels at strides 4, 8, 16 and 32."""
        x = functional.max_pool2d(self.stem["conv1"](picture), 3, stride=2, padding=1)
        found = []
        for stage in (self.res2, self.res3, self.res4, self.res5):
            x = stage(x)
            found.append(x)
        return found


class Block(nn.Module):
    """A bottleneck whose first convolution carries the stride."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.shortcut = (
            NormedConv2d(inputs, outputs, 1, stride=stride, norm=FrozenNorm(outputs)) if inputs != outputs else None
        )
        self.conv1 = NormedConv2d(inputs, width, 1, stride=stride, norm=FrozenNorm(width), rectified=True)
        self.conv2 = NormedConv2d(width, width, 3, padding=1, norm=FrozenNorm(width), rectified=True)
        self.conv3 = NormedConv2d(width, outputs, 1, norm=FrozenNorm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, 4 width, H / stride, W / stride)."""
        passed = x if self.shortcut is None else self.shortcut(x)
        return functional.relu_(self.conv3(self.conv2(self.conv1(x))) + passed)


def _stage(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    return nn.Sequential(Block(inputs, width, stride), *(Block(4 * width, width, 1) for _ in range(1, blocks)))
