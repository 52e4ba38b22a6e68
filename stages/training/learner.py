"""A network that learns from batches, and the average of what it has been."""

from collections.abc import Callable, Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from stages.nn.prepare import choose_device
from stages.training.recipe import Batch, Recipe

Tensors = tuple[Tensor, ...] | list[Tensor]
_LONGEST_GRADIENT = 5.0


class Learner:
    """A network, the average of what it has been, and how it learns from a batch."""

    def __init__(
        self,
        recipe: Recipe,
        trunk: Mapping[str, Tensor],
        device: str = "cpu",
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Begin; arguments as for `train`."""
        self.device = choose_device(device)
        self._recipe = recipe
        self.network = recipe.build(trunk).train().to(self.device)
        if start is not None:
            self.network.load_state_dict(start, strict=False)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch documents it
        self.averaged = AveragedModel(self.network, multi_avg_fn=average(recipe.schedule.averaging), use_buffers=True)
        self.optimiser = self._optimiser()

    def step(self, batch: Batch, progress: float, pace: float) -> dict[str, Tensor]:
        """Learn from a batch.

        Args:
            batch: see `Recipe.losses`; on any device.
            progress: share of the steps done, in [0, 1).
            pace: the learning rate as a share of its peak.

        Returns:
            Parts of the loss, on the network's device.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * pace
        there = {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}
        # Without a cache: what was cast without gradients, for an earlier look, must not be met again with them.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.on_gpu, cache_enabled=False):
            parts = self._recipe.losses(self.network, there, progress)
        self.optimiser.zero_grad()
        torch.autograd.backward(torch.stack(list(parts.values())).sum())
        nn.utils.clip_grad_norm_(self.network.parameters(), _LONGEST_GRADIENT)
        self.optimiser.step()
        self.averaged.update_parameters(self.network)
        return {name: value.detach() for name, value in parts.items()}

    @property
    def on_gpu(self) -> bool:
        """Whether it learns on a GPU."""
        return self.device.type == "cuda"

    @property
    def place(self) -> str:
        """Where it learns, for people."""
        return str(torch.cuda.get_device_name(self.device)) if self.on_gpu else self.device.type

    def _optimiser(self) -> torch.optim.Optimizer:
        schedule, trunk = self._recipe.schedule, self._recipe.trunk(self.network)
        in_trunk = {id(p) for name, p in trunk.named_parameters() if "maps_stem" not in name}
        groups = []
        for of_trunk, peak in ((False, schedule.learning_rate), (True, schedule.learning_rate * schedule.trunk_rate)):
            members = [p for p in self.network.parameters() if p.requires_grad and (id(p) in in_trunk) == of_trunk]
            if members:
                groups.append({"params": members, "lr": peak, "peak": peak})
        return torch.optim.AdamW(groups, weight_decay=schedule.weight_decay)


def average(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """A moving average that forgets its beginning, an untrained network, however few steps there are.

    Of n steps it weighs the last twentieth most, until that is as long as `decay` asks for.
    """

    @torch.no_grad()
    def update(averaged: Tensors, now: Tensors, steps: Tensor | int) -> None:
        count = torch.as_tensor(steps, dtype=torch.float32)
        new_share = 1 - ((1 + count) / (20 + count)).clamp(max=decay)
        for old, new in zip(averaged, now, strict=True):
            if old.is_floating_point():
                old.lerp_(new, new_share)
            else:
                old.copy_(new)

    return update


def plain(averaged: AveragedModel) -> nn.Module:
    """A copy of the averaged network, ready for inference."""
    module = averaged.module
    assert isinstance(module, nn.Module)
    return deepcopy(module).eval().requires_grad_(False)
