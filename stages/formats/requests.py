"""`outputs/<seq>/requests.json`: which frames wait for scribbles, and what was asked under which terms.

The pictures to paint on, and what people painted, are in `stages.formats.paintings`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from stages.core.errors import StageError
from stages.core.plan import Plan
from stages.formats.files import write_json
from stages.formats.json_files import read_json
from stages.formats.manifest import Json
from stages.formats.paintings import FOLDER, clear_away
from stages.formats.schema import NewerVersionError, check_schema

REQUESTS_JSON: Final = "requests.json"
SCHEMA: Final = 1


def issued_anchors(root: Path, terms: Json) -> tuple[int, ...]:
    """The anchors that were asked for under these terms before; they never move.

    Args:
        root: the sequence's folder of results.
        terms: scribble set, number of requests, placement and frame count.

    Raises:
        NewerVersionError: a newer version of LIS has asked.
        StageError: the file is damaged.
    """
    return next((tuple(issue["anchors"]) for issue in _issues(root) if issue["terms"] == terms), ())


def has_asked_for(root: Path, scribble_set: str) -> bool:
    """Whether people were asked for scribbles of this set before.

    Raises:
        StageError: see `issued_anchors`.
    """
    return any(issue["terms"].get("scribbles") == scribble_set for issue in _issues(root))


def terms_of_waiting(root: Path) -> Json:
    """The terms under which people were asked last, see `issued_anchors`; nothing if no frame waits for them.

    Raises:
        StageError: see `issued_anchors`.
    """
    issued = _issues(root)
    return issued[0]["terms"] if issued and read_json(root / REQUESTS_JSON).get("waiting") else {}


def note_requests(root: Path, terms: Json, plan: Plan, names: Sequence[str]) -> None:
    """Write `requests.json`.

    Args:
        root: the sequence's folder of results.
        terms: what the requests hold under, see `issued_anchors`.
        plan: the anchors.
        names: the file name of every frame.

    Raises:
        StageError: see `issued_anchors`.
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
    """Note that nothing waits any more, and take the clean pictures away; what was asked for is remembered."""
    clear_away(root)
    if issued := _issues(root):
        _write(root, [], issued)


def _write(root: Path, waiting: Sequence[Json], issued: Sequence[Json]) -> None:
    write_json(root / REQUESTS_JSON, {"schema": SCHEMA, "waiting": waiting, "issued": issued})


def _issues(root: Path) -> list[Json]:
    """What was asked for, under which terms; damage is told, since anchors that people work on must not move."""
    path = root / REQUESTS_JSON
    try:
        fields = read_json(path)
        check_schema(path, fields.get("schema", 1), SCHEMA)
        return [
            {"terms": dict(issue["terms"]), "anchors": [int(i) for i in issue["anchors"]]} for issue in fields["issued"]
        ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except NewerVersionError:
        raise
    except (StageError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StageError(
            f"{path}: found no readable list of the frames that were asked for ({error or type(error).__name__}); "
            "delete it to be asked anew, perhaps for other frames; nothing that was painted is lost"
        ) from None
