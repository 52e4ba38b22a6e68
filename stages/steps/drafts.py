"""Drafts beside what the set says: which are to be merged, which are in it already, and which contradict it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from stages.core.errors import InputError
from stages.formats.draft_json import Draft, DraftKind, DraftState
from stages.formats.drafts import base_of
from stages.formats.scribbles import ScribbleSet, merge


@dataclass(frozen=True)
class Sifted:
    """Drafts that are ready, by frame."""

    waiting: Mapping[int, Draft]
    """To be merged: the set says of their frames what it said when drawing began."""
    settled: Mapping[int, Draft]
    """In the set already: whoever merged them was stopped before they were taken away."""
    contrary: Mapping[int, Draft]
    """Somebody else has changed their frames in the set, or the masks that they correct are gone: a person decides."""


def merged(scribbles: ScribbleSet, draft: Draft, frame_digest: str = "") -> ScribbleSet:
    """The set with what a draft of strokes, or of nothing, says of its frame; `frame_digest` as of `merge`."""
    index = draft.frame
    new = merge(scribbles, index, draft.lines, frame_digest, draft.corrects)
    absent = {**{other: ids for other, ids in new.absent.items() if other != index}, index: draft.absent}
    return replace(
        new,
        absent={other: ids for other, ids in sorted(absent.items()) if ids},
        from_boxes=dict(sorted({**new.from_boxes, **({index: draft.from_boxes} if draft.from_boxes else {})}.items())),
    )


def base_with(scribbles: ScribbleSet, draft: Draft, mask: str) -> str | None:
    """What a set says of a draft's frame once the draft is in it, see `base_of`.

    Args:
        scribbles: the set.
        draft: the draft.
        mask: the sha256 of its mask's file, if it is one.
    """
    if draft.kind == DraftKind.MASK:
        return base_of(scribbles, mask, draft.frame)
    return base_of(merged(scribbles, draft), "", draft.frame)


def sift(
    drafts: Mapping[int, Draft],
    scribbles: ScribbleSet,
    given: Mapping[int, str],
    mask_of: Callable[[int], str],
    can_correct: Callable[[int, str], bool] = lambda frame, digest: True,
) -> Sifted:
    """Tell drafts apart; those that are not ready, or say nothing, are passed over.

    Args:
        drafts: by frame.
        scribbles: the set as it is.
        given: the sha256 of the masks that were given with it, by frame.
        mask_of: frame -> the sha256 of the mask of its draft.
        can_correct: whether the mask of a frame that has this sha256, which a draft corrects, is still to be had.

    Raises:
        InputError: one is of a frame that does not exist.
    """
    waiting, settled, contrary = dict[int, Draft](), dict[int, Draft](), dict[int, Draft]()
    for index, draft in drafts.items():
        if draft.state != DraftState.READY or draft.says_nothing:
            continue
        if index >= scribbles.frame_count:
            raise InputError(
                f"found a draft of frame {index} of {scribbles.sequence!r}, expected frames in "
                f"0..{scribbles.frame_count - 1}; discard it, or bring back the video"
            )
        mask = mask_of(index) if draft.kind == DraftKind.MASK else ""
        present, then = base_of(scribbles, given.get(index, ""), index), base_with(scribbles, draft, mask)
        # A kill may have left the strokes in the set, and the mask beneath them not yet taken away.
        strokes_are_there = draft.kind != DraftKind.MASK and base_of(scribbles, "", index) == then
        if present == then:
            settled[index] = draft
        elif (draft.base == present and _finds(draft, can_correct)) or strokes_are_there:
            waiting[index] = draft
        else:
            contrary[index] = draft
    return Sifted(waiting, settled, contrary)


def _finds(draft: Draft, can_correct: Callable[[int, str], bool]) -> bool:
    return not draft.corrects or can_correct(draft.frame, draft.corrects)
