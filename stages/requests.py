"""Asking people for scribbles, and picking up what they painted.

`outputs/<seq>/requests.json` says which frames wait, and remembers what was asked; `outputs/<seq>/requests/` holds a
picture of each to paint on. A painted picture is read once into a scribble set: `requests/read.json` keeps the digests.
"""

import json
import re
from collections.abc import Container
from pathlib import Path

from stages.anchors import Plan
from stages.errors import InputError
from stages.frames import read_frame
from stages.manifest import Json, beside, sha256, write_json
from stages.scribbles import ScribbleSet, merge, write_scribbles

_PAINTED = re.compile(r"(\d{5,})\.(strokes|empty)\.png")


def issued_anchors(root: Path, terms: Json) -> tuple[int, ...]:
    """The anchors that were asked for under these terms before; they never move.

    Args:
        root: the sequence's folder of results.
        terms: scribble set, number of requests, placement and frame count.
    """
    return next((tuple(issue["anchors"]) for issue in _issues(root) if issue["terms"] == terms), ())


def write_requests(root: Path, terms: Json, plan: Plan, frames: list[Path]) -> None:
    """Say which frames wait for scribbles, and lay out the pictures to paint on.

    Args:
        root: the sequence's folder of results.
        terms: what the requests hold under, see `issued_anchors`.
        plan: the anchors.
        frames: the video's pictures, in order.
    """
    from PIL import Image  # noqa: PLC0415 - the graph is built without it

    folder = root / "requests"
    folder.mkdir(parents=True, exist_ok=True)
    waiting = [
        {
            "frame": index,
            "name": frames[index].name,
            "why": "an anchor of the plan without scribbles",
            "paint_on": f"requests/{index:05d}.png",
            "save_as": f"requests/{index:05d}.strokes.png",
            "or_if_nothing_is_there": f"requests/{index:05d}.empty.png",
        }
        for index in plan.requested
    ]
    for index in plan.requested:
        picture = folder / f"{index:05d}.png"
        temporary = beside(picture)
        Image.fromarray(read_frame(frames[index])).save(temporary, format="PNG", compress_level=1)
        temporary.replace(picture)
    others = [issue for issue in _issues(root) if issue["terms"] != terms]
    issued = [{"terms": terms, "anchors": plan.anchors}, *others]
    write_json(root / "requests.json", {"waiting": waiting, "issued": issued})


def settle_requests(root: Path) -> None:
    """Note that nothing waits any more; what was asked for is remembered."""
    if issued := _issues(root):
        write_json(root / "requests.json", {"waiting": [], "issued": issued})


def pending_strokes(root: Path, scribble_set: str, annotated: Container[int]) -> dict[int, Path]:
    """Painted pictures that were not read into this scribble set yet, or have changed since: frame index -> file.

    Args:
        root: the sequence's folder of results.
        scribble_set: the set's name.
        annotated: the frames that the set annotates; a picture of another frame is read (again) in any case.
    """
    folder = root / "requests"
    painted = [(path, match) for path in sorted(folder.glob("*.png")) if (match := _PAINTED.fullmatch(path.name))]
    read = _read_before(folder).get(scribble_set, {}) if painted else {}
    return {
        int(match[1]): path
        for path, match in painted
        if int(match[1]) not in annotated or read.get(path.name) != sha256(path)
    }


def import_painted(root: Path, scribble_file: Path, scribbles: ScribbleSet, frames: list[Path]) -> list[int]:
    """Merge every painted picture that waits into the scribble set; its strokes replace the frame's former ones.

    Args:
        root: the sequence's folder of results.
        scribble_file: where the set is written; its stem is the set's name.
        scribbles: the set as it is.
        frames: the video's pictures, in order.

    Returns:
        The frame indices that were read.

    Raises:
        InputError: a picture of another size, without any stroke, for a frame that does not exist, or both painted and
            declared empty. Nothing is merged then.
    """
    from stages.strokes import strokes_from_png  # noqa: PLC0415 - the graph is built without it

    folder = root / "requests"
    pending = pending_strokes(root, scribble_file.stem, scribbles.annotated)
    for index, path in pending.items():
        if index >= len(frames):
            raise InputError(f"{path}: the video has the frames 0 to {len(frames) - 1}. Rename or delete the picture.")
        other = {"strokes": "empty", "empty": "strokes"}[path.name.split(".")[1]]
        if (folder / f"{index:05d}.{other}.png").exists():
            raise InputError(
                f"{path} and {index:05d}.{other}.png contradict each other: a frame has strokes or holds nothing. "
                "Delete one of them."
            )
        lines = () if path.name.endswith(".empty.png") else strokes_from_png(path, frames[index])
        scribbles = merge(scribbles, index, lines)
    scribble_file.parent.mkdir(parents=True, exist_ok=True)
    write_scribbles(scribble_file, scribbles)
    read = _read_before(folder)
    read.setdefault(scribble_file.stem, {}).update({path.name: sha256(path) for path in pending.values()})
    write_json(folder / "read.json", read)
    return sorted(pending)


def _issues(root: Path) -> list[Json]:
    """What was asked for, under which terms; nothing if that cannot be read."""
    try:
        issued = json.loads((root / "requests.json").read_text(encoding="utf-8"))["issued"]
        return [{"terms": dict(issue["terms"]), "anchors": [int(i) for i in issue["anchors"]]} for issue in issued]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _read_before(folder: Path) -> dict[str, dict[str, str]]:
    try:
        read = json.loads((folder / "read.json").read_text(encoding="utf-8"))
        return {str(name): dict(files) for name, files in read.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
