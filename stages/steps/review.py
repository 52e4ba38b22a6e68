"""What people have approved: which of it holds, what has fallen, and what is approved or taken back now.

Masks are told by the sha256 of their files: frame -> digest, of all frames that have a mask now.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from stages.core.errors import InputError
from stages.core.spans import Span, frames_in
from stages.formats.review_json import Approval, Approvals

Masks = Mapping[int, str]


def approve(approvals: Approvals, masks: Masks, spans: Iterable[Span], by: str) -> Approvals:
    """Approve frames as they are now; who has approved the same mask before stays the one who did.

    Args:
        approvals: what was approved so far, whether it holds or not.
        masks: those that somebody has looked at.
        spans: the frames.
        by: who approves them.

    Raises:
        InputError: one of the frames has no mask.
    """
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = dict(approvals)
    for index in frames_in(spans):
        if index not in masks:
            raise InputError(f"found frame {index} to approve, expected one that has a mask; look at it again")
        if not _holds(found.get(index), masks.get(index)):
            found[index] = Approval(masks[index], by, at)
    return dict(sorted(found.items()))


def withdraw(approvals: Approvals, spans: Iterable[Span]) -> Approvals:
    """Take approvals back, also those that have fallen."""
    gone = {*frames_in(spans)}
    return {index: approval for index, approval in approvals.items() if index not in gone}


def holding(approvals: Approvals, masks: Masks) -> Approvals:
    """Those of masks that are the same still."""
    return {index: each for index, each in approvals.items() if _holds(each, masks.get(index))}


def fallen(approvals: Approvals, masks: Masks) -> list[int]:
    """The frames whose masks were approved, and are others now."""
    return [index for index in approvals if index in masks and not _holds(approvals[index], masks[index])]


def _holds(approval: Approval | None, digest: str | None) -> bool:
    return approval is not None and approval.digest == digest
