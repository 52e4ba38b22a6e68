"""What people said is frozen when a run begins on a sequence; what they save later waits for the next, and is told."""

import logging
import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from stages.core.errors import LisError, StageError
from stages.formats import paintings
from stages.formats.digests import Stamp
from stages.formats.drafts import base_of, draft_file
from stages.formats.files import sha256
from stages.formats.frozen import Frozen, Live, is_whole
from stages.formats.frozen import freeze as freeze_copy
from stages.formats.given_for import PICTURES_JSON
from stages.formats.given_masks import masks_folder
from stages.formats.log import write_log
from tasks.runtime import locks, questions
from tasks.runtime.snapshot import Place, SequenceSnapshot, Terms, frozen_sets, root_of, snapshot_of

_logger = logging.getLogger("lis")
_PATIENCE_S: Final = 5.0
"""For files that are just being saved."""
_PAUSE_S: Final = 0.02
_SAVED_NOW_S: Final = 1.0

_asked: dict[tuple[Path, str], tuple[Place, Terms]] = {}
"""In which words what is frozen was asked for."""


def freeze(place: Place, terms: Terms) -> None:
    """Copy what people said of a sequence, if this run has its lock: all of its tasks read the copy from now on.

    Raises:
        LisError: see `SequenceSnapshot`; or files are saved again and again.
        OSError: a file cannot be copied, or the disk refuses.
    """
    root = root_of(place)
    if (root, terms.scribbles) in frozen_sets or not locks.holds(root):
        return
    until = time.monotonic() + _PATIENCE_S
    while True:
        now, is_last = snapshot_of(place, terms, live=True), time.monotonic() >= until
        try:
            if copy := _copied(now, is_last):
                frozen_sets[root, terms.scribbles] = copy
                _asked[root, terms.scribbles] = place, terms
                questions.ask_anew()
                return
        except (LisError, OSError):
            if is_last or not _is_being_saved(now):
                raise
        if is_last:
            raise StageError(
                f"{now.scribble_file}: found that it, or what lies beside it, is saved again and again, expected a "
                "moment of rest; run the command again"
            )
        time.sleep(_PAUSE_S)


def let_go() -> None:
    """What people say counts as it is from now on; the copies go with the lock."""
    frozen_sets.clear()
    _asked.clear()


def begin_anew() -> None:
    """The same where the locks are kept: a program runs one schedule after another, and people speak in between."""
    for root in {root for root, _ in frozen_sets}:
        locks.thaw_if_alone(root)
    let_go()


def news(place: Place, terms: Terms) -> str:
    """What people said since the sequence was frozen, in words; empty if nothing, or if it is not frozen."""
    copy = frozen_sets.get((root_of(place), terms.scribbles))
    try:
        frames = _frames_with_news(snapshot_of(place, terms), snapshot_of(place, terms, live=True)) if copy else []
    except (LisError, OSError):  # the next run meets it, and tells it
        return ""
    if not frames:
        return ""
    what = f"{len(frames)} frames were" if len(frames) > 1 else "1 frame was"
    listed = ", ".join(map(str, frames))
    return f"{what} scribbled on while this run worked ({listed}); run the command again"


def tell_news(root: Path) -> None:
    """Say what people said meanwhile, on the terminal and in the sequence's log."""
    for (folder, _), (place, terms) in _asked.items():
        if folder == root and (told := news(place, terms)):
            _logger.info("%s: %s", place.seq, told)
            write_log(root, told)


def _copied(now: SequenceSnapshot, is_last: bool) -> Frozen | None:
    """The copy; None if something was saved while it was made, or is half written: then once more."""
    paintings.check_names(now.root, now.frame_count)
    waiting = now.waiting
    torn = [path for paths in waiting.painted.values() for path in paths if not _stands_still(path)]
    if torn and not is_last:
        return None
    for path in torn:
        message = f"{path.name} was still being saved when this run began; it waits for the next run"
        _logger.info("%s: %s", now.place.seq, message)
        write_log(now.root, message)
    painted = {index: tuple(path for path in paths if path not in torn) for index, paths in waiting.painted.items()}
    pictures = masks_folder(now.scribble_file) / PICTURES_JSON
    live = Live(
        now.scribble_file,
        sha256(now.scribble_file) if now.scribble_file.exists() else None,
        _bases(now),
        [*(mask.path for mask in now.given.values()), *([pictures] if pictures.exists() else [])],
        replace(waiting, painted={index: paths for index, paths in painted.items() if paths}),
        now.beside if waiting.painted else {},
        now.of_other_sets,
    )
    left_out = {path.name for path in torn}

    def is_still() -> bool:
        return _copied_of(now.as_it_is_now(), left_out) == _copied_of(now.fingerprint, left_out)

    return freeze_copy(now.root, live, is_still)


def _copied_of(fingerprint: tuple[Any, ...], left_out: Collection[str]) -> tuple[Any, ...]:
    """What a fingerprint says of the set, its pictures, its masks and its drafts: they belong together."""
    pictures = [(name, stamp) for name, stamp in fingerprint[-3] if name not in left_out]
    return fingerprint[1], pictures, *fingerprint[-2:]


def _bases(now: SequenceSnapshot) -> dict[int, str]:
    given = now.given
    bases = {
        index: base_of(now.scribbles, given[index].digest if index in given else "", index) for index in now.annotated
    }
    return {index: base for index, base in bases.items() if base is not None}


def _stands_still(picture: Path) -> bool:
    """Whether a picture is whole: it has its end, or nobody has written it for a while."""
    return is_whole(picture) or time.time() - picture.stat().st_mtime > _SAVED_NOW_S


def _is_being_saved(before: SequenceSnapshot) -> bool:
    """Whether what could not be used is another thing now, or is just being written."""
    newest = max((stamp.mtime_ns for stamp in _stamps(before.fingerprint)), default=0)
    return before.as_it_is_now() != before.fingerprint or time.time() - newest / 1e9 < _SAVED_NOW_S


def _stamps(fingerprint: Any) -> Iterator[Stamp]:
    if isinstance(fingerprint, Stamp):
        yield fingerprint
    elif isinstance(fingerprint, tuple):
        for part in fingerprint:
            yield from _stamps(part)


def _frames_with_news(then: SequenceSnapshot, now: SequenceSnapshot) -> list[int]:
    copy = then.frozen
    assert copy is not None
    merged, live, before = _bases(then), _bases(now), copy.bases
    edited = {index for index in {*before, *live} if live.get(index) not in (before.get(index), merged.get(index))}
    painted = {
        index for index, paths in now.painted.items() if any(not copy.knew(path.name, sha256(path)) for path in paths)
    }
    drafts = {**now.waiting.drafts, **now.waiting.contrary}
    drawn = {i for i, draft in drafts.items() if not copy.knew(draft_file(now.scribble_file, i).name, draft.tag)}
    return sorted(edited | painted | drawn)
