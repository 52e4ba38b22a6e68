"""What every f-BRS network has in common: two inputs, one output, and the places where f-BRS reaches in.

K. Sofiiuk, I. Petrov, O. Barinova, A. Konushin, "f-BRS: Rethinking Backpropagating Refinement for Interactive
Segmentation", CVPR 2020. Reference: github.com/saic-vul/fbrs_interactive_segmentation (MPL 2.0).
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.engines.segmenters.fbrs.maps import distance_maps

Insertion = Literal["A", "B", "C"]
"""Where f-BRS scales and shifts the channels: A behind the backbone, B before the decoder, C before the last head."""
Features = tuple[Tensor, ...]
"""A network's state at an insertion point: first the tensor that f-BRS scales, then what passes by unchanged."""


def resize(x: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Resize (N, C, h, w) bilinearly with aligned corners, the only way this method ever resizes."""
    return functional.interpolate(x, size=size_hw, mode="bilinear", align_corners=True)


class ClickNetwork(nn.Module):
    """A network that segments what the clicks point at, cut at its insertion points.

    `forward` is `low_logits` behind `features`, resized to the picture; f-BRS calls the two halves itself, so that
    the first runs once per click and only the second is optimised.
    """

    reach: Mapping[Insertion, int | None]
    """How far a logit looks, in low-resolution pixels, from the insertion point on; None = over the whole picture."""

    def __init__(self) -> None:
        super().__init__()
        self.rgb_conv = nn.Sequential(  # the activation comes before the normalisation
            nn.Conv2d(5, 8, 1),
            nn.LeakyReLU(0.2),
            nn.BatchNorm2d(8),
            nn.Conv2d(8, 3, 1),
        )

    def forward(self, image: Tensor, points: Tensor) -> Tensor:
        """Segment one object.

        Args:
            image: (N, 3, H, W) float32 RGB, normalised by `predictor.normalise`; any size.
            points: (N, 2K, 2) float32, (row, column), as `clicks.points_tensor` gives them.

        Returns:
            (N, 1, H, W) float32 logits.
        """
        height, width = image.shape[-2:]
        return resize(self.low_logits(self.features(image, points, "C"), "C"), (height, width))

    def mix_clicks(self, image: Tensor, points: Tensor) -> Tensor:
        """Mix picture (N, 3, H, W) and clicks (N, 2K, 2) into the three channels that a backbone expects."""
        height, width = image.shape[-2:]
        mixed: Tensor = self.rgb_conv(torch.cat([image, distance_maps(points, (height, width))], dim=1))
        return mixed

    def features(self, image: Tensor, points: Tensor, at: Insertion) -> Features:
        """Run the network up to an insertion point; arguments as for `forward`."""
        raise NotImplementedError

    def low_logits(self, features: Features, at: Insertion) -> Tensor:
        """Run the rest of the network: (N, 1, h, w) float32 logits at stride 4."""
        raise NotImplementedError
