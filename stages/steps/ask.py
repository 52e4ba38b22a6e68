"""Asking people for scribbles, and reading what they painted."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from stages.core.errors import InputError
from stages.core.plan import Plan
from stages.core.strokes import FrameScribbles
from stages.core.types import LabelMap
from stages.core.words import and_so_on
from stages.formats.frames import Frames, pixel_digest, read_frame
from stages.formats.given_masks import read_given
from stages.formats.manifest import Json
from stages.formats.object_ids import check_ids, ids_in_use, ids_of
from stages.formats.objects_json import OBJECTS_JSON, NamedObject, read_objects
from stages.formats.paintings import (
    clear_away,
    contradiction,
    is_declared_empty,
    is_mask,
    lay_out,
    lay_out_legend,
    of_set,
)
from stages.formats.pictures import encoded
from stages.formats.requests import asked_by, note_requests, note_suggestions, suggested_frames
from stages.formats.scribbles import ScribbleSet, check_video, merge
from stages.formats.strokes import strokes_from_png
from stages.steps.legend import draw_legend
from stages.steps.seen import A_CORRECTION, seen_in


@dataclass(frozen=True)
class Reading:
    """What painted pictures say."""

    scribbles: ScribbleSet
    """The set with their strokes."""
    masks: Mapping[int, LabelMap]
    """The masks among them: frame index -> (H, W) uint8 object ids."""
    said: tuple[str, ...]
    """A line for each frame that was read, and for what a person may have meant otherwise."""


def ask(root: Path, terms: Json, plan: Plan, frames: Sequence[Path], objects: Sequence[NamedObject] = ()) -> list[int]:
    """Say which frames wait for scribbles, and lay out the pictures to paint on; nobody's painting is touched.

    Args:
        root: the sequence's folder of results.
        terms: what the requests hold under, see `stages.formats.requests.issued_anchors`.
        plan: the anchors.
        frames: the video's pictures, in order.
        objects: those that a person may paint, for the legend.

    Returns:
        The frames of which no clean picture could be laid out, since a person has just painted on it.
    """
    painted = [index for index in plan.requested if not lay_out(root, index, _as_png(frames[index]))]
    # What was painted may have to be painted again; what the report suggests is not asked for, and stays.
    clear_away(root, still_asked=suggested_frames(root).union(plan.anchors))
    _lay_out_legend(root, objects)
    note_requests(root, terms, plan, [path.name for path in frames], objects)
    return painted


def lay_out_suggested(
    root: Path,
    scribble_set: str,
    suggested: Sequence[int],
    frames: Sequence[Path],
    objects: Sequence[NamedObject] = (),
) -> None:
    """Lay out the pictures that a report suggests to paint on: nobody waits for them. Those of former suggestions go.

    Args:
        root: the sequence's folder of results.
        scribble_set: the one that the report is about: paintings on these pictures are for it.
        suggested: frame indices.
        frames: the video's pictures, in order.
        objects: those that a person may paint, for the legend.
    """
    note_suggestions(root, scribble_set, suggested)
    for index in suggested:
        lay_out(root, index, _as_png(frames[index]))
    _lay_out_legend(root, objects)
    clear_away(root, still_asked=asked_by(root))


def _lay_out_legend(root: Path, objects: Sequence[NamedObject]) -> None:
    if objects:
        lay_out_legend(root, encoded(draw_legend(objects), "PNG", compress_level=1))


def _as_png(frame: Path) -> memoryview:
    return encoded(Image.fromarray(read_frame(frame)), "PNG", compress_level=1)


def look_at_painted(
    root: Path,
    scribble_file: Path,
    scribbles: ScribbleSet,
    painted: Mapping[int, Sequence[Path]],
    frames: Sequence[Path],
    beside: Mapping[int, Sequence[Path]] | None = None,
) -> Reading:
    """Read every painted picture that waits, and change nothing; its strokes replace the frame's former ones.

    A mask says all of its frame: strokes that were painted beside it are kept, and not read.
    What is painted may correct what people see of the frame, see `stages.steps.seen`.

    Args:
        root: the sequence's folder of results.
        scribble_file: the file of the set; beside it, objects.json says which objects there are.
        scribbles: the set as it is.
        painted: frame index -> its painted pictures, the one that counts first.
        frames: the video's pictures, in order.
        beside: frame index -> all that was painted for the set; None: as it lies there now.

    Raises:
        InputError: a picture cannot be read (see `stages.formats.strokes` and `read_given`), has ids without meaning,
            is for a frame that does not exist, is both painted and declared empty, or the set was drawn on another
            video.
    """
    said: list[str] = []
    masks: dict[int, LabelMap] = {}
    before = scribbles.annotated
    check_video(scribble_file, scribbles, Frames(frames), [index for index in before if index not in painted])
    name = scribble_file.stem
    everything = of_set(root, name, before, frames, asked_by(root)) if beside is None else beside
    seen = seen_in(root, name, [path.name for path in frames])
    for index, (path, *others) in painted.items():
        if index >= len(frames):
            raise InputError(f"{path}: the video has the frames 0 to {len(frames) - 1}. Rename or delete the picture.")
        if contrary := contradiction(everything.get(index, [])):
            raise InputError(
                f"{contrary[0]} and {contrary[1].name} contradict each other: a frame has strokes or holds nothing. "
                "Delete one of them."
            )
        if is_mask(path):
            masks[index] = read_mask_of(index, path, scribble_file, scribbles, Frames(frames), said.append)
            said += [
                f"frame {index}: {other.name} is there, too: the mask goes before it; it is kept, and not read"
                for other in others
            ]
            continue
        lines = () if is_declared_empty(path) else strokes_from_png(path, frames[index], said.append)
        corrects = seen.corrected_by(scribbles, index) if lines else ""
        scribbles = merge(scribbles, index, lines, pixel_digest(read_frame(frames[index])), corrects)
        said.append(
            f"frame {index}: {listed(scribbles.frame(index))}, from {path.name}" + f"; {A_CORRECTION}" * bool(corrects)
        )
        said += [
            f"frame {index}: {other.name} was painted, too, but not saved last: it is kept, and not read"
            for other in others
        ]
    said += _doubts(scribble_file.parent, scribbles, sorted(painted.keys() - masks), is_first=not before)
    return Reading(scribbles, masks, tuple(said))


def read_mask_of(
    index: int, path: Path, scribble_file: Path, scribbles: ScribbleSet, video: Frames, tell: Callable[[str], object]
) -> LabelMap:
    """A frame's mask, whose ids mean something.

    Args:
        index: the frame.
        path: the mask.
        scribble_file: the file of the set; beside it, objects.json says which objects there are.
        scribbles: what the set says.
        video: the pictures.
        tell: is told what the mask holds, in a line.

    Raises:
        InputError: it cannot be used, see `read_given` and `check_ids`.
    """
    labels = read_given(path, video.size_wh, tell, frame=video.paths[index].name)
    known = read_objects(scribble_file.parent, scribbles.sequence, scribbles.frame_count).listed
    check_ids(path, labels, ids_in_use(scribble_file, scribbles, known))
    ids = [str(each) for each in ids_of(labels) if each]
    what = f"object{'s' * (len(ids) > 1)} {', '.join(ids)}" if ids else "nothing is there"
    tell(f"frame {index}: {what}, a whole mask, from {path.name}")
    return labels


def listed(drawn: FrameScribbles) -> str:
    """`object 1 (2 strokes), background (1 stroke)`."""
    counts = sorted(Counter(line.object_id for line in drawn.lines).items(), key=lambda item: (item[0] == 0, item[0]))
    named = [
        f"{f'object {object_id}' if object_id else 'background'} ({count} stroke{'s' * (count > 1)})"
        for object_id, count in counts
    ]
    return ", ".join(named) or "nothing is there"


def _doubts(folder: Path, scribbles: ScribbleSet, painted: Sequence[int], *, is_first: bool) -> list[str]:
    """What a person may have meant otherwise: an id that is nowhere else, a gap among the first ids."""
    is_listed = (folder / OBJECTS_JSON).exists()
    try:
        listed = read_objects(folder, scribbles.sequence, scribbles.frame_count).listed
    except InputError as error:
        return [f"warning: {error}; the ids of strokes are not compared with it"]
    known = Counter(object_id for drawn in scribbles.frames.values() for object_id in drawn.object_ids)
    comparable = is_listed or len(scribbles.frames) > 1
    doubts = [
        f"warning: object {object_id} of frame {index} is on no other frame"
        + f", nor in {OBJECTS_JSON}" * is_listed
        + "; is it meant?"
        for index in painted
        for object_id in scribbles.frame(index).object_ids
        if comparable and known[object_id] == 1 and object_id not in listed
    ]
    gaps = sorted(set(range(1, max(known, default=0))) - set(known))
    if is_first and not is_listed and gaps:
        found = ", ".join(str(object_id) for object_id in sorted(known))
        doubts.append(
            f"warning: the first strokes are of the objects {found}, and none of {and_so_on(gaps, 5)}; is it meant?"
        )
    return doubts
