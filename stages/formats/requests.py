"""Asking people for scribbles: `outputs/<seq>/requests.json` and `outputs/<seq>/requests/`.

`requests.json` says which frames wait, and remembers what was asked under which terms; `requests/` holds a picture of
each frame to paint on (`00012.png`), what people painted (`00012.strokes.png`) or declared to be empty
(`00012.empty.png`), and `read.json`: the digests of painted pictures that were read into a scribble set.
"""

import re
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Final

from stages.core.errors import StageError
from stages.core.plan import Plan
from stages.formats.files import sha256, write_json
from stages.formats.json_files import read_json
from stages.formats.manifest import Json
from stages.formats.schema import NewerVersionError, check_schema

REQUESTS_JSON: Final = "requests.json"
FOLDER: Final = "requests"
SCHEMA: Final = 1
_READ_JSON: Final = "read.json"
_PAINTED: Final = re.compile(r"(\d{5,})\.(strokes|empty)\.png")


def picture_to_paint_on(root: Path, index: int) -> Path:
    """The picture that a person copies, or paints over."""
    return root / FOLDER / f"{index:05d}.png"


def is_declared_empty(painted: Path) -> bool:
    """Whether a picture says that nothing is on its frame, whatever it shows."""
    return painted.name.endswith(".empty.png")


def contradiction(painted: Path) -> Path | None:
    """The picture of the same frame that says the contrary, if there is one."""
    index, kind, _ = painted.name.split(".")
    other = painted.with_name(f"{index}.{'empty' if kind == 'strokes' else 'strokes'}.png")
    return other if other.exists() else None


def issued_anchors(root: Path, terms: Json) -> tuple[int, ...]:
    """The anchors that were asked for under these terms before; they never move.

    Args:
        root: the sequence's folder of results.
        terms: scribble set, number of requests, placement and frame count.

    Raises:
        NewerVersionError: a newer version of LIS has asked.
    """
    return next((tuple(issue["anchors"]) for issue in _issues(root) if issue["terms"] == terms), ())


def note_requests(root: Path, terms: Json, plan: Plan, names: Sequence[str]) -> None:
    """Write `requests.json`.

    Args:
        root: the sequence's folder of results.
        terms: what the requests hold under, see `issued_anchors`.
        plan: the anchors.
        names: the file name of every frame.
    """
    waiting = [
        {
            "frame": index,
            "name": names[index],
            "why": "an anchor of the plan without scribbles",
            "paint_on": f"{FOLDER}/{index:05d}.png",
            "save_as": f"{FOLDER}/{index:05d}.strokes.png",
            "or_if_nothing_is_there": f"{FOLDER}/{index:05d}.empty.png",
        }
        for index in plan.requested
    ]
    others = [issue for issue in _issues(root) if issue["terms"] != terms]
    _write(root, waiting, [{"terms": terms, "anchors": plan.anchors}, *others])


def settle_requests(root: Path) -> None:
    """Note that nothing waits any more; what was asked for is remembered."""
    if issued := _issues(root):
        _write(root, [], issued)


def pending_strokes(root: Path, scribble_set: str, annotated: Container[int]) -> dict[int, Path]:
    """Painted pictures that were not read into this scribble set yet, or have changed since: frame index -> file.

    Args:
        root: the sequence's folder of results.
        scribble_set: the set's name.
        annotated: the frames that the set annotates; a picture of another frame is read (again) in any case.
    """
    folder = root / FOLDER
    painted = [(path, match) for path in sorted(folder.glob("*.png")) if (match := _PAINTED.fullmatch(path.name))]
    read = _read_before(folder).get(scribble_set, {}) if painted else {}
    return {
        int(match[1]): path
        for path, match in painted
        if int(match[1]) not in annotated or read.get(path.name) != sha256(path)
    }


def note_read(root: Path, scribble_set: str, pictures: Sequence[Path]) -> None:
    """Remember that these painted pictures, as they are now, are in a scribble set."""
    folder = root / FOLDER
    read = _read_before(folder)
    read.setdefault(scribble_set, {}).update({path.name: sha256(path) for path in pictures})
    write_json(folder / _READ_JSON, read)


def _write(root: Path, waiting: Sequence[Json], issued: Sequence[Json]) -> None:
    write_json(root / REQUESTS_JSON, {"schema": SCHEMA, "waiting": waiting, "issued": issued})


def _issues(root: Path) -> list[Json]:
    """What was asked for, under which terms; nothing if that cannot be read."""
    path = root / REQUESTS_JSON
    try:
        fields = read_json(path)
        check_schema(path, fields.get("schema", 1), SCHEMA)
        return [
            {"terms": dict(issue["terms"]), "anchors": [int(i) for i in issue["anchors"]]} for issue in fields["issued"]
        ]
    except NewerVersionError:
        raise
    except (StageError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _read_before(folder: Path) -> dict[str, dict[str, str]]:
    try:
        read: Mapping[str, Mapping[str, str]] = read_json(folder / _READ_JSON)
        return {str(name): dict(files) for name, files in read.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
