"""What a training consists of.

One module per network says it (`fbrs_lite.py`, ...), `recipes.py` lists them, and `loop.py` carries it out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.training.pictures import Picture

Sample = dict[str, NDArray[Any]]
"""Arrays of one training example; the loop stacks those of a batch and makes tensors of them."""
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast."""

    steps: int
    batch: int
    learning_rate: float
    """Of what is new; it rises linearly over `warm_up` steps and falls as a cosine to a hundredth of it."""
    restarts: tuple[int, ...] = ()
    """Steps at which the learning rate rises again, to fall until the next one (Loshchilov and Hutter, ICLR 2017)."""
    trunk_rate: float = 0.1
    """Of the pretrained trunk, as a share of `learning_rate`; 0 freezes it."""
    warm_up: int = 100
    weight_decay: float = 1e-4
    averaging: float = 0.998
    """Decay of the moving average of the weights, which is what gets validated and shipped."""
    validate_every: int = 500
    """Steps."""

    def lasting(self, steps: int) -> "Schedule":
        """The same in fewer or more steps; in fewer, warm-up and averaging take the same share of them."""
        restarts = tuple(round(restart * steps / self.steps) for restart in self.restarts)
        shorter = min(1.0, steps / self.steps)
        return replace(
            self,
            steps=steps,
            restarts=restarts,
            warm_up=max(1, round(self.warm_up * shorter)),
            averaging=self.averaging ** (1 / shorter),
        )


class Recipe(Protocol):
    """How one network is trained."""

    notes: str
    """What the network is for, and where any of its kind errs: the head of its model card.

    `{engine}` stands for the network's name.
    """
    schedule: Schedule
    shares: Mapping[str, float]
    """Which sets of pictures, and how much of a batch comes from each."""

    engines: Sequence[str]
    """Whose networks, as shipped, make a part of the examples."""

    on_gpu: bool
    """Whether it has been made for GPUs, too: nothing in it takes for granted where tensors are."""

    wanted: str
    """What a picture needs to be learnt from, in words."""

    def suits(self, picture: Picture) -> bool:
        """Whether an example can be made of a picture."""
        ...

    def build(self, trunk: Mapping[str, Tensor]) -> nn.Module:
        """The network to start from, its trunk filled with the published weights, frozen where it is not trained."""
        ...

    def trunk(self, network: nn.Module) -> nn.Module:
        """The part of it that was pretrained."""
        ...

    def sample(self, pictures: "Draw", rng: np.random.Generator) -> Sample:
        """Make one training example; all chance comes from `rng`. Runs in a process of its own."""
        ...

    def losses(self, network: nn.Module, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Run the network on a batch: scalars by name; their sum is what is minimised.

        Args:
            network: in train mode.
            batch: tensors by the names of `sample`, with the batch as first axis.
            progress: share of the steps done, in [0, 1).
        """
        ...

    def validate(self, network: nn.Module, held_out: Sequence[Picture]) -> dict[str, float]:
        """Figures on pictures that were held out, the first one to be maximised; the network is in eval mode.

        Some of the pictures suit. With the same pictures the examples are the same, so that networks can be compared.
        """
        ...

    def sheet(self, network: nn.Module, held_out: Sequence[Picture]) -> NDArray[np.uint8]:
        """Examples to look at: (H, W, 3) RGB; the network is in eval mode."""
        ...


class Draw(Protocol):
    """Draws pictures: the set by its share, the picture evenly within the set."""

    def __call__(self, rng: np.random.Generator) -> Picture:
        """One picture."""
        ...
