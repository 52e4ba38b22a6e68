"""What other programs import from here; its places are `stages.steps.assess` and `stages.formats`."""

from stages.formats.frames_csv import FrameQuality
from stages.formats.report_data import JudgedFrame, Suggestion
from stages.steps.assess import judge
from stages.steps.suggest import suggest

__all__ = ["FrameQuality", "JudgedFrame", "Suggestion", "judge", "suggest"]
