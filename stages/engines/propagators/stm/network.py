"""STM: a frame's masks read from a memory of other frames and their masks.

S. W. Oh, J.-Y. Lee, N. Xu, S. J. Kim, "Video Object Segmentation using Space-Time Memory Networks", ICCV 2019.
Parameter names are those of the published checkpoint (`STM_weights.pth`), `Encoder_M` and its siblings included.

    frame, mask, others ─ Encoder_M ─ KV_M_r4 ─ keys, values ─┐
                                                              ├─ read ─ Decoder ─ object or not ─ aggregate
    frame ─────────────── Encoder_Q ─ KV_Q_r4 ─ key, value ───┘
                              └─ r3, r2 ────────────────────────┘

Each object has its own memory; what is common to all of them, the query frame's features, is computed once.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.nn.residual import residual_layer

STRIDE: Final = 16
"""Pixels of a memory's cell."""
KEY_CHANNELS: Final = 128
VALUE_CHANNELS: Final = 512
_WIDTH: Final = 256
"""Of the decoder."""
_LEAST: Final = 1e-7
_AFFINITY_BYTES: Final = 1 << 26
"""Of a part of the affinities; the whole matrix of a long memory may be larger than the network."""


class Memory(NamedTuple):
    """Frames with their masks."""

    key: Tensor
    """(objects, 128, frames, h, w)."""
    value: Tensor
    """(objects, 512, frames, h, w)."""


class Query(NamedTuple):
    """A frame whose masks are sought."""

    key: Tensor
    """(1, 128, h, w)."""
    value: Tensor
    """(1, 512, h, w)."""
    r3: Tensor
    """(1, 512, 2 h, 2 w)."""
    r2: Tensor
    """(1, 256, 4 h, 4 w)."""


class STM(nn.Module):
    """`stm`."""

    def __init__(self) -> None:
        super().__init__()
        self.Encoder_M = MemoryEncoder()
        self.Encoder_Q = Encoder()
        self.KV_M_r4 = KeyValue()
        self.KV_Q_r4 = KeyValue()
        self.Decoder = Decoder()

    def memorize(self, frame: Tensor, masks: Tensor, objects: int) -> tuple[Tensor, Tensor]:
        """Make a memory of a frame, as the authors call it.

        Args:
            frame: (1, 3, H, W) float32 RGB in [0, 1], of any size.
            masks: (1, K, H, W) float32 in [0, 1]; channel 0 is background, and is not looked at.
            objects: how many of the other channels hold objects.

        Returns:
            Keys (1, K, 128, 1, h, w) and values (1, K, 512, 1, h, w), h and w being H / 16 and W / 16 rounded up; zeros
            for channels without an object.
        """
        frame, masks = padded(frame), padded(masks)
        made = self.remember(frame, masks[0, 1 : objects + 1])
        count = masks.shape[1] - objects - 1
        key, value = (functional.pad(part, (0, 0) * 4 + (1, count))[None] for part in made)
        return key, value

    def segment(self, frame: Tensor, keys: Tensor, values: Tensor, objects: int) -> Tensor:
        """Find the objects on a frame, as the authors call it.

        Args:
            frame: (1, 3, H, W) float32 RGB in [0, 1], of the memory's size.
            keys: (1, K, 128, T, h, w), what `memorize` returned for T frames, side by side.
            values: (1, K, 512, T, h, w).
            objects: how many channels hold objects.

        Returns:
            Logits (1, K, H, W); a softmax over K makes probabilities of them.
        """
        memory = Memory(keys[0, 1 : objects + 1], values[0, 1 : objects + 1])
        found = self.find(self.query(padded(frame)), memory)
        return unpadded(aggregate(found, keys.shape[1]), frame.shape[-2:])

    # --- the steps of both, for sides that are multiples of 16 -------------------------------------------------------

    def remember(self, frame: Tensor, masks: Tensor) -> Memory:
        """One frame (1, 3, H, W) with the masks of its objects (objects, H, W), both in [0, 1]."""
        others = (masks.sum(dim=0, keepdim=True) - masks).clamp(0, 1)
        key, value = self.KV_M_r4(self.Encoder_M(frame, masks[:, None], others[:, None]))
        return Memory(key[:, :, None], value[:, :, None])

    def query(self, frame: Tensor) -> Query:
        """One frame (1, 3, H, W) in [0, 1]."""
        r4, r3, r2 = self.Encoder_Q(frame)
        key, value = self.KV_Q_r4(r4)
        return Query(key, value, r3, r2)

    def find(self, query: Query, memory: Memory, top_k: int | None = None) -> Tensor:
        """The objects' own probabilities (objects, H, W), each against all else.

        `top_k`: how many cells of the memory a cell reads from, those that are most alike; None: all.
        """
        found = read(memory, query.key, top_k)
        joined = torch.cat([found, query.value.expand(len(found), -1, -1, -1)], dim=1)
        logits = self.Decoder(joined, query.r3, query.r2)
        return torch.softmax(logits, dim=1)[:, 1]


# --------------------------------------------------------------------------------------------------- encoders


class Encoder(nn.Module):
    """ResNet-50 up to stride 16. Key prefix: `Encoder_Q`."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.add_stem()
        self.bn1 = nn.BatchNorm2d(64)
        self.res2 = residual_layer(64, 64, blocks=3)
        self.res3 = residual_layer(256, 128, blocks=4, stride=2)
        self.res4 = residual_layer(512, 256, blocks=6, stride=2)

    def add_stem(self) -> None:
        """The first convolutions."""
        self.conv1 = _first(3)

    def forward(self, frame: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(1, 3, H, W) in [0, 1] -> r4 (1, 1024, h, w), r3 (1, 512, 2 h, 2 w), r2 (1, 256, 4 h, 4 w)."""
        return self.stages(self.conv1(self.normalised(frame)))

    def normalised(self, frame: Tensor) -> Tensor:
        """As ImageNet's pictures are."""
        return (frame - self.mean) / self.std

    def stages(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What comes behind the first convolutions."""
        x = functional.max_pool2d(functional.relu_(self.bn1(x)), 3, stride=2, padding=1)
        r2 = self.res2(x)
        r3 = self.res3(r2)
        return self.res4(r3), r3, r2


class MemoryEncoder(Encoder):
    """The same, which sees the object's mask and those of the others, too. Key prefix: `Encoder_M`."""

    def add_stem(self) -> None:
        """Three convolutions, whose results are added."""
        self.conv1_m = _first(1)
        self.conv1_o = _first(1)
        self.conv1 = _first(3)

    def forward(self, frame: Tensor, mask: Tensor, others: Tensor) -> Tensor:  # type: ignore[override]
        """(1, 3, H, W) and twice (objects, 1, H, W), all in [0, 1] -> (objects, 1024, h, w)."""
        x = self.conv1(self.normalised(frame)) + self.conv1_m(mask) + self.conv1_o(others)
        return self.stages(x)[0]


class KeyValue(nn.Module):
    """What a cell is found by, and what it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.Key = _conv(1024, KEY_CHANNELS)
        self.Value = _conv(1024, VALUE_CHANNELS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 1024, h, w) -> (N, 128, h, w), (N, 512, h, w)."""
        return self.Key(x), self.Value(x)


# --------------------------------------------------------------------------------------------------- reading


def read(memory: Memory, key: Tensor, top_k: int | None = None) -> Tensor:
    """What a frame's cells find in the memory: softmax over its cells of key . key / sqrt(128).

    Args:
        memory: of M cells in all.
        key: (1 or objects, 128, h, w), what they look for.
        top_k: see `STM.find`.

    Returns:
        (objects, 512, h, w).
    """
    objects, _, *_, height, width = memory.value.shape
    keys, values = memory.key.flatten(2), memory.value.flatten(2)
    queries = key.expand(objects, -1, -1, -1).flatten(2)
    at_once = max(1, _AFFINITY_BYTES // (4 * objects * keys.shape[2]))
    parts = [values @ affinities(keys, part, top_k) for part in torch.split(queries, at_once, dim=2)]
    return torch.cat(parts, dim=2).view(objects, -1, height, width)


def affinities(keys: Tensor, queries: Tensor, top_k: int | None = None) -> Tensor:
    """The share of each cell of a memory (N, 128, M) in what each query (N, 128, Q) reads: (N, M, Q).

    With `top_k` the others' shares are 0 (H. K. Cheng, Y.-W. Tai, C.-K. Tang, "Modular Interactive Video Object
    Segmentation", CVPR 2021, section 3.2).
    """
    alike = keys.transpose(1, 2) @ queries / KEY_CHANNELS**0.5
    if top_k is None or top_k >= alike.shape[1]:
        return torch.softmax(alike, dim=1)
    best, cells = alike.topk(top_k, dim=1)
    return torch.zeros_like(alike).scatter_(1, cells, torch.softmax(best, dim=1))


# --------------------------------------------------------------------------------------------------- decoder


class Decoder(nn.Module):
    """From what was read to object and background, with the frame's finer features on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.convFM = _conv(2 * VALUE_CHANNELS, _WIDTH)
        self.ResMM = Residual()
        self.RF3 = Refine(512)
        self.RF2 = Refine(256)
        self.pred2 = _conv(_WIDTH, 2)

    def forward(self, r4: Tensor, r3: Tensor, r2: Tensor) -> Tensor:
        """(N, 1024, h, w), and the features of one frame or of N -> logits (N, 2, 16 h, 16 w), the object's second."""
        x = self.ResMM(self.convFM(r4))
        x = self.RF2(r2, self.RF3(r3, x))
        return _larger(self.pred2(functional.relu(x)), 4)


class Refine(nn.Module):
    """Twice the resolution: features of the frame, the same for all objects, are added."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.convFS = _conv(inputs, _WIDTH)
        self.ResFS = Residual()
        self.ResMM = Residual()

    def forward(self, features: Tensor, x: Tensor) -> Tensor:
        """(1 or N, inputs, 2 h, 2 w) and (N, 256, h, w) -> (N, 256, 2 h, 2 w)."""
        refined: Tensor = self.ResMM(self.ResFS(self.convFS(features)) + _larger(x, 2))
        return refined


class Residual(nn.Module):
    """Two convolutions behind activations, beside the identity."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _conv(_WIDTH, _WIDTH)
        self.conv2 = _conv(_WIDTH, _WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 256, h, w) -> the same shape."""
        changed: Tensor = self.conv2(functional.relu(self.conv1(functional.relu(x))))
        return changed + x


def aggregate(found: Tensor, channels: int) -> Tensor:
    """Objects that were sought one by one, side by side with the background: logits (1, channels, H, W).

    The background is where none of them is: p_0 = (1 - p_1) (1 - p_2) ...; all are odds then, ln(p / (1 - p)).

    Args:
        found: (objects, H, W) in [0, 1].
        channels: one more than objects, or more: those stay empty.
    """
    background = (1 - found).prod(dim=0, keepdim=True)
    every = torch.cat([background, found, found.new_zeros(channels - 1 - len(found), *found.shape[1:])])
    every = every.float().clamp(_LEAST, 1 - _LEAST)
    return torch.log(every / (1 - every))[None]


def padded(x: Tensor) -> Tensor:
    """(..., H, W) with zeros around it, until both sides are multiples of 16; the larger half right and below."""
    high, wide = (-side % STRIDE for side in x.shape[-2:])
    return functional.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))


def unpadded(x: Tensor, size_hw: Sequence[int]) -> Tensor:
    """What `padded` made of (..., H, W), or what has its size, without the zeros."""
    height, width = size_hw
    top, left = -height % STRIDE // 2, -width % STRIDE // 2
    return x[..., top : top + height, left : left + width]


def _first(inputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, 64, 7, stride=2, padding=3, bias=False)


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _larger(x: Tensor, factor: int) -> Tensor:
    return functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
