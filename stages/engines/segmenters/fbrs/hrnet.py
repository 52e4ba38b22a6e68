"""f-BRS on HRNetV2 with object-contextual representations (OCR).

    picture + clicks ─ rgb_conv ─ stem ─ layer1 ─ stage2 ─ stage3 ─ stage4 ─[A, B]─ OCR ─[C]─ cls_head
    branches                                  1        2        3        4  (strides 4, 8, 16, 32; all joined at 4)

J. Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition", TPAMI 2020; Y. Yuan, X. Chen,
J. Wang, "Object-Contextual Representations for Semantic Segmentation", ECCV 2020. Parameter names are those of the
published checkpoints (`hrnet18_ocr64_sbd.pth` and its siblings).
"""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.engines.segmenters.fbrs.network import ClickNetwork, Features, Insertion, resize
from stages.nn.residual import BasicBlock, residual_layer


class HRNet(ClickNetwork):
    """The whole network."""

    reach = {"A": None, "B": None, "C": 0}  # noqa: RUF012 - read-only; OCR's context is the whole picture

    def __init__(self, width: int, ocr_width: int, small: bool = False) -> None:
        """Build it.

        Args:
            width: channels of the finest branch (18, 32); branch i has width * 2**i.
            ocr_width: half the channels behind OCR.
            small: half the blocks, and fewer modules a stage ("s" in the name).
        """
        super().__init__()
        self.feature_extractor = FeatureExtractor(width, ocr_width, small)

    def features(self, image: Tensor, points: Tensor, at: Insertion) -> Features:
        """See `ClickNetwork.features`. A and B are the same place: the joined branches; C: behind OCR."""
        joined = self.feature_extractor(self.mix_clicks(image, points))
        return (self.feature_extractor.add_context(joined),) if at == "C" else (joined,)

    def low_logits(self, features: Features, at: Insertion) -> Tensor:
        """See `ClickNetwork.low_logits`."""
        x = features[0] if at == "C" else self.feature_extractor.add_context(features[0])
        logits: Tensor = self.feature_extractor.cls_head(x)
        return logits


class FeatureExtractor(nn.Module):
    """Everything under the checkpoints' prefix `feature_extractor`: the backbone, OCR and both classifiers."""

    def __init__(self, width: int, ocr_width: int, small: bool) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width]
        joined = sum(widths)
        blocks = 2 if small else 4
        stage3_modules, stage4_modules = (3, 2) if small else (4, 3)

        self.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = nn.Conv2d(64, 64, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.layer1 = residual_layer(64, 64, blocks)
        # A transition adds one branch (its number is the key); branches that have no entry go on as they are.
        self.transition1 = nn.ModuleDict(
            {"0": conv_bn_relu(256, width), "1": nn.Sequential(conv_bn_relu(256, 2 * width, stride=2))}
        )
        self.stage2 = stage(1, widths[:2], blocks)
        self.transition2 = nn.ModuleDict({"2": nn.Sequential(conv_bn_relu(2 * width, 4 * width, stride=2))})
        self.stage3 = stage(stage3_modules, widths[:3], blocks)
        self.transition3 = nn.ModuleDict({"3": nn.Sequential(conv_bn_relu(4 * width, 8 * width, stride=2))})
        self.stage4 = stage(stage4_modules, widths, blocks)

        self.conv3x3_ocr = nn.Sequential(
            nn.Conv2d(joined, 2 * ocr_width, 3, padding=1), nn.BatchNorm2d(2 * ocr_width), nn.ReLU()
        )
        self.ocr_distri_head = ContextHead(ocr_width)
        self.cls_head = nn.Conv2d(2 * ocr_width, 1, 1)
        self.aux_head = nn.Sequential(
            nn.Conv2d(joined, joined, 1), nn.BatchNorm2d(joined), nn.ReLU(), nn.Conv2d(joined, 1, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> all branches at stride 4: (N, 15 width, ceil(H/4), ceil(W/4))."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.relu(self.bn2(self.conv2(x)))
        x = self.layer1(x)
        branches = self.stage2([self.transition1["0"](x), self.transition1["1"](x)])
        branches = self.stage3([*branches, self.transition2["2"](branches[-1])])
        branches = self.stage4([*branches, self.transition3["3"](branches[-1])])
        height, width = branches[0].shape[-2:]
        return torch.cat([branches[0], *[resize(branch, (height, width)) for branch in branches[1:]]], dim=1)

    def add_context(self, joined: Tensor) -> Tensor:
        """Tell every pixel what the object looks like as a whole: (N, 15 width, h, w) -> (N, 2 ocr_width, h, w)."""
        features = self.conv3x3_ocr(joined)
        attention = self.aux_head(joined).flatten(2).softmax(dim=2)
        context = attention @ features.flatten(2).transpose(1, 2)
        with_context: Tensor = self.ocr_distri_head(features, context.transpose(1, 2).unsqueeze(3))
        return with_context


def conv_bn_relu(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution, normalised and rectified."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def stage(modules: int, widths: Sequence[int], blocks: int) -> nn.Sequential:
    """Stack modules; each takes and gives the list of all branches."""
    return nn.Sequential(*[HighResolutionModule(widths, blocks) for _ in range(modules)])


class HighResolutionModule(nn.Module):
    """Branches of several resolutions side by side, then every branch to every other."""

    def __init__(self, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*[BasicBlock(width, width) for _ in range(blocks)]) for width in widths
        )
        self.fuse_layers = nn.ModuleList(Fusion(widths, target) for target in range(len(widths)))

    def forward(self, branches: Sequence[Tensor]) -> list[Tensor]:
        """A list of (N, width_i, h_i, w_i) -> a list of the same shapes."""
        outputs = [branch(x) for branch, x in zip(self.branches, branches, strict=True)]
        return [fusion(outputs) for fusion in self.fuse_layers]


class Fusion(nn.ModuleDict):
    """All branches brought to one of them and added; a branch's key is its number, the target needs no entry."""

    def __init__(self, widths: Sequence[int], target: int) -> None:
        super().__init__({str(j): fuse_layer(widths, j, target) for j in range(len(widths)) if j != target})
        self._target = target

    def forward(self, branches: Sequence[Tensor]) -> Tensor:
        """A list of (N, width_i, h_i, w_i) -> (N, width_target, h_target, w_target)."""
        height, width = branches[self._target].shape[-2:]
        terms = []
        for j, branch in enumerate(branches):
            term = branch if j == self._target else self[str(j)](branch)
            terms.append(resize(term, (height, width)) if j > self._target else term)
        return functional.relu(reduce(torch.add, terms))  # from the first branch on: float sums depend on the order


def fuse_layer(widths: Sequence[int], source: int, target: int) -> nn.Sequential:
    """What brings a branch to another one's width, and to its resolution where that is coarser."""
    if source > target:
        return nn.Sequential(nn.Conv2d(widths[source], widths[target], 1, bias=False), nn.BatchNorm2d(widths[target]))
    halvings = [conv_bn_relu(widths[source], widths[source], stride=2) for _ in range(target - source - 1)]
    last = conv_bn_relu(widths[source], widths[target], stride=2)[:2]  # the sum is rectified, not its terms
    return nn.Sequential(*halvings, last)


class ContextHead(nn.Module):
    """Concatenate each pixel's features with the object's, and mix."""

    def __init__(self, ocr_width: int) -> None:
        super().__init__()
        self.object_context_block = ObjectAttention(ocr_width)
        self.conv_bn_dropout = nn.Sequential(
            nn.Conv2d(4 * ocr_width, 2 * ocr_width, 1, bias=False),
            nn.Sequential(nn.BatchNorm2d(2 * ocr_width), nn.ReLU()),
        )

    def forward(self, features: Tensor, context: Tensor) -> Tensor:
        """Features (N, 2 ocr_width, h, w), context (N, 2 ocr_width, 1, 1) -> (N, 2 ocr_width, h, w)."""
        context = self.object_context_block(context).expand_as(features)
        mixed: Tensor = self.conv_bn_dropout(torch.cat([context, features], dim=1))
        return mixed


class ObjectAttention(nn.Module):
    """OCR's attention of pixels (`f_pixel`) to object classes (`f_object`).

    There is one class, and the softmax over one entry is 1 whatever the similarity: every pixel attends to the object
    fully. Only the values (`f_down`, `f_up`) count; queries and keys are here because the checkpoints hold them.
    """

    def __init__(self, ocr_width: int) -> None:
        super().__init__()
        o = ocr_width
        self.f_pixel = nn.Sequential(*pointwise(2 * o, o), *pointwise(o, o))
        self.f_object = nn.Sequential(*pointwise(2 * o, o), *pointwise(o, o))
        self.f_down = nn.Sequential(*pointwise(2 * o, o))
        self.f_up = nn.Sequential(*pointwise(o, 2 * o))

    def forward(self, context: Tensor) -> Tensor:
        """(N, 2 ocr_width, 1, 1) -> the same shape."""
        attended: Tensor = self.f_up(self.f_down(context))
        return attended


def pointwise(in_channels: int, out_channels: int) -> tuple[nn.Conv2d, nn.Sequential]:
    """A 1x1 convolution, and its normalisation and activation one level deeper, as the checkpoints have it."""
    return (
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.Sequential(nn.BatchNorm2d(out_channels), nn.ReLU()),
    )
