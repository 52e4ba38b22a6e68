"""Losses and scores for masks; logits and targets are (N, H, W), targets 1, 0, or 255 where nobody knows."""

import torch
from torch import Tensor
from torch.nn import functional

from stages.core.palette import IGNORE


def normalised_focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """Cross-entropy that looks at the doubtful pixels, with the same total weight for easy and hard pictures.

    K. Sofiiuk, O. Barinova, A. Konushin, "AdaptIS", ICCV 2019, section 3.3: weights (1 - p)^gamma, over their mean.
    """
    known = (target != IGNORE).float()
    entropy = functional.binary_cross_entropy_with_logits(logits, (target == 1).float(), reduction="none")
    weight = ((1 - torch.exp(-entropy)) ** gamma * known).detach()
    share = weight.sum(dim=(1, 2)) / known.sum(dim=(1, 2)).clamp(min=1)
    return ((weight * entropy).sum(dim=(1, 2)) / (share.clamp(min=1e-2) * target[0].numel())).mean()


def soft_iou_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 minus the IoU of probabilities with the target, mean over the batch; 0-d in [0, 1]."""
    known, truth = (target != IGNORE).float(), (target == 1).float()
    probability = torch.sigmoid(logits) * known
    intersection = (probability * truth).sum(dim=(1, 2))
    union = (probability + truth - probability * truth).sum(dim=(1, 2))
    return (1 - (intersection + 1) / (union + 1)).mean()


def ious(masks: Tensor, target: Tensor) -> list[float]:
    """IoU of every mask (N, H, W) bool with its target, where that is known."""
    known, truth = target != IGNORE, target == 1
    intersection = (masks & truth).sum(dim=(1, 2))
    union = ((masks | truth) & known).sum(dim=(1, 2))
    values: list[float] = (intersection / union.clamp(min=1)).tolist()
    return values
