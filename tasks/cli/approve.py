"""`lis approve`: masks that a person has looked at are right, said without the page."""

import getpass
import re
import sys

import rich_click as click

from stages.core.errors import InputError
from stages.core.spans import Span, frames_in, in_short, spans_of
from stages.formats.review_json import Approvals, change_review, review_file
from stages.steps.review import Masks, approve, withdraw
from tasks.refine import RefineSequence
from tasks.review import Reviewed
from tasks.runtime.options import setting
from tasks.status import as_last_run

_ROOTS = ("data_root", "outputs_root", "dataset", "scribbles_root")


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # nobody's name, as in many containers
        return ""


@click.command("approve")
@click.argument("seq")
@click.option("--anchors", is_flag=True, help="the masks of anchors, not those of the result")
@click.option("--frames", metavar="0-20,40", help="these alone, counted from 0; else all that nobody has approved")
@click.option("--by", metavar="NAME", default=_who, help="who approves them [who is logged in]")
@click.option("--withdraw", "withdraws", is_flag=True, help="take the approval of frames back")
@click.option("--scribbles", metavar="NAME", help="the scribble set [that of the last run]")
@click.option("--scribbles-root", help="folder of <seq>/<set>.json")
@click.option("--dataset", help="of the sequence")
@click.option("--data-root", help="folder of the datasets")
@click.option("--outputs-root", help="folder of the results")
def approve_(
    seq: str,
    anchors: bool,
    frames: str | None,
    by: str,
    withdraws: bool,
    scribbles: str | None,
    **roots: str | None,
) -> int:
    """Approve masks of a sequence as they lie there: frames of the result, or the masks of anchors.

    An approval holds as long as the mask is the same. `lis export --only-reviewed` takes approved frames alone, and
    `lis refine --approve-anchors` carries nothing on from an anchor that is not approved.
    """
    given = {name: roots[name] or setting(name) for name in _ROOTS}
    task = as_last_run(RefineSequence.from_str_params({**given, "seq": seq}), scribbles or "")
    found = Reviewed.of(task.snapshot)
    masks = found.anchor_masks if anchors else found.masks
    spans = _spans(frames, masks)

    def changed(approvals: Approvals) -> Approvals:
        return withdraw(approvals, spans) if withdraws else approve(approvals, masks, spans, by)

    change_review(
        found.now.scribble_file, found.now.paths.name, lambda review: review.revised(changed, anchors=anchors)
    )
    count = len([*frames_in(spans)])
    what = f"anchor mask{'s' * (count != 1)}" if anchors else f"frame{'s' * (count != 1)}"
    done = "not approved any more" if withdraws else f"approved by {by or 'nobody named'}"
    sys.stdout.write(f"{count} {what} {done}: {review_file(found.now.scribble_file)}\n")
    return 0


def _spans(said: str | None, masks: Masks) -> list[Span]:
    """The frames that are meant, all that have masks if nothing is said."""
    if not masks:
        raise InputError("found no masks to approve, expected some; run the command first, and look at them")
    if said is None:
        return spans_of(sorted(masks))
    parts = [re.fullmatch(r"(\d{1,7})(?:-(\d{1,7}))?", part.strip()) for part in said.split(",")]
    if not all(parts):
        raise InputError(f"found --frames {said[:40]!r}, expected frames like 0-20,40")
    spans = [(int(part[1]), int(part[2] or part[1])) for part in parts if part]
    if missing := [index for index in frames_in(spans) if index not in masks]:
        there = ", ".join(in_short(spans_of(sorted(masks))))
        raise InputError(f"found frame {missing[0]} in --frames, expected one that has a mask: {there}")
    return spans
