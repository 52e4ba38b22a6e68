"""What people have approved of a sequence's masks, beside the masks that lie there."""

from dataclasses import dataclass
from functools import cached_property

from stages.formats import results
from stages.formats.manifest import Manifest, read_manifest
from stages.formats.review_json import Approvals, Review
from stages.steps.review import Masks, fallen, holding
from tasks.runtime.snapshot import SequenceSnapshot


@dataclass(frozen=True)
class Reviewed:
    """Masks, and which of them people have approved; touches files when it is asked."""

    now: SequenceSnapshot
    review: Review
    """What was approved, whether it holds or not."""
    annotated: tuple[int, ...]
    """The anchors that have masks, or will have."""

    @classmethod
    def of(cls, now: SequenceSnapshot) -> "Reviewed":
        """Of a sequence as it is now.

        Raises:
            InputError: there is no such scribble set, or what people said cannot be used.
        """
        return cls(now, now.review, now.plan.annotated)

    @cached_property
    def result(self) -> Manifest | None:
        """That of the result, if there is one that was made from the scribble set."""
        manifest = read_manifest(self.now.root / results.MASKS)
        is_ours = manifest is not None and results.set_of_result(manifest) in (self.now.scribble_file.stem, None)
        return manifest if is_ours else None

    @cached_property
    def masks(self) -> Masks:
        """Those of the result: frame -> sha256."""
        return results.mask_digests(self.now.root / results.MASKS, self.result) if self.result else {}

    @cached_property
    def anchors(self) -> dict[int, Manifest]:
        """Those of the anchor masks that are there: frame -> manifest."""
        folders = {index: self.now.root / results.of_frame(results.ANCHOR_MASKS, index) for index in self.annotated}
        found = {index: read_manifest(folder) for index, folder in folders.items()}
        return {index: manifest for index, manifest in found.items() if manifest is not None}

    @cached_property
    def anchor_masks(self) -> Masks:
        """The same: frame -> sha256."""
        return {index: manifest.digests[results.ANCHOR_MASK] for index, manifest in self.anchors.items()}

    @property
    def approved(self) -> Approvals:
        """What holds of the result."""
        return holding(self.review.result, self.masks)

    @property
    def approved_anchors(self) -> Approvals:
        """What holds of the anchor masks."""
        return holding(self.review.anchors, self.anchor_masks)

    @property
    def fallen(self) -> list[int]:
        """Frames of the result that look otherwise since they were approved."""
        return fallen(self.review.result, self.masks)

    @property
    def fallen_anchors(self) -> list[int]:
        """Anchors whose masks are others since they were approved."""
        return fallen(self.review.anchors, self.anchor_masks)

    @property
    def waiting_anchors(self) -> list[int]:
        """Anchors whose masks an engine has made, and nobody has approved as they are."""
        approved = self.approved_anchors
        return [index for index in self.anchors if index not in approved and self.now.is_guess(index)]
