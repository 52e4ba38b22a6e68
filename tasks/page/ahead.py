"""What a run would make now, and about how long that takes: as `lis refine --dry-run` has it, stage by stage."""

import math
from typing import Any, Final

from stages.formats.results import ANCHOR_MASKS, ANCHORS, FRAMES, MASKS, PROVISIONAL, REFINED, TRACKS
from tasks.refine import RefineSequence
from tasks.status import Known, estimate, unfinished, without_people
from tasks.tracks import SegmentTask

_ORDER: Final = (FRAMES, ANCHORS, ANCHOR_MASKS, TRACKS, REFINED, PROVISIONAL, MASKS)


def ahead(task: RefineSequence, known: Known) -> dict[str, Any]:
    """What a run would make, the first first; without what waits for people.

    Args:
        task: the masks.
        known: how long stages took in earlier runs, as far as somebody has asked before; it is added to.

    Raises:
        LisError: a run would fail.
    """
    for kind in [kind for kind, seconds in known.items() if seconds is None]:
        known.pop(kind, None)  # somebody may have run it since
    stages = sorted(without_people(unfinished(task)), key=lambda stage: (_ORDER.index(stage.stage), stage.told_as))
    return {
        "tasks": [
            {
                "task": stage.told_as,
                "stage": stage.stage,
                "frames": stage.frames_covered(),
                "seconds": _rounded(estimate([stage], known).seconds),
            }
            for stage in stages
        ],
        "seconds": _rounded(estimate(stages, known).seconds),
        "stretches": sorted({(stage.start, stage.stop) for stage in stages if isinstance(stage, SegmentTask)}),
    }


def _rounded(seconds: float) -> float | None:
    return None if math.isnan(seconds) else round(seconds, 2)
