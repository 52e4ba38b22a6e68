"""What the page asks while a person draws: the masks that her strokes will make, and strokes around a box.

Nothing is written: a preview goes to the page alone, and the run makes the masks anew.
"""

import json
from typing import Any, Final

from stages.core.errors import InputError
from stages.core.palette import MAX_OBJECT_ID
from stages.formats.draft_json import DraftKind, DraftState, lines_as_json
from stages.formats.masks import read_mask
from stages.formats.prompts_json import Box, Prompt
from stages.formats.scribbles import canonical
from stages.steps.page.corrected import mask_seen
from stages.steps.page.pictures import size_of, version_of
from stages.steps.prompts import draw
from tasks.anchors import AnchorMask
from tasks.page.drawing import AboutDrafts, Place, mask_is_gone
from tasks.page.handlers import FEW_BYTES, Refusal, object_of
from tasks.page.preview import NoPreviewError, Previewer, SupersededError
from tasks.page.reading import AboutSequences
from tasks.page.sequences import Sequences
from tasks.status import as_last_run

_PREVIEW: Final = frozenset({"object", "lines", "corrects", "absent"})
_BOX: Final = frozenset({"object_id", "box", "corrects"})


class OnePreview(AboutDrafts):
    """`POST /api/seq/S/set/N/preview/I`."""

    def initialize(self, previewer: Previewer) -> None:
        """With the worker that makes it."""
        self._previewer = previewer

    async def post(self, seq: str, scribble_set: str, index: str) -> None:
        """Segment one object more; `X-Preview` says which masks are as the run will make them, and what is left."""
        order = await self.work(self._order, seq, self.dataset, scribble_set, int(index), self.body)
        try:
            found, mask = await self._previewer.ask(order)
        except SupersededError as error:
            raise Refusal(409, str(error), superseded=True) from None
        except NoPreviewError as error:
            raise Refusal(503, str(error)) from None
        width, height = found.pop("size")
        self.set_header("X-Preview", json.dumps(found))
        self.say_mask(f"{width}x{height}", mask)

    def _order(self, seq: str, dataset: str, scribble_set: str, index: int, body: bytearray) -> dict[str, Any]:
        at, said = self.place(seq, dataset, scribble_set, index), object_of(body, _PREVIEW)
        drawn = {name: value for name, value in said.items() if name != "object"}
        draft = at.parsed({"state": DraftState.DRAFT, "kind": DraftKind.STROKES, **drawn})
        seen = mask_seen(*at.mask, draft.corrects) if draft.corrects else None
        if draft.corrects and seen is None:
            raise mask_is_gone(index)
        picture = at.snapshot.frame_files[index]
        return {
            **engine_order(self.sequences, seq, dataset),
            "frame": str(picture),
            "version": version_of(picture),
            "object": _object_id(said.get("object"), lowest=0),
            "lines": [(line.object_id, line.path) for line in draft.lines],
            "corrects": draft.corrects,
            "seen": seen and str(seen),
            "absent": draft.absent,
        }


class StateOfPreviews(AboutSequences):
    """`/api/preview`."""

    most_bytes = FEW_BYTES

    def initialize(self, previewer: Previewer) -> None:
        """With the worker."""
        self._previewer = previewer

    def get(self) -> None:
        """Whether there are any."""
        worker = self._previewer
        self.say({"state": worker.condition, "engine": worker.engine, "why": worker.why})

    async def post(self) -> None:
        """Somebody is about to draw: `{"sequence": "dog"}`, or `{}` where the settings alone say what is needed."""
        said = object_of(self.body, {"sequence"})
        seq = said.get("sequence", "")
        if not isinstance(seq, str):
            raise InputError(f"found {str(seq)[:40]!r} as a sequence, expected a name")
        self._previewer.warm(await self.work(engine_order, self.sequences, seq, self.dataset))
        self.get()


class BoxOnFrame(AboutSequences):
    """`POST /api/seq/S/frame/I/box`."""

    async def post(self, seq: str, index: str) -> None:
        """Strokes in the place of a box, `from_boxes` as a draft says it; nothing is drawn into what `corrects` has."""
        await self.say_found(self._drawn, seq, self.dataset, int(index), self.body)

    def _drawn(self, seq: str, dataset: str, index: int, body: bytearray) -> dict[str, Any]:
        task, picture = self.sequences.frame(seq, dataset, index)
        said = object_of(body, _BOX)
        prompt = Prompt(_object_id(said.get("object_id"), lowest=1), (), (), _box(said.get("box")))
        corrects, seen = said.get("corrects", ""), None
        if corrects:
            path = mask_seen(*Place.of(task.snapshot, index).mask, corrects) if isinstance(corrects, str) else None
            if path is None:
                raise mask_is_gone(index)
            seen = read_mask(path)
        drawing = draw([prompt], size_of(picture), seen)
        return {"lines": lines_as_json(map(canonical, drawing.lines)), "from_boxes": drawing.from_boxes}


def engine_order(sequences: Sequences, seq: str, dataset: str) -> dict[str, Any]:
    """Which engine is to make the masks: that of a run of a sequence, or where none is named, of any.

    Raises:
        NotThereError: there is no such sequence.
        InputError: there is no such engine.
    """
    task = as_last_run(sequences.task(seq, dataset)) if seq else sequences.any_task()
    anchor: AnchorMask = task.clone(AnchorMask, frame=0)
    return {
        "engine": {
            "name": anchor.found_engine.name,
            "weights_root": anchor.weights_root,
            "device": anchor.device,
            "threads": anchor.threads,
            "options": anchor.engine_options,
        }
    }


def _object_id(said: Any, lowest: int) -> int:
    if not isinstance(said, int) or isinstance(said, bool) or not lowest <= said <= MAX_OBJECT_ID:
        raise InputError(f"found the object {str(said)[:40]!r}, expected a whole number in {lowest}..{MAX_OBJECT_ID}")
    return said


def _box(said: Any) -> Box:
    match said:
        case [int() | float() as left, int() | float() as top, int() | float() as right, int() | float() as bottom]:
            if all(0 <= low < high <= 1 for low, high in ((left, right), (top, bottom))):
                return float(left), float(top), float(right), float(bottom)
    raise InputError(
        f"found the box {str(said)[:80]}, expected [left, top, right, bottom] as fractions of the picture in [0, 1], "
        "left < right and top < bottom"
    )


def handlers(previewer: Previewer) -> list[Any]:
    """All of them, with the worker that they speak to."""
    name = "/api/seq/([^/]+)"
    return [
        ("/api/preview", StateOfPreviews, {"previewer": previewer}),
        (f"{name}/set/([^/]+)/preview/([0-9]{{1,7}})", OnePreview, {"previewer": previewer}),
        (f"{name}/frame/([0-9]{{1,7}})/box", BoxOnFrame),
    ]
