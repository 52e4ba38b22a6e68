"""`anchors/anchors.json`: which frames are anchors, those that wait for scribbles, and the stretches between them.

{"frame_count": 40, "anchors": [9, 19], "requested": [19],
 "segments": [{"name": "00009-00019", "left": 9, "right": 19, "frames": 9}, ...]}
"""

from dataclasses import asdict
from pathlib import Path
from typing import Final

from stages.core.plan import Plan
from stages.formats.files import write_json

ANCHORS_JSON: Final = "anchors.json"


def write_plan(folder: Path, plan: Plan) -> None:
    """Write the file; people read it, the pipeline does not."""
    segments = [{"name": s.name, "left": s.left, "right": s.right, "frames": len(s.frames)} for s in plan.segments]
    write_json(folder / ANCHORS_JSON, {**asdict(plan), "segments": segments})
