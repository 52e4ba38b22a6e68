"""Carrying out what was worked out of people's work (`stages.steps.amend`).

Nothing goes without a copy in `removed/<when>-<set>/` beside the set, with a line that says why; the scribble file
itself changes last, by one rename.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from stages.core.errors import StageError
from stages.formats import files, paintings, requests
from stages.formats.drafts import discard_draft, draft_file, mask_of_draft
from stages.formats.given_for import given_for, note_given_for
from stages.formats.given_masks import REMOVED, keep_seen, write_given
from stages.formats.manifest import Json
from stages.formats.masks import encoded_mask
from stages.formats.objects_json import OBJECTS_JSON, write_objects
from stages.formats.scribbles import ScribbleSet, write_scribbles
from stages.steps.amend import Amendment, Drawn

WHY: Final = "why.txt"
"""In a folder of what was removed: what was done."""


def carry_out(root: Path, terms: Json, drawn: Drawn, change: Amendment) -> Path | None:
    """Make a change, with the sequence's lock held.

    Args:
        root: the sequence's folder of results.
        terms: see `stages.formats.requests.issued_anchors`.
        drawn: what it was worked out from.
        change: what is to become of it.

    Returns:
        The folder with copies of everything as it was; None if nothing goes.

    Raises:
        ChangedError: somebody has drawn on, on a frame that is taken back; nothing was changed.
        StageError: the disk refuses; what has changed by then is in that folder as it was.
    """
    try:
        pictures = [picture for index in sorted(change.taken_back) for picture in drawn.painted.get(index, ())]
        digests = paintings.digests_of(pictures)  # what is saved from now on is not taken away
        copies = _keep_copies(drawn, change, pictures) if change.takes_away else None
        for index in sorted(change.taken_back & drawn.drafts.keys()):
            discard_draft(drawn.file, index, drawn.drafts[index].tag)
        for picture in pictures:
            paintings.take_away(picture, [digests[picture.name]])
        if change.taken_back:
            requests.decline(root, terms, change.taken_back)
        pictures_of_masks = given_for(drawn.file) if change.masks else {}
        for index, labels in change.masks.items():
            if labels is None:
                files.delete(drawn.given[index])
            else:
                write_given(drawn.file, index, labels)
        if pictures_of_masks:
            stay = pictures_of_masks.keys() - {index for index, labels in change.masks.items() if labels is None}
            note_given_for(drawn.file, {index: pictures_of_masks[index] for index in sorted(stay)})
        scribbles = _keep_all_seen(drawn, change)
        if change.objects is not None:
            write_objects(drawn.file.parent, scribbles.sequence, scribbles.frame_count, change.objects)
        if scribbles != drawn.scribbles:
            write_scribbles(drawn.file, scribbles)
        return copies
    except OSError as error:
        raise StageError(
            f"{error.filename or drawn.file}: it cannot be changed: {error.strerror or error}; make room or allow it"
        ) from error


def _keep_all_seen(drawn: Drawn, change: Amendment) -> ScribbleSet:
    """Keep what was seen of corrected frames with its new ids; the set that names it."""
    corrects = dict(change.scribbles.corrects)
    for index, labels in change.seen.items():
        content = bytes(encoded_mask(drawn.file, labels))
        corrects[index] = hashlib.sha256(content).hexdigest()
        keep_seen(drawn.file, index, content, corrects[index])
    return replace(change.scribbles, corrects=corrects)


def _keep_copies(drawn: Drawn, change: Amendment, pictures: Iterable[Path]) -> Path:
    """A folder with everything as it was that a change touches."""
    touched = {drawn.file.name: drawn.file, **{f"{paintings.FOLDER}/{each.name}": each for each in pictures}}
    if change.objects is not None:
        touched[OBJECTS_JSON] = drawn.file.parent / OBJECTS_JSON
    for index in change.masks:
        touched[f"{drawn.given[index].parent.name}/{drawn.given[index].name}"] = drawn.given[index]
    for index in change.taken_back & drawn.drafts.keys():
        for path in (draft_file(drawn.file, index), mask_of_draft(drawn.file, index)):
            touched[f"{path.parent.name}/{path.name}"] = path
    folder = _unused(drawn.file.parent / REMOVED / f"{datetime.now():%Y%m%d-%H%M%S}-{drawn.file.stem}")
    with files.publishing(folder) as place:
        for name, path in touched.items():
            if path.exists():
                files.make_folder((place / name).parent)
                files.copy(path, place / name)
        files.write(place / WHY, "\n".join(change.said) + "\n")
        files.put_in_place(place, folder)
    return folder


def _unused(path: Path) -> Path:
    numbered = (path.with_name(f"{path.name}-{number}") for number in range(2, 10_000))
    return next(each for each in (path, *numbered) if not each.exists())
