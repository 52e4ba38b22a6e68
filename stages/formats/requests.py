"""`outputs/<seq>/requests.json`: which frames wait for scribbles, and what was asked under which terms.

    waiting     a row for each frame that the last run waits for
    issued      anchors by the terms under which they were planned, the last first; which of them were asked for, since
                others had been annotated unasked, and which still wait
    declined    frames by scribble set and length of the video that nobody is to be asked for
    suggested   frames that the report suggests: pictures of them are laid out, and nothing waits for them
    approval    frames whose anchor masks the last run wants approved, and the terms under which they are anchors

The last three are there if they say something; versions that do not know them pass them over. The pictures to paint on,
and what people painted, are in `stages.formats.paintings`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from stages.core.errors import StageError
from stages.core.palette import colour_of
from stages.core.plan import Plan
from stages.formats.files import write_json
from stages.formats.json_files import read_json
from stages.formats.manifest import Json
from stages.formats.objects_json import NamedObject
from stages.formats.paintings import FOLDER, REQUESTS_JSON, clear_away, paint_on, withdraw
from stages.formats.schema import NewerVersionError, check_schema

SCHEMA: Final = 1
_OF_SET: Final = ("scribbles", "frame_count")
"""What tells the scribbles of one video from others, among terms."""


def issued_anchors(root: Path, terms: Json) -> tuple[int, ...]:
    """The anchors that were asked for under these terms before; they never move.

    Args:
        root: the sequence's folder of results.
        terms: scribble set, number of requests, placement and frame count.

    Raises:
        NewerVersionError: a newer version of LIS has asked.
        StageError: the file is damaged.
    """
    return next((tuple(issue["anchors"]) for issue in _read(root).issued if issue["terms"] == terms), ())


def has_asked_for(root: Path, scribble_set: str) -> bool:
    """Whether people were asked for scribbles of this set before.

    Raises:
        StageError: see `issued_anchors`.
    """
    return any(issue["terms"].get("scribbles") == scribble_set for issue in _read(root).issued)


def terms_of_waiting(root: Path) -> Json:
    """The terms under which people were asked last, see `issued_anchors`; nothing if no frame waits for them.

    Raises:
        StageError: see `issued_anchors`.
    """
    said = _read(root)
    return said.issued[0]["terms"] if said.issued and said.waiting else {}


def approval_awaited(root: Path) -> Json:
    """The terms under which the last run has asked for approval of anchor masks; nothing if it has not.

    Raises:
        StageError: see `issued_anchors`.
    """
    terms: Json = _read(root).approval.get("terms", {})
    return terms


def asked_by(root: Path) -> dict[int, str]:
    """The frames that wait for scribbles, or that a report suggests -> the scribble set that they are for.

    Raises:
        StageError: see `issued_anchors`.
    """
    return _asked_by(_read(root))


def frames_asked_for(root: Path, scribble_set: str) -> frozenset[int]:
    """The frames that people were ever asked for under some terms of a set, answered or not.

    Raises:
        StageError: see `issued_anchors`.
    """
    issued = _read(root).issued
    ours = (issue["asked"] for issue in issued if issue["terms"].get("scribbles") == scribble_set)
    return frozenset().union(*ours)


def frames_waiting(root: Path, scribble_set: str) -> frozenset[int]:
    """The frames that wait for scribbles of a set, under whatever terms.

    Raises:
        StageError: see `issued_anchors`.
    """
    issues = (issue for issue in _read(root).issued if issue["terms"].get("scribbles") == scribble_set)
    return frozenset(index for issue in issues for index in issue["waiting"])


def suggested_frames(root: Path) -> frozenset[int]:
    """The frames that the report suggests.

    Raises:
        StageError: see `issued_anchors`.
    """
    return frozenset(_read(root).suggested.get("frames", ()))


def declined_frames(root: Path, terms: Json) -> frozenset[int]:
    """The frames that nobody is to be asked for, in a set and a video as the terms name them.

    Raises:
        StageError: see `issued_anchors`.
    """
    return frozenset(index for each in _read(root).declined if _concerns(each, terms) for index in each["frames"])


def note_requests(
    root: Path, terms: Json, plan: Plan, names: Sequence[str], objects: Sequence[NamedObject] = ()
) -> None:
    """Write what people are asked for.

    Args:
        root: the sequence's folder of results.
        terms: what the requests hold under, see `issued_anchors`.
        plan: the anchors.
        names: the file name of every frame.
        objects: those that a person may paint, with their names.

    Raises:
        StageError: see `issued_anchors`.
    """
    waiting = [
        {
            "frame": index,
            "name": names[index],
            "why": "an anchor of the plan without scribbles",
            "paint_on": paint_on(index),
            "save_as": f"{FOLDER}/{index:05d}.strokes.png",
            "or_if_nothing_is_there": f"{FOLDER}/{index:05d}.empty.png",
            "or_the_mask_itself": f"{FOLDER}/{index:05d}.mask.png",
        }
        for index in plan.requested
    ]
    said = _read(root)
    others = [
        {**issue, "waiting": [index for index in issue["waiting"] if index not in plan.requested]}
        for issue in said.issued
        if issue["terms"] != terms
    ]
    former = next((issue["asked"] for issue in said.issued if issue["terms"] == terms), ())
    asked = sorted({*former, *plan.requested})
    issue = {"terms": terms, "anchors": plan.anchors, "asked": asked, "waiting": plan.requested}
    painted = [
        {"id": each.id, "name": each.name, "class": each.class_name, "paint_in": colour_of(each.id)} for each in objects
    ]
    _write(root, replace(said, waiting=waiting, issued=[issue, *others], objects=painted))


def note_approval(root: Path, terms: Json, frames: Collection[int]) -> None:
    """Write that masks of anchors are to be approved before anything is carried from them.

    Raises:
        OSError: the disk refuses.
        StageError: see `issued_anchors`.
    """
    _write(root, replace(_read(root), approval={"terms": terms, "frames": [*frames]}))


def settle_requests(root: Path, scribble_set: str, *, keeps_approving: bool = False) -> None:
    """Note that a set waits for nothing any more, and take the clean pictures away; what was asked for is remembered.

    What was laid out for other sets stays, and theirs is what is painted on it; so does what a report suggests.

    Args:
        root: the sequence's folder of results.
        scribble_set: the set's name.
        keeps_approving: whether approval was wanted of what is settled now, so that it is of what comes next.
    """
    said = _read(root)
    settled = [
        {**issue, "waiting": []} if issue["terms"].get("scribbles") == scribble_set else issue for issue in said.issued
    ]
    approval = {**said.approval, "frames": []} if said.approval and keeps_approving else {}
    settled_said = replace(said, waiting=[], issued=settled, objects=[], approval=approval)
    clear_away(root, still_asked=_asked_by(settled_said))
    if said.issued or said.approval:
        _write(root, settled_said)


def decline(root: Path, terms: Json, frames: Collection[int]) -> None:
    """Note that nobody is to be asked for these frames; clean pictures of them go.

    Raises:
        OSError: the disk refuses.
        StageError: see `issued_anchors`.
    """
    said = _read(root)

    def without(indices: Iterable[int]) -> list[int]:
        return [index for index in indices if index not in frames]

    issued = [
        {**issue, **{name: without(issue[name]) for name in ("anchors", "asked", "waiting")}}
        if _concerns(issue["terms"], terms)
        else issue
        for issue in said.issued
    ]
    waiting = [row for row in said.waiting if row["frame"] not in frames]
    suggested = {**said.suggested, "frames": without(said.suggested["frames"])} if said.suggested else {}
    declined = _with_declined(said, terms, declined_frames(root, terms).union(frames))
    _write(root, replace(said, waiting=waiting, issued=issued, declined=declined, suggested=suggested))
    for index in frames:
        withdraw(root, index)


def ask_again(root: Path, terms: Json, frames: Collection[int], plan: Plan) -> None:
    """Take back that frames were declined: they are anchors again under these terms, and under all that had asked.

    Args:
        root: the sequence's folder of results.
        terms: see `issued_anchors`.
        frames: that are to be asked for.
        plan: the anchors to note with them, if nobody was asked under these terms yet.

    Raises:
        StageError: see `issued_anchors`.
    """
    said = _read(root)
    issued = list(said.issued)
    if all(issue["terms"] != terms for issue in issued):
        issued.append({"terms": terms, "anchors": plan.anchors, "asked": [], "waiting": []})
    issued = [
        {**issue, **{name: sorted({*issue[name], *frames}) for name in ("anchors", "asked")}}
        if _concerns(issue["terms"], terms)
        else issue
        for issue in issued
    ]
    declined = _with_declined(said, terms, declined_frames(root, terms).difference(frames))
    _write(root, replace(said, issued=issued, declined=declined))


def note_suggestions(root: Path, scribble_set: str, frames: Sequence[int]) -> None:
    """Note which frames the report of a set suggests, in the place of those that were suggested before.

    Raises:
        StageError: see `issued_anchors`.
    """
    said = _read(root)
    suggested = {"scribbles": scribble_set, "frames": list(frames)} if frames else {}
    if suggested != said.suggested:
        _write(root, replace(said, suggested=suggested))


@dataclass(frozen=True)
class _Said:
    """What the file says."""

    waiting: Sequence[Json] = ()
    issued: Sequence[Json] = ()
    declined: Sequence[Json] = ()
    suggested: Json = field(default_factory=dict)
    objects: Sequence[Json] = ()
    """What may be painted; for people and programs that show it."""
    approval: Json = field(default_factory=dict)


def _asked_by(said: _Said) -> dict[int, str]:
    found = dict.fromkeys(said.suggested.get("frames", ()), str(said.suggested.get("scribbles", "")))
    for issue in reversed(said.issued):
        found |= dict.fromkeys(issue["waiting"], str(issue["terms"].get("scribbles", "")))
    return found


def _concerns(noted: Json, terms: Json) -> bool:
    """Whether something was noted of the set and the video that the terms are about."""
    return all(noted.get(name) == terms[name] for name in _OF_SET)


def _with_declined(said: _Said, terms: Json, frames: Collection[int]) -> list[Json]:
    others = [each for each in said.declined if not _concerns(each, terms)]
    return [*others, *([{**{name: terms[name] for name in _OF_SET}, "frames": sorted(frames)}] if frames else [])]


def _write(root: Path, said: _Said) -> None:
    fields = {"schema": SCHEMA, "waiting": said.waiting, "issued": said.issued}
    extra = {name: getattr(said, name) for name in ("declined", "suggested", "objects", "approval")}
    write_json(root / REQUESTS_JSON, {**fields, **{name: value for name, value in extra.items() if value}})


def _read(root: Path) -> _Said:
    """What the file says; nothing if there is none. Damage is told: anchors that people work on must not move."""
    path = root / REQUESTS_JSON
    try:
        fields = read_json(path)
        check_schema(path, fields.get("schema", 1), SCHEMA)
        rows = [dict(row) for row in fields.get("waiting", [])]
        last_waits = [row["frame"] for row in rows]  # former files say it of the last issue only
        issued = [
            {
                "terms": dict(issue["terms"]),
                "anchors": [int(index) for index in issue["anchors"]],
                # Former files do not say which of the anchors were asked for.
                "asked": [int(index) for index in issue.get("asked", issue["anchors"])],
                "waiting": [int(index) for index in issue.get("waiting", [] if number else last_waits)],
            }
            for number, issue in enumerate(fields["issued"])
        ]
        declined = [_frames_of(each) for each in fields.get("declined", [])]
        suggested = _frames_of(fields["suggested"]) if fields.get("suggested") else {}
        approval = _frames_of(fields["approval"]) if fields.get("approval") else {}
        return _Said(rows, issued, declined, suggested, list(fields.get("objects", [])), approval)
    except (FileNotFoundError, NotADirectoryError):
        return _Said()
    except NewerVersionError:
        raise
    except (StageError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StageError(
            f"{path}: found no readable list of the frames that were asked for ({error or type(error).__name__}); "
            "delete it to be asked anew, perhaps for other frames; nothing that was painted is lost"
        ) from None


def _frames_of(noted: Json) -> Json:
    return {**noted, "frames": [int(index) for index in noted["frames"]]}
