"""What an engine says of itself: one `SPEC` in the `__init__.py` of its package, and everything else is made from it.

The options of luigi.cfg and of the command line, the lists of engines and checkpoints, the estimates of doctor, keys in
manifests and the tables of the documentation all come from here. Importing a SPEC imports no torch: an engine's code is
named by references (`engine:GrabCut`) inside of its own package, and imported when it is built.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal

Plug = Literal["segmenter", "propagator", "refiner"]
PLUGS: Final[tuple[Plug, ...]] = ("segmenter", "propagator", "refiner")


@dataclass(frozen=True)
class Option:
    """Something that a user may choose, and an engine is built with."""

    argument: str
    """The builder's keyword."""
    name: str
    """In luigi.cfg and on the command line; engines may share one."""
    default: float | bool | str
    description: str
    limits: tuple[float, float] | None = None
    """Lowest and highest value, both allowed; for numbers."""
    choices: tuple[str, ...] = ()
    """For words."""
    later: bool = False
    """Whether it came when there were results already: at its default it is in no key, so that they stay good."""

    def __post_init__(self) -> None:
        """Whoever writes a number writes its limits.

        Raises:
            ValueError: there are none.
        """
        if isinstance(self.default, int | float) and not isinstance(self.default, bool) and self.limits is None:
            raise ValueError(f"the option {self.name} of an engine is a number without limits")


EXACT: Final = Option("exact", "exact", False, "the paper's networks: exactly as the originals")
"""Shared by the three engines of the paper."""
PRECISION: Final = Option(
    "precision",
    "precision",
    "float32",
    "of convolutions in match and cascadepsp:lite: float32, or bfloat16, faster where the processor knows it",
    choices=("float32", "bfloat16"),
    later=True,
)
"""Shared by engines whose masks hardly change by it (docs/performance.md)."""


@dataclass(frozen=True)
class Cost:
    """What a process with the engine takes on 480p frames; measured, see docs/performance.md."""

    memory_mib: int = 256
    """Rounded up."""
    seconds: float | None = None
    """For one anchor or one frame (854x480, one object, one core); None: not measured."""
    exact_memory_mib: int | None = None
    """With `exact`, where that takes more."""


@dataclass(frozen=True)
class Checkpoint:
    """The file that holds a network's weights."""

    file: str
    """Its name below the folder of checkpoints, or in the engine's package."""
    licence: str
    url: str | None = None
    """Where it is published; None where nobody does."""
    size_mib: float | None = None
    """As published, or as its tensors take (MiB)."""
    sha256: str | None = None
    """Checked if known: the authors of the large networks publish none."""
    md5: str | None = None
    """Of the published file. Not enforced: authors' later models of the same network are as good."""
    substitutes: tuple[str, ...] = ()
    """Other files that hold the same network; used if `file` is not there."""
    converted_from: str = ""
    """Name of the published file, where that is no checkpoint that can be read as it is: `lis weights convert`."""
    ignored: tuple[str, ...] = ()
    """Patterns of entries that the file may hold and the network does not use."""
    only_for: str = ""
    """What the licence allows and nothing else, in words for `lis doctor`; empty: it forbids no use."""


@dataclass(frozen=True)
class Network:
    """A network that an engine can run: `engine:name`."""

    name: str
    """Behind the colon."""
    key: str
    """What `build_network` calls it; several names may share a network and differ in their files."""
    build: str
    """Reference to what makes it without a file, within the engine's package."""
    checkpoint: Checkpoint
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What the engine has to know of this network: keywords of the builder."""
    without: tuple[str, ...] = ()
    """Arguments of the engine's options that mean nothing to this network."""
    quick: Mapping[str, float | bool | str] = field(default_factory=dict)
    """Values of options with which it is faster, and less exact: for a first look while a person draws."""
    cost: Cost = field(default_factory=Cost)
    is_small: bool = False
    """Whether the project trains it itself (`lis train`), so that users can train their own."""
    version: int = 1
    """As that of the SPEC, for what changes with this network alone."""
    by_keys: bool = False
    """Whether `build` may be given what a file holds, names with tensors, and makes the network that has them: for
    files of which the name does not say which network they hold. It is called without, too."""


@dataclass(frozen=True)
class Spec:
    """An engine."""

    plug: Plug
    name: str
    """`fbrs`; with a network behind a colon it is what users write. Two of one name, at different plug points, have the
    same networks."""
    package: str
    """`__name__` of the package that says this; references are relative to it."""
    build: str
    """Reference to the builder: called with the network, if there is one, `device` then, and the options."""
    summary: str
    """One line: the method, and where it comes from."""
    options: tuple[Option, ...] = ()
    networks: tuple[Network, ...] = ()
    """Empty: the engine needs no weights."""
    quick: Mapping[str, float | bool | str] = field(default_factory=dict)
    """Without a network: see there."""
    cost: Cost = field(default_factory=Cost)
    """Without a network."""
    sees_beyond: bool = False
    """Of a propagator: whether it makes use of the anchors beyond those of a stretch, which it gets if users say so."""
    version: int = 1
    """Of the code; raise it when the engine gives another result, beyond rounding, and its results are made again."""

    @property
    def needs_weights(self) -> bool:
        """Whether it runs a network."""
        return bool(self.networks)

    @cached_property
    def folder(self) -> Path:
        """Where the package lies; small networks lie in it."""
        return Path(str(import_module(self.package).__file__)).parent

    def module(self, reference: str) -> str:
        """The full name of the module that a reference names."""
        return f"{self.package}.{reference.partition(':')[0]}"

    def resolve(self, reference: str) -> Callable[..., Any]:
        """What a reference names; imports the module."""
        found: Callable[..., Any] = getattr(import_module(self.module(reference)), reference.partition(":")[2])
        return found
