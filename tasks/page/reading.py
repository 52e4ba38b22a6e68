"""What the page is shown: the inbox, a sequence, its frames, masks and doubt. Nothing here changes a file."""

import asyncio
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Final

from stages.formats import changes, results
from stages.formats.files import sha256
from stages.formats.manifest import read_manifest
from stages.formats.masks import read_mask
from stages.formats.requests import declined_frames
from stages.steps.page.doubt import Doubts, doubts_of
from stages.steps.page.inbox import Line
from stages.steps.page.masks import MaskStage, mask_files, packed
from stages.steps.page.pictures import NARROWEST_PX, Picture, picture_of, size_of, version_of
from tasks.page.handlers import Handler, Page, Refusal
from tasks.page.inbox import A_PAGE, Inbox, as_json
from tasks.page.security import Access
from tasks.page.sequences import NotThereError, Sequences, described
from tasks.refine import RefineSequence
from tasks.status import as_last_run

_KEPT_FOR_EVER: Final = "private, max-age=31536000, immutable"
_ASK_AGAIN: Final = "private, no-cache"
_WIDEST_PX: Final = 16384


class LabellingPage(Page):
    """The application, with the sequences that it is about."""

    def __init__(self, handlers: list[Any], access: Access, sequences: Sequences) -> None:
        super().__init__(handlers, access)
        self.sequences = sequences
        self._inbox = Inbox(sequences)
        self._look: asyncio.Future[list[Line]] | None = None

    async def look(self) -> list[Line]:
        """The inbox as it is now; who asks while somebody is looking shares what is found."""
        if self._look is None or self._look.done():
            self._look = asyncio.ensure_future(self.work(self._inbox.look))
        return await asyncio.shield(self._look)


class AboutSequences(Handler):
    """A handler that knows the sequences."""

    application: LabellingPage

    @property
    def sequences(self) -> Sequences:
        """All of them."""
        return self.application.sequences

    @property
    def dataset(self) -> str:
        """Which dataset is meant, if a name is in several."""
        return self.get_query_argument("dataset", "")

    def say_mask(self, size: str, content: bytes) -> None:
        """Answer with ids as raw bytes, row by row, in a gzip stream that browsers unpack; `X-Size` says the size."""
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Encoding", "gzip")
        self.set_header("X-Size", size)
        self.finish(content)

    def number(self, name: str, low: int, high: int) -> int | None:
        """A whole number of the query; None if it is not there.

        Raises:
            Refusal: it is something else.
        """
        text = self.get_query_argument(name, None)
        if text is None:
            return None
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and low <= int(text) <= high):
            raise Refusal(400, f"found {text[:40]!r} as {name}, expected a whole number in {low}..{high}")
        return int(text)


class InboxLines(AboutSequences):
    """`GET /api/inbox?page=0&dataset=D&name=N&author=A`."""

    async def get(self) -> None:
        """A page of all sequences."""
        page = self.number("page", 0, 10**6) or 0
        name, author = (self.get_query_argument(each, "") for each in ("name", "author"))
        await self.say_found(_a_page, await self.application.look(), self.dataset, name, author, page)


class OneSequence(AboutSequences):
    """`GET /api/seq/S?set=001`."""

    async def get(self, seq: str) -> None:
        """What is to be known before a frame is shown; without `set`, that of the last run."""
        await self.say_found(self._found, seq, self.dataset, self.get_query_argument("set", ""))

    def _found(self, seq: str, dataset: str, scribble_set: str) -> dict[str, Any]:
        return described(self.sequences.task(seq, dataset), scribble_set)


class OneFrame(AboutSequences):
    """`GET /api/seq/S/frame/I?w=1280&v=<version>`."""

    async def get(self, seq: str, index: str) -> None:
        """The picture; with `v`, which changes with it, browsers keep it."""
        width = self.number("w", NARROWEST_PX, _WIDEST_PX)
        path, version = await self.work(self._found, seq, self.dataset, int(index))
        cache = _KEPT_FOR_EVER if self.get_query_argument("v", "") else _ASK_AGAIN
        if self.is_known(f"{version}-{width or 'full'}", cache):
            return
        picture: Picture = await self.work(picture_of, path, width)
        self.set_header("Content-Type", picture.media_type)
        self.finish(bytes(picture.content))

    def _found(self, seq: str, dataset: str, index: int) -> tuple[Path, str]:
        _, path = self.sequences.frame(seq, dataset, index)
        return path, version_of(path)


class OneMask(AboutSequences):
    """`GET /api/seq/S/mask/I?stage=result`."""

    async def get(self, seq: str, index: str) -> None:
        """The mask; `X-Digest` is the sha256 of its file, by which strokes say that they correct it."""
        asked = self.get_query_argument("stage", MaskStage.RESULT)
        stage = next((each for each in MaskStage if each == asked), None)
        if stage is None:
            raise Refusal(400, f"found the stage {asked[:40]!r}, expected one of {', '.join(MaskStage)}")
        path, digest = await self.work(self._found, seq, self.dataset, int(index), stage)
        self.set_header("X-Digest", digest)
        if self.is_known(digest[:32], _ASK_AGAIN):
            return
        size, content = await self.work(packed_mask, path)
        self.say_mask(size, content)

    def _found(self, seq: str, dataset: str, index: int, stage: MaskStage) -> tuple[Path, str]:
        task, frame = self.sequences.frame(seq, dataset, index)
        for path in mask_files(task.root, stage, index, frame.name):
            if path.is_file():
                return path, sha256(path)
        raise NotThereError(
            f"found no {stage} mask of frame {index}, expected one; run the command, or ask for another"
        )


class DoubtOfFrames(AboutSequences):
    """`GET /api/seq/S/doubt?stage=result&detail=1`."""

    async def get(self, seq: str) -> None:
        """One number a frame; with `detail` each object's, reasons in words, and where to look and scribble next."""
        folder = {"result": results.MASKS, "provisional": results.PROVISIONAL}.get(
            self.get_query_argument("stage", "result")
        )
        if folder is None:
            raise Refusal(400, "found another stage, expected result or provisional")
        detail = bool(self.number("detail", 0, 1))
        await self.say_found(self._found, seq, self.dataset, folder, detail)

    def _found(self, seq: str, dataset: str, folder: str, detail: bool) -> dict[str, Any]:
        task = self.sequences.task(seq, dataset)
        doubts = doubts_of(task.root / folder)
        if doubts is None:
            raise NotThereError(
                f"found no masks for every frame of {seq} in {folder}, expected a result; run the command"
            )
        found = {"of": doubts.of, "anchors": doubts.anchors, "doubt": doubts.by_frame}
        return {**found, **_in_detail(doubts, task, folder)} if detail else found


def _in_detail(doubts: Doubts, task: RefineSequence, folder: str) -> dict[str, Any]:
    declined = declined_frames(task.root, as_last_run(task).snapshot.request_terms)
    worst, manifest = doubts.worst, read_manifest(task.root / folder)
    return {
        "objects": doubts.by_object,
        "agreement": doubts.agreement,
        "area": doubts.area(size_of(task.snapshot.frame_files[0])),
        "source": doubts.sources,
        "why": {index: [row.object_id, row.why] for index, row in worst.items() if row.why},
        "cards": [
            {"frame": each.frame, "object": each.object_id, "doubt": round(each.doubt, 4), "why": each.why}
            | {"stretch": each.stretch}
            for each in doubts.cards
        ],
        "suggestions": [
            {"frame": each.frame, "gain": each.gain, "why": worst[each.frame].why if each.frame in worst else ""}
            for each in doubts.suggestions(declined)
        ],
        "changed": manifest.run.get(changes.BLOCK, []) if manifest else [],
    }


def _a_page(lines: Collection[Line], dataset: str, name: str, author: str, page: int) -> dict[str, Any]:
    wanted = [
        line
        for line in lines
        if dataset in ("", line.dataset) and name in line.sequence and author in ("", *_authors(line))
    ]
    return {
        "total": len(wanted),
        "page": page,
        "of_a_page": A_PAGE,
        "datasets": sorted({line.dataset for line in lines}),
        "authors": sorted({each for line in lines for each in _authors(line) if each}),
        "lines": [as_json(line) for line in wanted[page * A_PAGE :][:A_PAGE]],
    }


def _authors(line: Line) -> Iterable[str]:
    return (draft.author for draft in line.drafts)


def packed_mask(path: Path) -> tuple[str, bytes]:
    """A mask's size, and its ids as they are sent, see `say_mask`."""
    labels = read_mask(path)
    return f"{labels.shape[1]}x{labels.shape[0]}", packed(labels)


_NAME: Final = "/api/seq/([^/]+)"
_FRAME: Final = "([0-9]{1,7})"
HANDLERS: Final = [
    ("/api/inbox", InboxLines),
    (_NAME, OneSequence),
    (f"{_NAME}/frame/{_FRAME}", OneFrame),
    (f"{_NAME}/mask/{_FRAME}", OneMask),
    (f"{_NAME}/doubt", DoubtOfFrames),
]
