"""A new network beside the one in use, on the same held-out pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from stages.core.errors import WeightsError
from stages.engines import registry
from stages.formats.checkpoints import normalise, read_checkpoint
from stages.formats.own_network import DESCRIPTION, own_folder
from stages.training.pictures import counted
from stages.training.record import Tell
from stages.training.session import Training, read_training_pictures, weights_file


@dataclass(frozen=True)
class Comparison:
    """Figures of both; the first one decides."""

    engine: str
    figures: Mapping[str, float]
    rival: str
    """The engine that was in use, in words."""
    theirs: Mapping[str, float]
    held_out: int
    """Pictures."""

    @property
    def decided_by(self) -> str:
        """The name of the first figure."""
        return next(iter(self.figures))

    @property
    def is_worse(self) -> bool:
        """Whether the new one is worse than the one in use."""
        return not self.figures[self.decided_by] >= self.theirs[self.decided_by]


def compare(training: Training, trained: Path, engine: str, weights_root: Path, tell: Tell) -> Comparison:
    """Validate what a training has left and the network in use: an earlier one of that name, or the small one.

    Args:
        training: which one.
        trained: its folder.
        engine: the name that the network is to have, `fbrs:mine`.
        weights_root: folder of the checkpoints.
        tell: is told what came out.

    Raises:
        WeightsError: the file of the network in use is damaged.
    """
    new = registry.build_network(training.network)
    new.load_state_dict(normalise(read_checkpoint(trained / weights_file(training.network))), strict=False)
    rival, other = _in_use(training.network, engine, weights_root, tell)
    held_out = read_training_pictures(training, lambda _line: None).held_out
    with torch.no_grad():
        figures, theirs = (training.recipe.validate(network, held_out) for network in (new, other))
    result = Comparison(engine, figures, rival, theirs, len(held_out))
    first = result.decided_by
    tell(
        f"{engine}: {first} {figures[first]:.4f}; {rival}, which is in use: {theirs[first]:.4f}; on the same "
        f"{counted(len(held_out), 'held-out picture')}"
    )
    return result


def _in_use(network: str, engine: str, weights_root: Path, tell: Tell) -> tuple[str, nn.Module]:
    if (own_folder(weights_root, engine) / DESCRIPTION).is_file():
        try:
            return f"the earlier {engine}", registry.load_network(engine, weights_root)
        except WeightsError as error:
            tell(f"the earlier {engine} is passed over: {error}")
    small = registry.small_network(network).name
    return small, registry.load_network(small, weights_root)
