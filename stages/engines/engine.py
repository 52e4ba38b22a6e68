"""What the name of an engine stands for: its SPEC with one of its networks, the project's or a user's."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.engines.spec import Cost, Network, Spec

Options = Mapping[str, Any]
"""Options of a run by their names on the command line; an engine takes those that it knows."""


@dataclass(frozen=True)
class Engine:
    """What a name stands for."""

    spec: Spec
    network: Network | None = None
    own: Path | None = None
    """The folder of a network that a user trained."""

    @property
    def name(self) -> str:
        """As in luigi.cfg."""
        return self.spec.name if self.network is None else f"{self.spec.name}:{self.network.name}"

    @property
    def cost(self) -> Cost:
        """What it takes."""
        return self.spec.cost if self.network is None else self.network.cost

    @property
    def version(self) -> int:
        """Of the code that runs it: 1, and one more with each change of what it gives."""
        return self.spec.version + (self.network.version - 1 if self.network else 0)

    @property
    def quick(self) -> Options:
        """Options with which it is faster, and less exact; none: there is no quicker way."""
        return self.spec.quick if self.network is None else self.network.quick

    @property
    def comes_with_weights(self) -> bool:
        """Whether its network lies in its package."""
        return self.network is not None and (self.spec.folder / self.network.checkpoint.file).is_file()

    @property
    def is_at_hand(self) -> bool:
        """Whether it needs no weights, or comes with them."""
        return self.network is None or self.comes_with_weights

    @property
    def modules(self) -> tuple[str, ...]:
        """What building and running it imports."""
        module = self.spec.module(self.spec.build)
        return (module,) if self.network is None else (module, "torch")

    def arguments(self, options: Options) -> dict[str, Any]:
        """What it is built with: the builder's keywords, from a run's options or else their defaults."""
        unused = () if self.network is None else self.network.without
        return {
            each.argument: options.get(each.name, each.default)
            for each in self.spec.options
            if each.argument not in unused
        }

    def key(self, options: Options) -> dict[str, Any]:
        """Those of the arguments that a result's key names."""
        unsaid = {each.argument: each.default for each in self.spec.options if each.later}
        return {name: value for name, value in self.arguments(options).items() if unsaid.get(name) != value}

    def memory_mib(self, options: Options) -> int:
        """What its process takes on 480p frames."""
        more = self.cost.exact_memory_mib
        return more if more is not None and options.get("exact") else self.cost.memory_mib
