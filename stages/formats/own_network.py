"""A network that a user trained: the folder `<weights_root>/own/<engine>/<name>/`.

`network.json` says what it is, `network.safetensors` holds the weights, `card.md` says what they were learnt from:

    {"schema": 1, "engine": "fbrs:mine", "base": "lite", "sha256": "...", "licence": "...", "figures": {"iou": 0.9},
     "decided_by": "iou", "rival": "fbrs:lite", "figures_of_rival": {"iou": 0.8}}

`base` is the small network of the same engine whose place it takes: it is built, run and trained like that one; `rival`
was in use before it. A folder that is renamed is a network of another name. What a later one of the same name takes the
place of is kept in `<weights_root>/own/<engine>/.replaced/<name>-1/` and so on.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from stages.core.errors import InputError
from stages.formats import files
from stages.formats.files import beside, write_json
from stages.formats.json_files import read_json

logger = logging.getLogger("lis")
SCHEMA: Final = 1
FOLDER: Final = "own"
DESCRIPTION: Final = "network.json"
WEIGHTS: Final = "network.safetensors"
CARD: Final = "card.md"
REPLACED: Final = ".replaced"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@dataclass(frozen=True)
class OwnNetwork:
    """What `network.json` says."""

    engine: str
    """As in luigi.cfg: `fbrs:mine`."""
    base: str
    """The name behind the colon of the small network that it is like: `lite`."""
    sha256: str
    """Of the weights."""
    licence: str
    """Of what it was trained on."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """On its own held-out pictures."""
    decided_by: str = ""
    """The figure that says which of two networks is better."""
    rival: str = ""
    """The engine that was in use when it was installed, in words."""
    figures_of_rival: Mapping[str, float] = field(default_factory=dict)
    """On the same pictures."""


def own_folder(weights_root: Path, engine: str) -> Path:
    """Where a network of a user's lies, or would.

    Raises:
        InputError: the engine's name has no name of a network behind a colon, or one that cannot be a folder's.
    """
    family, _, name = engine.partition(":")
    if not _NAME.fullmatch(name) or not _NAME.fullmatch(family):
        raise InputError(
            f"found {engine!r} as the name of an engine with a network of your own, expected one like `fbrs:mine`: "
            "behind the colon 1 to 32 small letters, digits, hyphens or underscores; choose another name"
        )
    return weights_root / FOLDER / family / name


def own_networks(weights_root: Path, family: str) -> Iterator[OwnNetwork]:
    """Every network of a user's for an engine, by name; what cannot be read is passed over, with a warning."""
    for description in sorted((weights_root / FOLDER / family).glob(f"*/{DESCRIPTION}")):
        if _NAME.fullmatch(description.parent.name):  # others are being written
            try:
                yield read_own_network(description.parent)
            except InputError as error:  # the other engines work all the same
                logger.warning("%s", error)


def read_own_network(folder: Path) -> OwnNetwork:
    """Read `network.json`.

    Raises:
        InputError: it is missing, damaged, or of a newer version of LIS.
    """
    path = folder / DESCRIPTION
    try:
        fields = read_json(path)
        schema = fields.pop("schema")
        if not isinstance(schema, int) or schema > SCHEMA:
            raise InputError(
                f"{path}: found the schema {schema}, expected {SCHEMA} at most: a newer version of LIS wrote it. "
                "Use that version, or remove the folder"
            )
        return OwnNetwork(**{**fields, "engine": f"{folder.parent.name}:{folder.name}"})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: found no description of a network ({error!r}), expected what `lis train` writes; train the "
            "network again, or remove the folder"
        ) from None


def write_own_network(folder: Path, network: OwnNetwork) -> None:
    """Write `network.json`, by one rename."""
    write_json(folder / DESCRIPTION, {"schema": SCHEMA, **asdict(network)})


def keep_aside(folder: Path) -> Path | None:
    """Copy a network that is about to be replaced to where nobody looks for one; None if there is none."""
    if not folder.is_dir():
        return None
    kept = folder.parent / REPLACED
    files.make_folder(kept)
    number = 1
    while (kept / f"{folder.name}-{number}").exists():
        number += 1
    place = kept / f"{folder.name}-{number}"
    temporary = beside(place)
    files.delete_tree(temporary)
    files.copy_tree(folder, temporary)
    files.put_in_place(temporary, place)
    return place
