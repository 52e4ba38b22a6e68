"""`siammask:lite`: SiamMask's template, search crop, anchors, heads and ladder on a small backbone.

What is different from the networks of the paper:

- The template is shown the object's mask beside its picture: a track starts from a mask here, and a box does not say
  which of the things in it is meant.
- The shape is not made from one cell's correlation vector alone. Every place of the cell's window reads from the places
  of the template that look like it whether they belong to the object; the ladder corrects what was read. The backbone
  stays as ImageNet made it: this reading needs no training, and trained backbones read worse.
- There is no coarse mask, and the mask is drawn on a second, closer look at where the target was found: there the
  target fills more of the same 127 pixels.

The backbone pads its convolutions, and what it pads depends on the input's size: one more row and column than the
paper's crops have put its cells exactly where the cells of the paper's unpadded network are (see `Features`).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.engines.propagators.siammask.network import (
    ANCHORS_PER_CELL,
    REFINED_SIDE,
    CorrelationHead,
    correlate_depthwise,
    padded_window,
    windows,
)
from stages.nn.lite import Lite, channels, from_rgb

WIDTH = 128
"""Channels of the feature that is correlated."""
CLOSE_CONTEXT = 0.3
"""How much of the target's width + height is around it where its mask is drawn; where it is sought, `crops.CONTEXT`."""
_WINDOW_CELLS = 15
"""Side of a cell's window, and of a template."""
_KEY_SHARES = (0.6, 0.8)  # of strides 8 and 16; their squares add up to 1
_GROWN = 16
_SEEN = 32
_SUB_CELLS = 4
_VALUE = _SUB_CELLS**2 + _SEEN
_LADDER = (48, 24, 16)
"""Channels of the mask at strides 8, 4 and 2."""
_LEAST = 0.02


class Views(NamedTuple):
    """What the backbone says of a crop of S x S pixels; S a multiple of 32, less 1."""

    p0: Tensor
    """(N, 16, (S - 5) / 2, ...)."""
    p1: Tensor
    """(N, 24, (S - 3) / 4, ...)."""
    key: Tensor
    """(N, 152, (S - 7) / 8, ...), of unit length in every cell."""
    feature: Tensor
    """(N, 128, (S - 7) / 8, ...)."""


class LiteTemplate(NamedTuple):
    """What is known of the target."""

    cls: Tensor
    """(N, 128, 5, 5) kernels of the three branches."""
    loc: Tensor
    """(N, 128, 5, 5)."""
    mask: Tensor
    """(N, 128, 5, 5)."""
    key: Tensor
    """(N, 152, 15, 15)."""
    value: Tensor
    """(N, 48, 15, 15): the mask's 16 sub-cells, and what the picture shows."""

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.key.device


class LiteMaskState(NamedTuple):
    """What one search crop leaves behind for the masks of its cells."""

    views: Views
    template: LiteTemplate


class Cell(NamedTuple):
    """What the mask of a cell is made from."""

    seen: Tensor
    """(N, 128, 7, 7) what the cell's correlation sees of the search feature."""
    f0: Tensor
    """(N, 16, 61, 61) windows around the cell, zero outside of the crop."""
    f1: Tensor
    """(N, 24, 31, 31)."""
    f2: Tensor
    """(N, 128, 15, 15)."""
    key: Tensor
    """(N, 152, 15, 15)."""
    kernel: Tensor
    """The template's, and so the next two."""
    known_key: Tensor
    known_value: Tensor


class SiamMaskLite(nn.Module):
    """Takes and gives what `SiamMaskSharp` does, but for the template, which has a mask."""

    mask_side: int = REFINED_SIDE
    sees_mask: bool = True
    close_context: float | None = CLOSE_CONTEXT

    def __init__(self) -> None:
        super().__init__()
        self.features = Features()
        self.shape = nn.Conv2d(_SUB_CELLS**2, WIDTH, 1)
        self.cls = CorrelationHead(2 * ANCHORS_PER_CELL, WIDTH)
        self.loc = CorrelationHead(4 * ANCHORS_PER_CELL, WIDTH)
        self.mask = CorrelationHead(_GROWN * _WINDOW_CELLS**2, WIDTH)
        self.seen = nn.Conv2d(WIDTH, _SEEN, 1)
        self.reading = Reading()
        self.ladder = Ladder()

    def template(self, z: Tensor) -> LiteTemplate:
        """Describe the target.

        Args:
            z: (N, 4, 127, 127) float: BGR in 0..255, mask in 0..1.
        """
        views = self.features(z[:, :3])
        # A cell is centred on the pixel 8i + 7.
        parts = functional.pixel_unshuffle(functional.avg_pool2d(z[:, 3:, 4:-3, 4:-3], 2), _SUB_CELLS)
        centre = (views.feature + self.shape(parts))[:, :, 4:-4, 4:-4]
        cls, loc, mask = (head.conv_kernel(centre) for head in (self.cls, self.loc, self.mask))
        return LiteTemplate(cls, loc, mask, views.key, torch.cat([parts, self.seen(views.feature)], dim=1))

    def track_mask(self, template: LiteTemplate, x: Tensor) -> tuple[Tensor, Tensor, LiteMaskState]:
        """As `SiamMask.track_mask`; x: (N, 3, 255, 255) float BGR, 0..255; another multiple of 32, less 1, will do."""
        views = self.features(x)
        cls = self.cls.head(correlate_depthwise(self.cls.conv_search(views.feature), template.cls))
        loc = self.loc.head(correlate_depthwise(self.loc.conv_search(views.feature), template.loc))
        return cls, loc, LiteMaskState(views, template)

    def refine(self, state: LiteMaskState, y: int, x: int) -> Tensor:
        """The mask that belongs to cell (y, x): logits (N, 127, 127)."""
        return self.draw(cell(state, y, x))

    def draw(self, at: Cell) -> Tensor:
        """The masks of cells that may lie anywhere: logits (N, 127, 127)."""
        vector = correlate_depthwise(self.mask.conv_search(at.seen), at.kernel)
        grown = self.mask.head(vector).reshape(-1, _GROWN, _WINDOW_CELLS, _WINDOW_CELLS)
        read = self.reading(at.key, at.known_key, at.known_value)
        known = torch.cat([grown, read, at.known_value], dim=1)
        correction: Tensor = self.ladder(known, at.f0, at.f1, at.f2)
        return to_logits(read[:, : _SUB_CELLS**2]) + correction


class Features(nn.Module):
    """Backbone and adjust layer: features at the places of the paper's network.

    Of an input whose side is a multiple of 32, the convolutions with a stride pad one row and column more at the far
    side: features are centred on the pixels 2i + 1, 4i + 3, 8i + 7 and 16i + 15. In the paper's unpadded network, on
    crops whose side is less by one, they are at 2i + 3, 4i + 3 and 8i + 7.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Lite(deepest=16)
        self.near = adjust(channels(8))
        self.far = adjust(channels(16))

    def forward(self, picture: Tensor) -> Views:
        """Look at crops (N, 3, S, S) float BGR, 0..255."""
        picture = functional.pad(from_rgb(picture.flip(1)), (0, 1, 0, 1), mode="replicate")
        p0, p1, near, far = self.trunk(picture.contiguous(memory_format=torch.channels_last))
        feature = self.near(near) + between(self.far(far))
        parts = near, between(far)
        key = torch.cat([s * functional.normalize(part) for s, part in zip(_KEY_SHARES, parts, strict=True)], dim=1)
        return Views(p0[:, :, 1:-2, 1:-2], p1[:, :, :-1, :-1], key[:, :, :-1, :-1], feature[:, :, :-1, :-1])


class Reading(nn.Module):
    """Every cell of a window reads from the cells of the template that look like it, rather from near ones."""

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(14.0))
        self.nearness = nn.Parameter(torch.tensor(0.05))
        y, x = torch.meshgrid(torch.arange(_WINDOW_CELLS), torch.arange(_WINDOW_CELLS), indexing="ij")
        places = torch.stack([y, x], dim=-1).view(-1, 2).float()
        self.register_buffer("squared_distance", torch.cdist(places, places) ** 2, persistent=False)

    def forward(self, key: Tensor, known_key: Tensor, known_value: Tensor) -> Tensor:
        """Keys (N, 152, 15, 15) twice, values (N, C, 15, 15) -> (N, C, 15, 15)."""
        likeness = key.flatten(2).transpose(1, 2) @ known_key.flatten(2)
        distance = self.get_buffer("squared_distance")
        shares = torch.softmax(self.sharpness * likeness - self.nearness * distance, dim=2)
        return (known_value.flatten(2) @ shares.transpose(1, 2)).view_as(known_value)


class Ladder(nn.Module):
    """From cells to pixels: every step doubles the resolution and adds what the backbone saw there. Starts at zero."""

    def __init__(self) -> None:
        super().__init__()
        coarse, middle, fine = _LADDER
        self.h2 = nn.Sequential(normed(_GROWN + 2 * _VALUE, 64), normed(64, coarse))
        self.v2 = nn.Sequential(normed(WIDTH, 64), normed(64, coarse))
        self.post0 = nn.Sequential(normed(coarse, coarse), nn.Conv2d(coarse, middle, 1))
        self.v1 = normed(channels(4), middle)
        self.post1 = nn.Sequential(normed(middle, middle), nn.Conv2d(middle, fine, 1))
        self.v0 = normed(channels(2), fine)
        last = nn.Conv2d(fine, 1, 3, padding=1)
        self.post2 = nn.Sequential(normed(fine, fine), last)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, known: Tensor, f0: Tensor, f1: Tensor, f2: Tensor) -> Tensor:
        """What the template says (N, 112, 15, 15) and the windows of `network.windows` -> (N, 127, 127)."""
        a = self.post0(self.h2(known) + self.v2(f2))
        a = self.post1(enlarge(a, border=1) + self.v1(f1))
        a = self.post2(enlarge(a, border=0) + self.v0(f0))
        return enlarge(a, border=3).squeeze(1)


def cell(state: LiteMaskState, y: int, x: int) -> Cell:
    """Cut out what the mask of cell (y, x) needs."""
    (p0, p1, key, feature), template = state
    seen = feature[:, :, y : y + 7, x : x + 7]
    near = padded_window(key, y - 4, x - 4, _WINDOW_CELLS)
    return Cell(seen, *windows(p0, p1, feature, y, x), near, template.mask, template.key, template.value)


def to_logits(parts: Tensor) -> Tensor:
    """Sub-cells (N, 16, 15, 15) in [0, 1], as the template has them -> logits (N, 127, 127) of their mask."""
    mask = functional.interpolate(functional.pixel_shuffle(parts, _SUB_CELLS), scale_factor=2, mode="bilinear")
    return torch.logit(functional.pad(mask, (4, 3, 4, 3), mode="replicate").squeeze(1), _LEAST)


def enlarge(x: Tensor, border: int) -> Tensor:
    """Put a value between any two (N, C, n, n) and repeat the outermost: (N, C, 2n - 1 + 2 border, ...)."""
    side = 2 * x.shape[-1] - 1
    doubled = functional.interpolate(x, size=(side, side), mode="bilinear", align_corners=True)
    return functional.pad(doubled, (border,) * 4, mode="replicate")


def between(x: Tensor) -> Tensor:
    """Bring a feature with cells at 16i + 15 to cells at 8i + 7: (N, C, n, n) -> (N, C, 2n, 2n)."""
    return functional.pad(enlarge(x, border=0), (1, 0, 1, 0), mode="replicate")


def adjust(inputs: int) -> nn.Sequential:
    """To the width of the correlation, no relu."""
    return nn.Sequential(nn.Conv2d(inputs, WIDTH, 1, bias=False), nn.BatchNorm2d(WIDTH))


def normed(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 convolution, normalisation, relu."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )
