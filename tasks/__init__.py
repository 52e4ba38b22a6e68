"""The graph: what depends on what. `luigi --module tasks <Task> --help` lists a task's options."""

import logging

from tasks import config, process
from tasks.anchors import AnchorMask, SelectAnchors
from tasks.bulk import BulkRefine
from tasks.evaluate import EvaluateSequence, GroundTruth
from tasks.inputs import Frames, ImportScribbles, ImportSequence, Scribbles
from tasks.interactive import EvaluateInteractive, InteractiveSession
from tasks.refine import RefineSegment, RefineSequence
from tasks.report import ReportSequence
from tasks.tracks import TrackSegment
from tasks.train import InstallNetwork, TrainNetwork

__all__ = [
    "AnchorMask",
    "BulkRefine",
    "EvaluateInteractive",
    "EvaluateSequence",
    "Frames",
    "GroundTruth",
    "ImportScribbles",
    "ImportSequence",
    "InstallNetwork",
    "InteractiveSession",
    "RefineSegment",
    "RefineSequence",
    "ReportSequence",
    "Scribbles",
    "SelectAnchors",
    "TrackSegment",
    "TrainNetwork",
]

config.adopt_defaults()
process.prepare()
for _line in config.unknown_settings():
    logging.getLogger("lis").warning(_line)
