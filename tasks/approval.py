"""A person's word that an anchor's mask is right, where nothing is to be carried from one that nobody has approved."""

from contextlib import suppress
from pathlib import Path

import luigi

from stages.core.errors import LisError
from stages.formats import requests, results
from stages.steps.review import holding
from tasks.anchors import AnchorMask
from tasks.runtime import options, runs
from tasks.runtime.sequence import ScribbledTask


class ApprovedAnchor(luigi.ExternalTask, options.AnchorOptions, ScribbledTask):  # type: ignore[misc]  # see Scribbles
    """A person's approval of the masks on an anchor: external, a person looks at them."""

    frame = luigi.IntParameter(description="frame index of the anchor")

    def is_complete(self) -> bool:
        """Whether somebody has approved what a run would make, or has said it all herself."""
        return not self.snapshot.is_guess(self.frame) or (self.anchor_mask.is_current and self._is_approved())

    @property
    def anchor_mask(self) -> AnchorMask:
        """The task that makes the masks."""
        task: AnchorMask = self.clone(AnchorMask)
        return task

    @property
    def waits(self) -> bool:
        """Whether there is a mask to look at, and nobody has approved it."""
        return self.anchor_mask.is_current and not self.is_complete()

    def _is_approved(self) -> bool:
        masks = {self.frame: self.anchor_mask.manifest().digests[results.ANCHOR_MASK]}
        return self.frame in holding(self.snapshot.review.anchors, masks)


def in_words(frames: tuple[int, ...]) -> str:
    """What waits for approval."""
    listed, several = ", ".join(map(str, frames)), len(frames) > 1
    return f"approval of {len(frames)} anchor mask{'s' * several} (frame{'s' * several} {listed})"


_asked: dict[Path, dict[int, ApprovedAnchor]] = {}
"""What a run could not go on without, by sequence and frame."""


@ApprovedAnchor.event_handler(luigi.Event.DEPENDENCY_MISSING)
def _wait(task: ApprovedAnchor) -> None:
    """Runs in the scheduling process for each anchor that nobody has approved: it is told when the masks are made."""
    runs.wait_for_people(task.root, _tell)
    _asked.setdefault(task.root, {})[task.frame] = task


def _tell(root: Path) -> None:
    asked = _asked.pop(root)
    task, frames = next(iter(asked.values())), tuple(index for index, each in sorted(asked.items()) if each.waits)
    if not frames:  # the masks are made again as they were approved; or they have failed, which is told
        if all(each.is_complete() for each in asked.values()):
            task.note("the anchor masks are approved as they are now: run the command again")
        return
    with suppress(LisError, OSError):  # it is told all the same
        requests.note_approval(root, task.snapshot.request_terms, frames)
    task.note(
        f"waits for {in_words(frames)}: lis annotate, or lis approve {task.seq} --anchors; then run the command again"
    )
