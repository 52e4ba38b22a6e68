"""What waits is merged into the scribble set: painted pictures, and drafts that are ready.

A run merges into its frozen copy, and goes on with that. The set itself is changed only if nobody has saved it since
the run began; else it stays, with all that waits, for the next run. A kill at any moment loses no stroke and merges
none twice: what waited is taken away last, and what is in the set already is known by what it says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from stages.core.errors import StageError
from stages.core.types import LabelMap
from stages.formats import files
from stages.formats.draft_json import Draft, DraftKind
from stages.formats.drafts import mark_conflict, mask_of_draft, settle_draft
from stages.formats.frames import Frames, pixel_digest, read_frame
from stages.formats.frozen import Frozen, Waiting
from stages.formats.given_for import note_given_for
from stages.formats.given_masks import keep_removed, keep_seen, masks_folder, seen_copy, write_given
from stages.formats.paintings import digests_of, note_read
from stages.formats.scribbles import ScribbleSet, write_scribbles
from stages.steps.ask import Reading, listed, look_at_painted, read_mask_of
from stages.steps.drafts import base_with, merged
from stages.steps.seen import NOTHING_SEEN, is_to_be_had, seen_in


def digest_of_set(scribble_file: Path) -> str | None:
    """The sha256 of a set's file; None: there is none."""
    return files.sha256(scribble_file) if scribble_file.exists() else None


def look_at_waiting(
    root: Path,
    scribble_file: Path,
    scribbles: ScribbleSet,
    waiting: Waiting,
    frames: Sequence[Path],
    frozen: Frozen | None = None,
) -> Reading:
    """Read everything that waits, and change nothing.

    Of a draft and a picture of one frame the draft was saved last: the picture is kept, and not read.

    Args:
        root: the sequence's folder of results.
        scribble_file: the set's.
        scribbles: the set as it was when `waiting` was found.
        waiting: what waits.
        frames: the video's pictures, in order.
        frozen: the run's copy; None: there is none.

    Returns:
        The set with all of it, and what was read in words.

    Raises:
        InputError: see `look_at_painted`; or a draft's mask cannot be used.
    """
    painted = {index: paths for index, paths in waiting.painted.items() if index not in waiting.drafts}
    found = look_at_painted(root, scribble_file, scribbles, painted, frames, frozen.beside if frozen else None)
    drawn, masks, said = found.scribbles, dict(found.masks), [*found.said]
    for index, draft in waiting.drafts.items():
        if draft.kind == DraftKind.MASK:
            mask = mask_of_draft(_read_from(scribble_file, frozen), index)
            masks[index] = read_mask_of(index, mask, scribble_file, drawn, Frames(frames), said.append)
        else:
            drawn = merged(drawn, draft, pixel_digest(read_frame(frames[index])))
            said.append(f"frame {index}: {listed(drawn.frame(index))}, drawn by {draft.author or 'somebody'}")
        said += [
            f"frame {index}: {path.name} was painted, too, but not saved last: it is kept, and not read"
            for path in waiting.painted.get(index, ())
        ]
    seen = seen_in(root, scribble_file.stem, [path.name for path in frames]) if waiting.contrary else NOTHING_SEEN
    for index, draft in waiting.contrary.items():
        if draft.corrects and not is_to_be_had(scribble_file, seen, index, draft.corrects):
            why = "the mask that its draft corrects is in no result any more; the draft is kept"
        else:
            why = "somebody else has changed it since drawing began; both are kept"
        said.append(f"frame {index}: {why}, decide in the page")
    return Reading(drawn, masks, tuple(said))


def promote(
    root: Path,
    scribble_file: Path,
    scribbles: ScribbleSet,
    waiting: Waiting,
    frames: Sequence[Path],
    *,
    frozen: Frozen | None = None,
    noted: str | None = None,
) -> Reading:
    """Merge everything that waits into the scribble set; arguments and errors as of `look_at_waiting`.

    A copy of every mask that is corrected is kept beside the set. If one picture cannot be read, none is merged.

    Args:
        root: see above.
        scribble_file: see above.
        scribbles: see above.
        waiting: see above.
        frames: see above.
        frozen: the run's copy, which gets all of it in any case; None: there is none.
        noted: the sha256 of the set's file when `waiting` was found, where there is no copy; None: there was no file.

    Raises:
        StageError: the disk refuses; or a mask that strokes correct is not there as it was seen.
    """
    digests = digests_of(path for paths in waiting.painted.values() for path in paths)
    found = look_at_waiting(root, scribble_file, scribbles, waiting, frames, frozen)
    drawn, masks = found.scribbles, found.masks
    stroked = sorted({*waiting.painted, *waiting.drafts} - {*masks})
    seen = seen_in(root, scribble_file.stem, [path.name for path in frames])
    for index in stroked:
        corrected = drawn.corrects.get(index, "")
        is_kept = index in waiting.drafts and seen_copy(scribble_file, index, corrected).exists()
        if corrected and not is_kept:
            if seen.digests.get(index) != corrected:
                raise StageError(
                    f"frame {index}: the mask that strokes correct is not in the result any more; draw anew"
                )
            keep_seen(scribble_file, index, seen.content(index), corrected)
    superseded = [index for index in waiting.drafts if index not in masks]
    if frozen is not None:
        _write_masks(frozen.copy_of_set, masks, frames)
        if stroked:
            write_scribbles(frozen.copy_of_set, drawn)
        _take_masks_back(frozen.copy_of_set, superseded)
        noted = frozen.set_digest
    if is_in := _merge_if(scribble_file, noted, drawn if stroked else None, masks, superseded, frames):
        if digests:
            note_read(root, scribble_file.stem, digests)
        _settle(scribble_file, _read_from(scribble_file, frozen), drawn, waiting)
    if frozen is not None:
        frozen.nothing_waits()
    edited = f"{scribble_file.name} was edited while this run began; what waited for it waits for the next run"
    return found if is_in else replace(found, said=(*found.said, edited))


def _read_from(scribble_file: Path, frozen: Frozen | None) -> Path:
    return frozen.copy_of_set if frozen else scribble_file


def _merge_if(
    scribble_file: Path,
    noted: str | None,
    drawn: ScribbleSet | None,
    masks: Mapping[int, LabelMap],
    superseded: Sequence[int],
    frames: Sequence[Path],
) -> bool:
    """Change the set, if it still is what was noted: the given masks, the strokes, masks that strokes supersede."""

    def is_as_noted() -> bool:
        return digest_of_set(scribble_file) == noted

    if not is_as_noted():
        return False
    files.sweep_beside(scribble_file)
    _write_masks(scribble_file, masks, frames)
    if drawn is not None and not write_scribbles(scribble_file, drawn, is_as_noted):
        return False
    _take_masks_back(scribble_file, superseded)
    return True


def _settle(scribble_file: Path, read_from: Path, drawn: ScribbleSet, waiting: Waiting) -> None:
    """Take away what is in the set; last of all."""
    for draft in [*waiting.drafts.values(), *waiting.settled.values()]:
        settle_draft(scribble_file, draft, base_with(drawn, draft, _digest_of_mask(read_from, draft)))
    for draft in waiting.contrary.values():
        mark_conflict(scribble_file, draft)


def _digest_of_mask(scribble_file: Path, draft: Draft) -> str:
    return files.sha256(masks_folder(scribble_file) / f"{draft.frame:05d}.png") if draft.kind == DraftKind.MASK else ""


def _write_masks(scribble_file: Path, masks: Mapping[int, LabelMap], frames: Sequence[Path]) -> None:
    for index, labels in masks.items():
        write_given(scribble_file, index, labels)
    if masks:
        note_given_for(scribble_file, {index: pixel_digest(read_frame(frames[index])) for index in masks})


def _take_masks_back(scribble_file: Path, frames: Iterable[int]) -> None:
    """Given masks of frames that somebody has drawn on since: kept in `removed/`."""
    for index in frames:
        mask = masks_folder(scribble_file) / f"{index:05d}.png"
        if mask.exists():
            keep_removed(mask)
            files.delete(mask)
