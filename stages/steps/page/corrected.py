"""The mask that a person has seen of a frame when strokes correct it: where it is, and a copy that stays."""

import hashlib
from pathlib import Path

from stages.formats import files
from stages.formats.given_masks import keep_seen, seen_copy
from stages.steps.page.masks import MaskStage, mask_files


def mask_seen(root: Path, scribble_file: Path, index: int, name: str, digest: str) -> Path | None:
    """The file of a mask that a person has seen: the copy beside the set, or one that a run has made.

    Args:
        root: the sequence's folder of results.
        scribble_file: the set's.
        index: the frame's.
        name: of the frame's picture.
        digest: the sha256 of the file's bytes.

    Returns:
        The file; None if it is not there any more.
    """
    made = (path for stage in MaskStage for path in mask_files(root, stage, index, name))
    for path in (seen_copy(scribble_file, index, digest), *made):
        if path.is_file() and files.sha256(path) == digest:
            return path
    return None


def keep_mask_seen(root: Path, scribble_file: Path, index: int, name: str, digest: str) -> bool:
    """Keep a copy beside the set, so that a run which makes another result meanwhile does no harm.

    Returns:
        Whether there is one now; not if the mask is not there any more.

    Raises:
        StageError: the disk refuses.
    """
    path = mask_seen(root, scribble_file, index, name, digest)
    if path is None:
        return False
    if path != seen_copy(scribble_file, index, digest):
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:  # it has just been replaced
            return False
        keep_seen(scribble_file, index, content, digest)
    return True
