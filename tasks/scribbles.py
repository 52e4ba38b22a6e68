"""What people said of a sequence in one scribble set: looked at, and changed with the sequence's lock held."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.core.errors import InputError
from stages.formats import paintings, requests
from stages.formats.dataset_json import write_owner
from stages.formats.draft_json import Draft
from stages.formats.drafts import read_drafts
from stages.formats.log import write_log
from stages.formats.objects_json import Objects
from stages.formats.scribbles import ScribbleSet
from stages.steps import place_anchors
from tasks.runtime import locks
from tasks.runtime.snapshot import Place, SequenceSnapshot, Terms, paths_of, root_of, snapshot_of

if TYPE_CHECKING:
    from stages.steps.amend import Amendment, Drawn


@dataclass(frozen=True)
class Amended:
    """What a change came to."""

    file: Path
    """The set's."""
    frames: tuple[int, ...]
    """Those that it concerns."""
    said: tuple[str, ...]
    """The change in words."""
    removed: Path | None = None
    """A folder with everything as it was; None if nothing was taken away."""


def amend(
    place: Place,
    terms: Terms,
    change: "Callable[[Drawn], Amendment]",
    *,
    dry_run: bool = False,
) -> Amended:
    """Change what people said.

    Args:
        place: the sequence's.
        terms: the scribble set, and how anchors are chosen.
        change: works out what is to become of it.
        dry_run: only say what would change.

    Raises:
        LisError: it cannot be; or a run works on the sequence.
    """
    from stages.steps.carry_out import carry_out

    if dry_run:
        now = snapshot_of(place, terms)
        would = change(drawn_in(now, now.objects))
        return Amended(now.scribble_file, would.frames, would.said)
    with _locked(place) as root:
        now = snapshot_of(place, terms)
        drawn = drawn_in(now, now.objects)
        done = change(drawn)
        removed = carry_out(root, now.request_terms, drawn, done)
        for line in done.said:
            write_log(root, line)
        return Amended(now.scribble_file, done.frames, done.said, removed)


def decline(place: Place, terms: Terms, frames: Collection[int], *, dry_run: bool = False) -> Amended:
    """Let nobody be asked for frames that are not annotated.

    Raises:
        LisError: one of them is annotated, painted on, or does not exist; or a run works on the sequence.
    """

    def checked(now: SequenceSnapshot) -> Amended:
        known, fault = now.names
        drawn = drawn_in(now, known)
        for index in frames:
            _check_frame(now, index)
            if index in drawn.annotated or index in drawn.painted or index in now.waiting.drafts:
                raise InputError(
                    f"frame {index}: found that it is annotated or painted on, expected a frame that nobody has drawn "
                    f"on; to take that back: lis scribbles remove --frame {index}"
                )
        said = [f"frame {index}: nobody is asked for it any more" for index in frames]
        return Amended(now.scribble_file, tuple(frames), (*said, *_warnings(fault)))

    if dry_run:
        return checked(snapshot_of(place, terms))
    with _locked(place) as root:
        now = snapshot_of(place, terms)
        declined = checked(now)
        requests.decline(root, now.request_terms, frames)
        for line in declined.said:
            write_log(root, line)
        return declined


def ask_again(place: Place, terms: Terms, frames: Collection[int] = (), *, dry_run: bool = False) -> Amended:
    """Let people be asked again for frames that were declined, all of them if none is named, and lay out the pictures.

    Raises:
        LisError: one of them was not declined; or a run works on the sequence.
    """
    from stages.steps.ask import ask
    from stages.steps.legend import objects_to_paint

    def checked(now: SequenceSnapshot) -> Amended:
        declined = declined_in(now)
        chosen = tuple(frames) or declined
        for index in chosen:
            if index not in declined:
                known = ", ".join(map(str, declined)) or "none"
                raise InputError(f"frame {index}: found that it was not declined, expected one of those: {known}")
        said = [f"frame {index}: is asked for again" for index in chosen]
        return Amended(now.scribble_file, chosen, (*said, *_warnings(now.names[1])))

    if dry_run:
        return checked(snapshot_of(place, terms))
    with _locked(place) as root:
        before = snapshot_of(place, terms)
        again = checked(before)
        if again.frames:
            as_if_annotated = place_anchors.plan(
                before.frame_count,
                sorted({*before.annotated, *before.painted, *before.waiting.drafts, *again.frames}),
                terms.requests,
                terms.placement,
                requests.issued_anchors(root, before.request_terms),
                requests.declined_frames(root, before.request_terms),
            )
            requests.ask_again(root, before.request_terms, again.frames, as_if_annotated)
            now = snapshot_of(place, terms)
            to_paint = objects_to_paint(now.names[0], now.scribbles.object_ids)
            ask(root, now.request_terms, now.plan, now.frame_files, to_paint)
        for line in again.said:
            write_log(root, line)
        return again


def show(place: Place, terms: Terms) -> dict[str, Any]:
    """Everything that people said, as `--json` has it.

    Raises:
        LisError: it cannot be read.
    """
    now = snapshot_of(place, terms)
    known, fault = now.names
    drawn, scribbles = drawn_in(now, known), now.scribbles
    waiting, suggested = requests.frames_waiting(now.root, terms.scribbles), requests.suggested_frames(now.root)
    annotated, declined = drawn.annotated, declined_in(now)
    return {
        "sequence": place.seq,
        "scribbles": terms.scribbles,
        "file": str(now.scribble_file),
        "drawn_s": round(scribbles.drawn_s, 1),
        "objects": [
            {
                "id": object_id,
                "name": known.of(object_id).name,
                "class": known.of(object_id).class_name,
                "frames": [index for index in annotated if _has(drawn, object_id, index)],
            }
            for object_id in sorted({*drawn.object_ids, *known.listed})
        ],
        "frames": [_of_frame(drawn, scribbles, index) for index in annotated],
        "painted": {str(i): [path.name for path in paths] for i, paths in now.painted.items() if i not in annotated},
        "drafts": [_of_draft(draft) for draft in drawn.drafts.values()],
        "waiting": sorted(waiting.difference(annotated, now.painted, now.waiting.drafts)),
        "declined": list(declined),
        "suggested": sorted(suggested.difference(annotated, waiting)),
        "warnings": _warnings(fault),
    }


def drawn_in(now: SequenceSnapshot, objects: Objects) -> "Drawn":
    """What people said, with the pictures that they painted; `objects` is what their objects are called."""
    from stages.steps.amend import Drawn

    annotated, asked = now.scribbles.annotated, requests.asked_by(now.root)
    painted = paintings.of_set(now.root, now.scribble_file.stem, annotated, now.frame_files, asked)
    drafts = read_drafts(now.scribble_file)
    return Drawn(now.scribble_file, now.scribbles, objects, now.frame_files, painted, drafts)


def declined_in(now: SequenceSnapshot) -> tuple[int, ...]:
    """The frames that nobody is to be asked for, ascending; not those that were annotated all the same."""
    declined = requests.declined_frames(now.root, now.request_terms)
    return tuple(sorted(declined.difference(now.annotated, now.painted, now.waiting.drafts)))


def _warnings(fault: str) -> list[str]:
    return [f"warning: {fault}"] if fault else []


def _of_frame(drawn: "Drawn", scribbles: ScribbleSet, index: int) -> dict[str, Any]:
    counts = Counter(line.object_id for line in scribbles.frame(index).lines)
    return {
        "frame": index,
        "strokes": {str(object_id): counts[object_id] for object_id in sorted(counts)},
        "given_mask": str(drawn.given[index]) if index in drawn.given else "",
        "objects_of_mask": [each for each in drawn.object_ids if each in drawn.ids_given.get(index, ())],
        "corrects": index in scribbles.corrects,
        "absent": list(scribbles.absent.get(index, ())),
        "from_boxes": list(scribbles.from_boxes.get(index, ())),
        "drawn_s": round(scribbles.frame(index).drawn_s, 1),
    }


def _of_draft(draft: Draft) -> dict[str, Any]:
    counts = Counter(line.object_id for line in draft.lines)
    return {
        "frame": draft.frame,
        "state": str(draft.state),
        "kind": str(draft.kind),
        "strokes": {str(object_id): counts[object_id] for object_id in sorted(counts)},
        "author": draft.author,
        "saved_at": draft.saved_at,
    }


def _has(drawn: "Drawn", object_id: int, index: int) -> bool:
    if index in drawn.given:
        return object_id in drawn.ids_given[index]
    return object_id in drawn.scribbles.frame(index).object_ids


def _check_frame(now: SequenceSnapshot, index: int) -> None:
    if not 0 <= index < now.frame_count:
        raise InputError(f"found the frame {index}, expected one of 0 to {now.frame_count - 1}; give another one")


@contextmanager
def _locked(place: Place) -> Iterator[Path]:
    """The sequence's folder of results, with its lock held."""
    root = root_of(place)
    try:
        locks.require(root, shared=False)
        write_owner(root, paths_of(place).dataset)
        yield root
    finally:
        locks.release_all()
