"""`/api/seq/S/set/N/review`: what people have approved, of the result and of the masks of anchors.

    GET   {"tag": "...", "result": {"of": "<content>", "approved": [[0, 11, "anna", "2030-01-31T12:00:00Z"]],
           "fallen": [4]}, "anchors": {"approved": {"12": ["anna", "..."]}, "waiting": [0, 40], "fallen": [40]}}
    PUT   {"stage": "result", "approve": [[0, 11]], "withdraw": [[3, 3]], "of": "<content>", "by": "anna"}

`of` is the content of what was looked at: of the result, or of `anchor_masks/<frame>`, one frame a request. `waiting`
are anchors whose masks nobody has approved as they are, `fallen` what was approved before it became another.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.core.errors import InputError
from stages.core.spans import Span
from stages.formats.review_json import LONGEST_NAME, Approvals, Review, ReviewChangedError, change_review, in_runs
from stages.steps.review import Masks, approve, withdraw
from tasks.page.drawing import Writes
from tasks.page.handlers import Refusal
from tasks.review import Reviewed

_MOST_SPANS: Final = 10_000


class ReviewOfSet(Writes):
    """The review of a scribble set's masks."""

    async def get(self, seq: str, scribble_set: str) -> None:
        """What holds, what has fallen, what waits."""
        await self.say_version(self._found, seq, self.dataset, scribble_set)

    async def put(self, seq: str, scribble_set: str) -> None:
        """Approve what was seen, or take it back."""
        await self.say_version(self._written, seq, self.dataset, scribble_set, self.seen, self.body)

    def _reviewed(self, seq: str, dataset: str, scribble_set: str) -> Reviewed:
        return Reviewed.of(self.sequences.task(seq, dataset, scribbles=scribble_set).snapshot)

    def _found(self, *place: str) -> tuple[str, dict[str, Any]]:
        found = self._reviewed(*place)
        return found.review.tag, _as_json(found)

    def _written(
        self, seq: str, dataset: str, scribble_set: str, seen: str, body: bytearray
    ) -> tuple[str, dict[str, Any]]:
        found = self._reviewed(seq, dataset, scribble_set)
        wanted = _understood(body, found.now.frame_count)
        masks = _seen_masks(found, wanted)

        def revised(approvals: Approvals) -> Approvals:
            return approve(withdraw(approvals, wanted.withdraw), masks, wanted.approve, wanted.by)

        def changed(review: Review) -> Review:
            return review.revised(revised, anchors=wanted.stage == "anchor")

        try:
            change_review(found.now.scribble_file, found.now.paths.name, changed, seen)
        except ReviewChangedError as error:
            raise Refusal(412, str(error), **self._found(seq, dataset, scribble_set)[1]) from None
        return self._found(seq, dataset, scribble_set)


class _Wanted(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    stage: Literal["result", "anchor"]
    approve: Annotated[list[Span], Field(max_length=_MOST_SPANS)] = []
    withdraw: Annotated[list[Span], Field(max_length=_MOST_SPANS)] = []
    of: str = ""
    by: Annotated[str, Field(max_length=LONGEST_NAME)] = ""


def _understood(body: bytearray, frame_count: int) -> _Wanted:
    try:
        wanted = _Wanted.model_validate_json(bytes(body))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))[:100]
        raise InputError(
            f'found {first["msg"][:200]} at {where or "the beginning"}, expected {{"stage": "result", "approve": '
            '[[0, 11]], "withdraw": [], "of": "...", "by": "anna"}'
        ) from None
    for spans in (wanted.approve, wanted.withdraw):
        _check(spans, frame_count)
    return wanted


def _check(spans: Sequence[Span], frame_count: int) -> None:
    for first, last in spans:
        if not 0 <= first <= last < frame_count:
            raise InputError(f"found the frames {first} to {last}, expected some within 0..{frame_count - 1}")
    if sum(last - first + 1 for first, last in spans) > frame_count:
        raise InputError("found frames that are named twice, expected each once")


def _seen_masks(found: Reviewed, wanted: _Wanted) -> Masks:
    """The masks that somebody has looked at, if they are there still."""
    if not wanted.approve:
        return {}
    if wanted.stage == "result":
        if found.result is None or found.result.content != wanted.of:
            raise Refusal(409, "found another result than the one that was looked at; look at what is there now")
        return found.masks
    (index, last), *more = wanted.approve
    if more or index != last:
        raise InputError("found several anchors to approve, expected one a request: each has a content of its own")
    if index not in found.anchors or found.anchors[index].content != wanted.of:
        raise Refusal(409, f"found another mask on frame {index} than the one that was looked at; look at it again")
    return {index: found.anchor_masks[index]}


def _as_json(found: Reviewed) -> dict[str, Any]:
    return {
        "tag": found.review.tag,
        "result": {
            "of": found.result.content if found.result else None,
            "approved": in_runs(found.approved),
            "fallen": found.fallen,
        },
        "anchors": {
            "approved": {index: [each.by, each.at] for index, each in found.approved_anchors.items()},
            "waiting": found.waiting_anchors,
            "fallen": found.fallen_anchors,
        },
    }


HANDLERS: Final = [("/api/seq/([^/]+)/set/([^/]+)/review", ReviewOfSet)]
