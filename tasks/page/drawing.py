"""What the page writes: drafts of what a person draws, and the list of objects. Never over what she has not seen.

Every write says which version it goes on from: `If-Match` with the tag that was read, or `If-None-Match: *` where there
was none. Another version by then is 412, with that version in the answer: the page shows both, and a person decides.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from stages.core.errors import InputError
from stages.formats import files
from stages.formats.classes_json import read_classes
from stages.formats.draft_json import SCHEMA, Draft, DraftKind, DraftState, as_json, parse_draft
from stages.formats.drafts import (
    NEW,
    ChangedError,
    base_of,
    discard_draft,
    draft_file,
    mask_of_draft,
    read_draft,
    set_state,
    write_draft,
)
from stages.formats.hand_written import read_text
from stages.formats.objects_json import OBJECTS_JSON, parse_objects, write_objects
from stages.formats.objects_json import as_json as object_as_json
from stages.steps.page.corrected import keep_mask_seen
from stages.steps.page.masks import unpacked
from stages.steps.page.pictures import size_of
from tasks.page.handlers import FEW_BYTES, Refusal, object_of, text_of
from tasks.page.reading import AboutSequences, packed_mask
from tasks.page.sequences import NotThereError, frame_of
from tasks.runtime import locks
from tasks.runtime.snapshot import SequenceSnapshot

_SAID: Final = frozenset({"state", "kind", "lines", "base", "corrects", "absent", "from_boxes", "author"})
"""What a page says of a draft; all else is known from the address, or set here."""
_STATES: Final = (DraftState.DRAFT, DraftState.READY)
"""A conflict is found, not declared."""
_MOST_BYTES_OF_A_MASK: Final = 64 << 20
T = TypeVar("T")


class Place(NamedTuple):
    """A frame that is drawn on, in a scribble set."""

    snapshot: SequenceSnapshot
    frame: int
    base: str | None
    """What the set says of the frame now."""

    @classmethod
    def of(cls, snapshot: SequenceSnapshot, frame: int) -> "Place":
        """Of a set that is there, or may be founded."""
        given = snapshot.given.get(frame)
        return cls(snapshot, frame, base_of(snapshot.scribbles, given.digest if given else "", frame))

    @property
    def file(self) -> Path:
        """The scribble set's."""
        return self.snapshot.scribble_file

    @property
    def in_set(self) -> dict[str, Any]:
        """What the set says of the frame, as a draft says it: for whoever begins one, or has to decide between both."""
        scribbles, index = self.snapshot.scribbles, self.frame
        lines, corrects = scribbles.frame(index).lines, scribbles.corrects.get(index, "")
        if index in self.snapshot.given:
            drawn = replace(self.new(), kind=DraftKind.MASK)
        elif index in scribbles.frames and not lines and not corrects:
            drawn = replace(self.new(), kind=DraftKind.EMPTY)
        else:
            absent, boxes = scribbles.absent.get(index, ()), scribbles.from_boxes.get(index, ())
            drawn = replace(self.new(), lines=lines, corrects=corrects, absent=absent, from_boxes=boxes)
        return {key: said for key, said in as_json(drawn).items() if key in _SAID - {"author", "state"}}

    def new(self) -> Draft:
        """A draft that is begun now."""
        return Draft(self.snapshot.paths.name, self.file.stem, self.frame, base=self.base)

    def parsed(self, said: Mapping[str, Any]) -> Draft:
        """What a page says of the frame, as a draft.

        Raises:
            InputError: it says something that cannot be.
        """
        head = {"schema": SCHEMA, "sequence": self.snapshot.paths.name, "set": self.file.stem, "frame": self.frame}
        return parse_draft(json.dumps({**said, **head}).encode(), draft_file(self.file, self.frame))

    @property
    def mask(self) -> tuple[Path, Path, int, str]:
        """Where a mask of the frame that somebody has seen is looked for, see `mask_seen`."""
        return self.snapshot.root, self.file, self.frame, self.snapshot.frame_files[self.frame].name


class Writes(AboutSequences):
    """A handler that writes, over what was seen and nothing else."""

    @property
    def seen(self) -> str:
        """The tag of the version that the page has seen; `NEW`: there was none.

        Raises:
            Refusal: it does not say.
        """
        match, none = (self.request.headers.get(name) for name in ("If-Match", "If-None-Match"))
        if match is None and none == "*":
            return NEW
        if match is None or none is not None or not (len(match) > 2 and match[0] == match[-1] == '"'):
            raise Refusal(428, 'found no version that this goes on from, expected If-Match: "TAG" or If-None-Match: *')
        return match[1:-1]

    async def say_version(self, find: Callable[..., tuple[str, dict[str, Any]]], *arguments: Any) -> None:
        """Answer with a tag, and what has it."""
        tag, found = await self.unless_changed(find, *arguments)
        self.set_header("ETag", f'"{tag}"')
        self.say_text(await self.work(json.dumps, found))

    async def unless_changed(self, find: Callable[..., T], *arguments: Any) -> T:
        """What a function makes of a draft.

        Raises:
            Refusal: there is another version; the answer shows it.
        """
        try:
            return await self.work(find, *arguments)
        except ChangedError as error:
            raise Refusal(412, str(error), **_shown(error.present)[1]) from None


class AboutDrafts(Writes):
    """A handler that knows where a draft lies."""

    def place(self, seq: str, dataset: str, scribble_set: str, index: int) -> Place:
        """Where the draft lies; touches files.

        Raises:
            NotThereError: there is no such sequence or frame.
            InputError: the set's name is malformed, or it is not there beside others.
        """
        snapshot = self.sequences.task(seq, dataset, scribbles=scribble_set).snapshot
        frame_of(snapshot, index)
        return Place.of(snapshot, index)


class OneDraft(AboutDrafts):
    """`/api/seq/S/set/N/draft/I`."""

    async def get(self, seq: str, scribble_set: str, index: str) -> None:
        """The draft, and what the set says of the frame; the tag of a draft that is not there is empty."""
        await self.say_version(self._found, seq, self.dataset, scribble_set, int(index))

    async def put(self, seq: str, scribble_set: str, index: str) -> None:
        """Write it."""
        await self.say_version(self._written, seq, self.dataset, scribble_set, int(index), self.seen, self.body)

    async def delete(self, seq: str, scribble_set: str, index: str) -> None:
        """Throw it away."""
        await self.unless_changed(self._discard, seq, self.dataset, scribble_set, int(index), self.seen)
        self.say({"draft": None})

    def _found(self, *place: Any) -> tuple[str, dict[str, Any]]:
        at = self.place(*place)
        draft = read_draft(at.file, at.frame)
        tag, found = _shown(draft)
        return tag, {**found, "in_set": at.in_set}

    def _written(
        self, seq: str, dataset: str, scribble_set: str, index: int, seen: str, body: bytes
    ) -> tuple[str, Any]:
        at = self.place(seq, dataset, scribble_set, index)
        said = object_of(body, _SAID)
        draft = _checked(at.parsed({"state": DraftState.DRAFT, "base": at.base, **said}))
        if draft.corrects and not keep_mask_seen(*at.mask, draft.corrects):
            raise mask_is_gone(index)
        return _shown(write_draft(at.file, draft, seen))

    def _discard(self, seq: str, dataset: str, scribble_set: str, index: int, seen: str) -> None:
        at = self.place(seq, dataset, scribble_set, index)
        discard_draft(at.file, index, seen)


class MaskOfDraft(AboutDrafts):
    """`/api/seq/S/set/N/draft/I/mask`: ids as raw bytes, row by row, as gzip."""

    most_bytes = _MOST_BYTES_OF_A_MASK

    async def get(self, seq: str, scribble_set: str, index: str) -> None:
        """The mask that the draft is; with `?of=set`, the one that was given for the frame."""
        of_set = self.get_query_argument("of", "draft") == "set"
        size, content = await self.work(self._mask, of_set, seq, self.dataset, scribble_set, int(index))
        self.say_mask(size, content)

    async def put(self, seq: str, scribble_set: str, index: str) -> None:
        """Make the draft a mask, `?author=anna&base=<digest>`; empty: the set said nothing when it was begun."""
        place = seq, self.dataset, scribble_set, int(index)
        said: dict[str, str | None] = {"author": self.get_query_argument("author", "")}
        if (base := self.get_query_argument("base", None)) is not None:
            said["base"] = base or None
        await self.say_version(self._masked, place, self.seen, self.body, said)

    def _mask(self, of_set: bool, *place: Any) -> tuple[str, bytes]:
        at = self.place(*place)
        draft = None if of_set else read_draft(at.file, at.frame)
        given = at.snapshot.given.get(at.frame) if of_set else None
        if given is None and (draft is None or draft.kind != DraftKind.MASK):
            raise NotThereError(f"found no {'given mask' if of_set else 'draft that is a mask'} of frame {at.frame}")
        return packed_mask(given.path if given else mask_of_draft(at.file, at.frame))

    def _masked(
        self, place: tuple[str, str, str, int], seen: str, body: bytearray, said: dict[str, str | None]
    ) -> tuple[str, Any]:
        at = self.place(*place)
        labels = unpacked(body, size_of(at.snapshot.frame_files[at.frame]))
        draft = at.parsed({**as_json(at.new()), "kind": DraftKind.MASK, **said})
        return _shown(write_draft(at.file, draft, seen, labels))


class StateOfDraft(AboutDrafts):
    """`POST /api/seq/S/set/N/draft/I/state`."""

    most_bytes = FEW_BYTES

    async def post(self, seq: str, scribble_set: str, index: str) -> None:
        """`{"state": "ready"}`, or `draft`."""
        place = seq, self.dataset, scribble_set, int(index)
        await self.say_version(self._set, place, self.seen, object_of(self.body).get("state"))

    def _set(self, place: tuple[str, str, str, int], seen: str, asked: Any) -> tuple[str, Any]:
        at = self.place(*place)
        state = next((each for each in _STATES if each == asked), None)
        if state is None:
            raise InputError(f"found the state {str(asked)[:40]!r}, expected one of {', '.join(_STATES)}")
        present = read_draft(at.file, at.frame)
        if present is not None and present.tag == seen:
            _checked(replace(present, state=state))
        return _shown(set_state(at.file, at.frame, state, seen))


class ListOfObjects(Writes):
    """`/api/seq/S/objects`: `objects.json` as it is written by hand."""

    async def get(self, seq: str) -> None:
        """The list; the tag of one that is not there is empty."""
        await self.say_version(self._found, seq, self.dataset)

    async def put(self, seq: str) -> None:
        """Write it; what a person left out stays left out."""
        await self.say_version(self._written, seq, self.dataset, self.seen, self.body)

    def _found(self, seq: str, dataset: str) -> tuple[str, dict[str, Any]]:
        return _listed(self.sequences.task(seq, dataset).snapshot)

    def _written(self, seq: str, dataset: str, seen: str, body: bytearray) -> tuple[str, dict[str, Any]]:
        snapshot = self.sequences.task(seq, dataset).snapshot
        folder, name, count = snapshot.scribble_file.parent, snapshot.paths.name, snapshot.frame_count
        classes = read_classes(snapshot.paths.dataset_folder)
        wanted = parse_objects(folder / OBJECTS_JSON, text_of(body), name, count, classes)
        try:
            files.make_folder(folder)
            with locks.held(folder) as is_ours:
                if not is_ours:
                    raise Refusal(409, "found somebody else who is just writing the objects; try again")
                tag, present = _listed(snapshot)
                if tag != seen:
                    raise Refusal(412, "found other objects than those that were seen; look at them", **present)
                write_objects(folder, name, count, wanted.listed.values(), classes)
        except OSError as error:
            raise InputError(
                f"{folder}: the objects cannot be written: {error.strerror}; make room or allow it"
            ) from None
        return _listed(snapshot)


def mask_is_gone(index: int) -> Refusal:
    """The mask that strokes correct is not there as it was seen."""
    return Refusal(
        409, f"frame {index}: the mask that the strokes correct is not there any more; look at the new one, draw anew"
    )


def _checked(draft: Draft) -> Draft:
    if draft.state == DraftState.CONFLICT:
        raise InputError(f"found the state conflict, expected one of {', '.join(_STATES)}")
    if draft.state == DraftState.READY and draft.says_nothing:
        raise InputError("found a draft that says nothing, called ready; expected strokes, or the kind empty")
    return draft


def _shown(draft: Draft | None) -> tuple[str, dict[str, Any]]:
    tag = draft.tag if draft else NEW
    return tag, {"tag": tag, "draft": as_json(draft) if draft else None}


def _listed(snapshot: SequenceSnapshot) -> tuple[str, dict[str, Any]]:
    path = snapshot.scribble_file.parent / OBJECTS_JSON
    text = read_text(path)
    known = parse_objects(path, text, snapshot.paths.name, snapshot.frame_count).listed if text is not None else {}
    tag = hashlib.sha256(text.encode()).hexdigest()[:32] if text is not None else NEW
    return tag, {"tag": tag, "objects": [object_as_json(each) for each in known.values()]}


_DRAFT: Final = "/api/seq/([^/]+)/set/([^/]+)/draft/([0-9]{1,7})"
HANDLERS: Final = [
    (_DRAFT, OneDraft),
    (f"{_DRAFT}/mask", MaskOfDraft),
    (f"{_DRAFT}/state", StateOfDraft),
    ("/api/seq/([^/]+)/objects", ListOfObjects),
]
