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
from stages.formats.paintings import FOLDER, REQUESTS_JSON, clear_away
from stages.formats.schema import NewerVersionError, check_schema

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
    waiting, issued = _read(root)
    return issued[0]["terms"] if issued and waiting else {}


def asked_by(root: Path) -> dict[int, str]:
    """The frames that wait for scribbles -> the scribble set that they are for.

    Raises:
        StageError: see `issued_anchors`.
    """
    found: dict[int, str] = {}
    for issue in reversed(_issues(root)):
        found |= dict.fromkeys(issue["waiting"], str(issue["terms"].get("scribbles", "")))
    return found


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
    others = [
        {**issue, "waiting": [index for index in issue["waiting"] if index not in plan.requested]}
        for issue in _issues(root)
        if issue["terms"] != terms
    ]
    _write(root, waiting, [{"terms": terms, "anchors": plan.anchors, "waiting": plan.requested}, *others])


def settle_requests(root: Path, scribble_set: str) -> None:
    """Note that a set waits for nothing any more, and take the clean pictures away; what was asked for is remembered.

    What was laid out for other sets stays, and theirs is what is painted on it.
    """
    issued = _issues(root)
    settled = [
        {**issue, "waiting": []} if issue["terms"].get("scribbles") == scribble_set else issue for issue in issued
    ]
    asked = {index for issue in settled for index in issue["waiting"]}
    clear_away(root, still_asked=asked)
    if issued:
        _write(root, [], settled)


def _write(root: Path, waiting: Sequence[Json], issued: Sequence[Json]) -> None:
    write_json(root / REQUESTS_JSON, {"schema": SCHEMA, "waiting": waiting, "issued": issued})


def _issues(root: Path) -> list[Json]:
    return _read(root)[1]


def _read(root: Path) -> tuple[list[Json], list[Json]]:
    """What waits for people, and what was asked for under which terms, the last first.

    Damage is told, since anchors that people work on must not move.
    """
    path = root / REQUESTS_JSON
    try:
        fields = read_json(path)
        check_schema(path, fields.get("schema", 1), SCHEMA)
        rows = [dict(row) for row in fields.get("waiting", [])]
        last_waits = [row["frame"] for row in rows]  # former files say it of the last issue only
        return rows, [
            {
                "terms": dict(issue["terms"]),
                "anchors": [int(index) for index in issue["anchors"]],
                "waiting": [int(index) for index in issue.get("waiting", [] if number else last_waits)],
            }
            for number, issue in enumerate(fields["issued"])
        ]
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    except NewerVersionError:
        raise
    except (StageError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StageError(
            f"{path}: found no readable list of the frames that were asked for ({error or type(error).__name__}); "
            "delete it to be asked anew, perhaps for other frames; nothing that was painted is lost"
        ) from None
