"""Scribbles: lines that people draw over anchor frames, in the DAVIS JSON format.

    {"scribbles": [ one list of lines per frame ], "sequence": "<name>", "annotated_frames": [12, 24]}
    line = {"path": [[x, y], ...], "object_id": 1, "start_time": 0, "end_time": 0}

x and y are fractions of the picture: column / width and row / height. Object 0 is background, objects count from 1.
`annotated_frames` is our own optional key: it also names frames on which, by a person's word, there is nothing.
Files of the DAVIS challenge have neither it nor, always, its older form `annotated_frame`. Times are milliseconds; they
say how long a person drew, and no mask depends on them.
`frame_digests` is another one, {"12": "<digest of frame 12>"}, and says which pictures the strokes were drawn on (see
`pixel_digest` in `stages/formats/frames.py`). Keys that nobody here knows are kept.
`corrects`, {"12": "<sha256>"}, says which mask of the result the strokes on a frame correct: objects without a stroke
there keep what they had in it. A copy of it lies beside the set (see `stages/formats/given_masks.py`).
`absent`, {"12": [2]}, names objects that are not on an annotated frame by a person's word, whatever a mask that is
corrected there, or an engine, says. `from_boxes`, {"12": [2]}, names objects whose strokes on a frame were made from a
box and nothing else: they deserve a look.
"""

import codecs
import hashlib
import json
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from stages.core.errors import InputError, StageError
from stages.core.palette import MAX_OBJECT_ID
from stages.core.strokes import FrameScribbles, Line
from stages.core.types import Frame
from stages.formats import files
from stages.formats.frames import pixel_digest
from stages.formats.names import normal

MAX_FILE_BYTES: Final = 32 * 2**20
MAX_POINTS: Final = 500_000
OVERSHOOT: Final = 1e-6
"""How far outside [0, 1] a coordinate may lie by rounding; it is clipped."""
DECIMALS: Final = 6
"""Coordinates are kept to a millionth: a hundredth of a pixel in a picture that is 10,000 pixels wide."""
_LATEST_MS: Final = 1e15
"""The year 33658: beyond it, a time is none."""


@dataclass(frozen=True)
class ScribbleSet:
    """Everything drawn on one sequence: the content of one scribble file. `ScribbleSet(name, n)` is an empty one."""

    sequence: str
    frame_count: int
    frames: Mapping[int, FrameScribbles] = field(default_factory=dict)
    """The annotated frames by index; one without lines says that nothing is there."""
    frame_digests: Mapping[int, str] = field(default_factory=dict)
    """The pictures that frames were drawn on, by index, as far as the file says."""
    corrects: Mapping[int, str] = field(default_factory=dict)
    """The corrected frames, by index: the sha256 of the mask that was seen, the bytes of the result's PNG."""
    absent: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """Objects that a person has called absent, ascending, by the index of an annotated frame."""
    from_boxes: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """Objects whose strokes on a frame were made from a box alone, ascending, by the frame's index."""
    other_keys: Mapping[str, Any] = field(default_factory=dict)
    """What else the file says."""
    _digests: dict[int, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def annotated(self) -> tuple[int, ...]:
        """The annotated frames, ascending."""
        return tuple(sorted(self.frames))

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects that have a line anywhere, ascending, without the background."""
        return tuple(sorted({object_id for frame in self.frames.values() for object_id in frame.object_ids}))

    @property
    def drawn_s(self) -> float:
        """How long people drew, in seconds, as far as the lines say so; see `FrameScribbles`."""
        return math.fsum(frame.drawn_s for frame in self.frames.values())

    def frame(self, index: int) -> FrameScribbles:
        """The lines on a frame; none if it is not annotated."""
        return self.frames.get(index, FrameScribbles(()))

    def strokes_digest(self, index: int) -> str:
        """The sha256 of what is drawn on a frame: annotated or not, object ids and paths, and nothing else.

        Times, the order of keys, white space, the way numbers are printed and the other frames leave it as it is.
        """
        if index not in self._digests:
            lines = [(line.object_id, line.path) for line in map(canonical, self.frame(index).lines)]
            drawn = {"annotated": index in self.frames, "lines": lines}
            self._digests[index] = hashlib.sha256(json.dumps(drawn).encode()).hexdigest()
        return self._digests[index]


def read_scribbles(path: Path, sequence: str, frame_count: int) -> ScribbleSet:
    """Read a scribble file and check it in full.

    Args:
        path: the JSON file.
        sequence: the name of the sequence it must belong to.
        frame_count: how many frames the sequence has.

    Returns:
        The set; annotated are the frames that have a line or are named in `annotated_frames`, `annotated_frame` or
        `corrects`.

    Raises:
        InputError: the file is missing, too large, no JSON, or says something that cannot be; the message tells where.
    """
    raw = read_limited(path)
    try:
        return _said(raw, sequence, frame_count)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


@lru_cache(maxsize=8)
def _said(raw: bytes, sequence: str, frame_count: int) -> ScribbleSet:
    """What the bytes of a file say. A run reads a set, and then its own copy of it: they are worked out once."""
    try:
        content = _ScribbleFile.model_validate_json(raw)
    except ValidationError as error:
        raise InputError(_explain(error.errors(include_url=False)[0])) from None
    if normal(content.sequence) != normal(sequence):
        raise InputError(
            f"found scribbles of the sequence {content.sequence!r}, expected {sequence!r}; "
            "take the file of this sequence, or correct its key 'sequence'"
        )
    if len(content.scribbles) != frame_count:
        raise InputError(
            f"found lists of lines for {len(content.scribbles)} frames, expected {frame_count}, one for each "
            f"frame of {sequence!r}; the file was drawn on another version of the video"
        )
    named = {*content.annotated_frames, *([] if content.annotated_frame is None else [content.annotated_frame])}
    keys = {
        "annotated_frames": ("the annotated frame", named),
        "frame_digests": ("the digest of a frame", content.frame_digests),
        "corrects": ("the corrected frame", content.corrects),
        "absent": ("absent objects of a frame", content.absent),
        "from_boxes": ("objects from boxes on a frame", content.from_boxes),
    }
    for key, (what, indices) in keys.items():
        if outside := [index for index in sorted(indices) if index >= frame_count]:
            raise InputError(
                f"found {what} {outside[0]}, expected frames in 0..{frame_count - 1}; correct the key {key!r}"
            )
    drawn = {index for index, lines in enumerate(content.scribbles) if lines}
    frames = {
        index: FrameScribbles(tuple(canonical(line.as_drawn()) for line in content.scribbles[index]))
        for index in sorted(named | drawn | set(content.corrects))
    }
    absent = {index: tuple(sorted(set(ids))) for index, ids in sorted(content.absent.items()) if ids}
    _check_absent(frames, absent)
    from_boxes = {index: tuple(sorted(set(ids))) for index, ids in sorted(content.from_boxes.items()) if ids}
    return ScribbleSet(
        sequence,
        frame_count,
        frames,
        content.frame_digests,
        content.corrects,
        absent,
        from_boxes,
        content.model_extra or {},
    )


def _check_absent(frames: Mapping[int, FrameScribbles], absent: Mapping[int, tuple[int, ...]]) -> None:
    for index, ids in absent.items():
        if index not in frames:
            raise InputError(
                f"found absent objects of frame {index}, which is not annotated, expected an annotated frame; "
                "name it in 'annotated_frames' or 'corrects', or correct the key 'absent'"
            )
        if drawn := sorted({*ids} & {*frames[index].object_ids}):
            raise InputError(
                f"found strokes of object {drawn[0]} on frame {index}, which calls it absent, expected one of "
                "both; remove its strokes, or correct the key 'absent'"
            )


def check_video(path: Path, scribbles: ScribbleSet, video: Sequence[Frame], frames: Iterable[int]) -> None:
    """Check that frames are the pictures that their strokes were drawn on, as far as the file says which those were.

    Args:
        path: the file.
        scribbles: what it says.
        video: the frames of the video, (H, W, 3) uint8 RGB each.
        frames: the indices in question.

    Raises:
        InputError: one is another picture; the message names all of which that is so.
    """

    def differs(index: int) -> bool:
        return scribbles.frame_digests.get(index) not in (None, pixel_digest(video[index]))

    if any(differs(index) for index in frames):
        others = [str(index) for index in scribbles.annotated if differs(index)]
        raise InputError(
            f"{path}: found strokes of another video: on the frames {', '.join(others)} they were drawn over other "
            f"pictures than those of {scribbles.sequence!r}, expected the same. Bring back the video, take its own "
            "scribbles, or, if they fit all the same, remove the key 'frame_digests' from the file"
        )


def write_scribbles(path: Path, scribbles: ScribbleSet, only_if: Callable[[], bool] = lambda: True) -> bool:
    """Write a scribble file, one stroke a row, into a folder that is made; a reader sees the old file or the new one.

    Args:
        path: the file.
        scribbles: what it is to say.
        only_if: asked at the last moment; if it says no, the old one stays.

    Returns:
        Whether the new one is there.

    Raises:
        StageError: the file cannot be written (no room, no permission).
    """
    rows = []
    for index in range(scribbles.frame_count):
        lines = [
            json.dumps(
                {
                    "object_id": line.object_id,
                    "path": line.path,
                    "start_time": plain_ms(line.start_ms),
                    "end_time": plain_ms(line.end_ms),
                },
                separators=(",", ":"),
            )
            for line in map(canonical, scribbles.frame(index).lines)
        ]
        rows.append("[\n" + ",\n".join(lines) + "\n]" if lines else "[]")
    keys: dict[str, Any] = {"sequence": scribbles.sequence, "annotated_frames": scribbles.annotated}
    if scribbles.frame_digests:
        keys["frame_digests"] = dict(sorted(scribbles.frame_digests.items()))
    if scribbles.corrects:
        keys["corrects"] = dict(sorted(scribbles.corrects.items()))
    if scribbles.absent:
        keys["absent"] = dict(sorted(scribbles.absent.items()))
    if scribbles.from_boxes:
        keys["from_boxes"] = dict(sorted(scribbles.from_boxes.items()))
    head = ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in {**keys, **scribbles.other_keys}.items())
    text = f'{{{head},"scribbles":[\n' + ",\n".join(rows) + "\n]}\n"
    try:
        files.make_folder(path.parent)
        return files.replace(path, text, only_if)
    except OSError as error:
        raise StageError(
            f"{path}: the scribbles cannot be written: {error.strerror}; make room or allow it, or keep scribbles in "
            "another folder: --scribbles-root"
        ) from error


def merge(
    scribbles: ScribbleSet, frame: int, lines: Iterable[Line], frame_digest: str = "", corrects: str = ""
) -> ScribbleSet:
    """The set with these lines as all that is drawn on a frame; no line: annotated, and nothing is there.

    They take the place of the frame's former lines, so that a picture may be painted again, or read twice.
    `frame_digest` is that of the picture that they were drawn on, if it is known; `corrects` that of the mask that they
    correct, if they do: then objects without a line are as they were in it, and those called absent stay so.

    Raises:
        InputError: the sequence has no such frame.
    """
    if not 0 <= frame < scribbles.frame_count:
        raise InputError(
            f"found strokes for frame {frame} of {scribbles.sequence!r}, expected frames in "
            f"0..{scribbles.frame_count - 1}; rename or remove the file they come from"
        )
    drawn = FrameScribbles(tuple(map(canonical, lines)))
    absent = tuple(each for each in scribbles.absent.get(frame, ()) if corrects and each not in drawn.object_ids)
    return replace(
        scribbles,
        frames=dict(sorted({**scribbles.frames, frame: drawn}.items())),
        frame_digests=_with(scribbles.frame_digests, frame, frame_digest),
        corrects=_with(scribbles.corrects, frame, corrects),
        absent=_with(scribbles.absent, frame, absent),
        from_boxes=_with(scribbles.from_boxes, frame, ()),
    )


def without(scribbles: ScribbleSet, frame: int) -> ScribbleSet:
    """The set as if nobody had annotated a frame."""
    return replace(
        scribbles,
        frames=_with(scribbles.frames, frame, None),
        frame_digests=_with(scribbles.frame_digests, frame, None),
        corrects=_with(scribbles.corrects, frame, None),
        absent=_with(scribbles.absent, frame, None),
        from_boxes=_with(scribbles.from_boxes, frame, None),
    )


def _with(known: Mapping[int, Any], frame: int, value: Any) -> dict[int, Any]:
    """What is known by frame, with another value for one of them; nothing for one that says nothing."""
    others = {index: each for index, each in known.items() if index != frame}
    return {**others, frame: value} if value else others


class Strict(BaseModel):
    """A part of a file that people may have written; a number as a text is none.

    What checks it is built when the first file is read: many commands read none.
    """

    model_config = ConfigDict(defer_build=True, strict=True)


_Fraction = Annotated[float, Field(ge=-OVERSHOOT, le=1 + OVERSHOOT, allow_inf_nan=False)]
FrameIndex = Annotated[int, Field(ge=0)]
ObjectId = Annotated[int, Field(ge=1, le=MAX_OBJECT_ID)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ScribbleLine(Strict):
    """One line of a scribble file."""

    path: Annotated[list[tuple[_Fraction, _Fraction]], Field(min_length=1)]
    object_id: Annotated[int, Field(ge=0, le=MAX_OBJECT_ID)]
    start_time: Any = 0
    end_time: Any = 0

    def as_drawn(self) -> Line:
        """A time that is none is passed over: no stroke is refused for it."""
        return Line(self.object_id, tuple(self.path), _time_ms(self.start_time), _time_ms(self.end_time))


class _ScribbleFile(Strict):
    model_config = ConfigDict(extra="allow")

    scribbles: list[list[ScribbleLine]]
    sequence: str
    annotated_frames: list[FrameIndex] = []
    annotated_frame: FrameIndex | None = None
    frame_digests: dict[FrameIndex, Digest] = {}
    corrects: dict[FrameIndex, Digest] = {}
    absent: dict[FrameIndex, list[ObjectId]] = {}
    from_boxes: dict[FrameIndex, list[ObjectId]] = {}


_EXPECTED: Final = {
    "path": "points [x, y], both finite fractions in [0, 1] of the picture's width and height, at least one in a line",
    "object_id": f"a whole number in 0..{MAX_OBJECT_ID} (0 is background)",
    "scribbles": "one list per frame, of lines {'path': [[x, y], ...], 'object_id': n}",
    "sequence": "the name of the sequence",
    "annotated_frames": "a list of frame numbers, counted from 0",
    "annotated_frame": "a frame number, counted from 0",
    "frame_digests": "digests of frames by their number, {'12': '<64 hexadecimal digits>'}",
    "corrects": "digests of masks by the number of their frame, {'12': '<64 hexadecimal digits>'}",
    "absent": f"ids of objects (1..{MAX_OBJECT_ID}) by the number of a frame, {{'12': [2]}}",
    "from_boxes": f"ids of objects (1..{MAX_OBJECT_ID}) by the number of a frame, {{'12': [2]}}",
}


def read_limited(path: Path) -> bytes:
    """The bytes of a file of lines, bounded before anything is parsed.

    Raises:
        InputError: it cannot be read, is too large, or has too many points.
    """
    try:
        size = files.stat_of_file(path).st_size
        if size > MAX_FILE_BYTES:
            raise InputError(f"{path}: found {size:,} bytes, expected at most {MAX_FILE_BYTES:,}; thin out the strokes")
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: the scribbles cannot be read: {error.strerror}; put a scribble file there") from None
    if raw.count(b"[") > MAX_POINTS:  # every point opens one bracket, so this bounds memory before anything is parsed
        raise InputError(f"{path}: found more than {MAX_POINTS:,} points; thin out the strokes")
    return raw.removeprefix(codecs.BOM_UTF8)


def _explain(error: ErrorDetails) -> str:
    location = error["loc"]
    if error["type"] == "json_invalid":
        return f"found {error['msg']}; expected a scribble file in the DAVIS JSON format; save or export it again"
    keys = [part for part in location if isinstance(part, str) and part in _EXPECTED]
    counters = [part for part in location if isinstance(part, int)]
    names = ("frame", "line", "point", "coordinate") if keys[:1] == ["scribbles"] else ("entry",)
    where = ", ".join(f"{name} {index}" for name, index in zip(names, counters, strict=False))
    where += " (counted from 0): " if where else ""
    found = "nothing" if error["type"] == "missing" else reprlib.repr(error["input"])
    key = f" as {keys[-1]!r}" if keys else ""
    expected = _EXPECTED[keys[-1]] if keys else "an object with the keys 'scribbles' and 'sequence'"
    return f"{where}found {found}{key}, expected {expected}; correct the file"


def canonical(line: Line) -> Line:
    """A line as it comes back from a file: inside the picture, to a millionth."""
    return replace(line, path=tuple((_fraction(x), _fraction(y)) for x, y in line.path))


def _time_ms(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) <= _LATEST_MS else 0.0


def plain_ms(time_ms: float) -> float:
    """A time as a file says it: whole milliseconds without a point."""
    return int(time_ms) if time_ms == int(time_ms) else round(time_ms, 3)


def _fraction(value: float) -> float:
    return round(min(1.0, max(0.0, float(value))), DECIMALS)
