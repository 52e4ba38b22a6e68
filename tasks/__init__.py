"""The graph: what depends on what. `luigi --module tasks <Task> --help` lists a task's options."""

import logging

from tasks.anchors import AnchorMask, SelectAnchors
from tasks.bulk import BulkRefine
from tasks.evaluate import EvaluateSequence, GroundTruth
from tasks.inputs import Frames, ImportScribbles, ImportSequence, Scribbles
from tasks.interactive import EvaluateInteractive, InteractiveSession
from tasks.refine import RefineAnchor, RefineSegment, RefineSequence
from tasks.report import ReportSequence
from tasks.runtime import luigi_hooks, options
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
    "RefineAnchor",
    "RefineSegment",
    "RefineSequence",
    "ReportSequence",
    "Scribbles",
    "SelectAnchors",
    "TrackSegment",
    "TrainNetwork",
]

options.adopt_defaults()
luigi_hooks.settle_settings()
if luigi_hooks.is_luigis_command():
    luigi_hooks.prepare()
    for _line in options.unknown_settings():
        logging.getLogger("lis").warning(_line)
