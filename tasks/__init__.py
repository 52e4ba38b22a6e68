"""The graph: what depends on what. `luigi --module tasks <Task> --help` lists a task's options."""

import logging

from tasks import config, process
from tasks.anchors import AnchorMask, SelectAnchors
from tasks.bulk import BulkRefine
from tasks.inputs import Frames, ImportScribbles, ImportSequence, Scribbles
from tasks.refine import RefineSegment, RefineSequence
from tasks.report import ReportSequence
from tasks.tracks import TrackSegment

__all__ = [
    "AnchorMask",
    "BulkRefine",
    "Frames",
    "ImportScribbles",
    "ImportSequence",
    "RefineSegment",
    "RefineSequence",
    "ReportSequence",
    "Scribbles",
    "SelectAnchors",
    "TrackSegment",
]

config.adopt_defaults()
process.prepare()
for _line in config.unknown_settings():
    logging.getLogger("lis").warning(_line)
