"""`fbrs:lite`: the same places for f-BRS on a small backbone, and two inputs more.

What is different from the networks of the paper: the clicks are drawn as discs, and the object's previous mask is an
input (with both, later work needs fewer clicks: K. Sofiiuk et al., "Reviving Iterative Training with Mask Guidance",
ICIP 2022); so are the previous masks of the other objects, so that those of a frame are decided together. All of them
enter behind the backbone's first stages, and the logits come at stride 2.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.engines.segmenters.fbrs.network import ClickNetwork, Features, Insertion
from stages.engines.segmenters.fbrs.predictor import MEAN, STD
from stages.nn.lite import Lite, channels, from_rgb, separable, upsample

DISC_RADIUS_PX = 4
"""Of a click, as the network sees it."""
MAPS = 4
"""Positive clicks, negative clicks, what the object was before, what the other objects were before; each in [0, 1]."""
_MAPS_OF_CLICKS = 2
_FIRST_OF_THE_MAPS = "encoder.maps_stem.0.weight"
_WIDTHS = {32: 128, 16: 96, 8: 64, 4: 32, 2: 24}
"""Channels of the decoder by stride."""


class LiteClicks(ClickNetwork):
    """Encoder, a look at the whole, and a decoder that goes up by adding."""

    reach = {"A": None, "B": None, "C": 1}  # noqa: RUF012 - the base class says that it is a constant

    def __init__(self) -> None:
        nn.Module.__init__(self)  # clicks are not mixed into the picture here
        self.encoder = Lite(maps=MAPS)
        self.squeeze = separable(channels(32), _WIDTHS[32])
        self.whole = nn.Sequential(nn.Conv2d(_WIDTHS[32], _WIDTHS[32], 1), nn.ReLU(inplace=True))
        self.around = separable(_WIDTHS[32], _WIDTHS[32], dilation=2)
        self.lateral = nn.ModuleDict({str(s): nn.Conv2d(channels(s), _wider(s), 1) for s in (16, 8, 4, 2)})
        self.merge = nn.ModuleDict({str(s): separable(_wider(s), _WIDTHS[s]) for s in (16, 8, 4, 2)})
        self.head = nn.Sequential(nn.Conv2d(_WIDTHS[2], 16, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(16, 1, 1))
        for name, value in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(value).view(3, 1, 1), persistent=False)

    def features(self, image: Tensor, points: Tensor, at: Insertion) -> Features:
        """See `ClickNetwork`."""
        height, width = image.shape[-2:]
        rgb = 255 * (image * self.get_buffer("std") + self.get_buffer("mean"))
        return self.run_to(from_rgb(rgb), disc_maps(points, (height, width)), at)

    def run_to(self, picture: Tensor, maps: Tensor, at: Insertion) -> Features:
        """`features` with pictures as the encoder wants them, and maps (N, 2..4, H, W) in [0, 1], see `MAPS`."""
        return self.run_from(self.encoder.early(picture), maps, at)

    def run_from(self, early: tuple[Tensor, Tensor], maps: Tensor, at: Insertion) -> Features:
        """`run_to` from the first stages on, which are the same for all objects of a picture (`Lite.early`).

        Maps that are not there are zero: nothing was before.
        """
        if maps.shape[1] < MAPS:
            maps = functional.pad(maps, (0, 0, 0, 0, 0, MAPS - maps.shape[1]))
        *fine, deep = self.encoder.late(early, maps)
        if at == "A":
            return (deep, *fine)
        context = self._context(deep)
        if at == "B":
            return (context, *fine)
        return (self._decode(context, fine),)

    def logits_from(self, early: tuple[Tensor, Tensor], maps: Tensor) -> Tensor:
        """The whole network from the first stages on: (N, H, W) logits for maps (N, 2..4, H, W)."""
        low = self.low_logits(self.run_from(early, maps, "C"), "C")
        return upsample(low, maps.shape[-2:])[:, 0]

    @property
    def heeds_masks(self) -> bool:
        """Whether its weights make anything of what objects were before; those that were `adapted` do not."""
        first = self.get_parameter(_FIRST_OF_THE_MAPS)
        return bool(first[:, _MAPS_OF_CLICKS:].any())

    @staticmethod
    def adapted(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights of a network that knew clicks only, for one that takes masks, too, and does not heed them."""
        first = state.get(_FIRST_OF_THE_MAPS)
        if first is None or first.shape[1] >= MAPS:
            return dict(state)
        return {**state, _FIRST_OF_THE_MAPS: functional.pad(first, (0, 0, 0, 0, 0, MAPS - first.shape[1]))}

    def low_logits(self, features: Features, at: Insertion) -> Tensor:
        """See `ClickNetwork`; here at stride 2."""
        x, *fine = features
        if at == "A":
            x = self._context(x)
        if at != "C":
            x = self._decode(x, fine)
        logits: Tensor = self.head(x)
        return logits

    def _context(self, deep: Tensor) -> Tensor:
        x: Tensor = self.squeeze(deep)
        x = x + self.whole(x.mean(dim=(2, 3), keepdim=True))
        return x + self.around(x)

    def _decode(self, x: Tensor, fine: Sequence[Tensor]) -> Tensor:
        for stride, tap in zip((16, 8, 4, 2), reversed(fine), strict=True):
            grown = upsample(x, tap.shape[-2:])
            x = self.merge[str(stride)](functional.relu(grown + self.lateral[str(stride)](tap)))
        return x


def disc_maps(points: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Draw clicks as discs.

    Args:
        points: (N, 2K, 2) float32, (row, column) in pixels; the first K rows are positive clicks, the rest negative.
            A click outside of the picture is not drawn; padding has negative coordinates.
        size_hw: height and width of the maps.

    Returns:
        (N, 2, H, W) float32: positive and negative clicks; 1 within `DISC_RADIUS_PX` of one, else 0.
    """
    height, width = size_hw
    clicks = points.view(len(points), 2, -1, 2).round().long()
    rows, columns = clicks.unbind(-1)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    centres = points.new_zeros((len(points), 2, height, width))
    sample, sign, index = inside.nonzero(as_tuple=True)
    centres[sample, sign, rows[sample, sign, index], columns[sample, sign, index]] = 1
    offset = torch.arange(-DISC_RADIUS_PX, DISC_RADIUS_PX + 1, device=points.device)
    disc = (offset[:, None] ** 2 + offset**2 <= DISC_RADIUS_PX**2).to(centres.dtype)
    drawn = functional.conv2d(centres.flatten(0, 1).unsqueeze(1), disc[None, None], padding=DISC_RADIUS_PX)
    return drawn.clamp(max=1).view_as(centres)


def _wider(stride: int) -> int:
    """Channels in which a level of the decoder is added: those of the level below it."""
    return _WIDTHS[2 * stride]
