"""The graph: what depends on what. `luigi --module tasks <Task> --help` lists a task's options."""

import logging

from tasks.runtime.importing import tasks_being_imported  # isort: skip - before everything
import tasks.runtime.config_files  # noqa: F401 - before anything imports Luigi
from tasks.anchors import AnchorMask, SegmentAnchors, SelectAnchors
from tasks.approval import ApprovedAnchor
from tasks.bulk import BulkRefine
from tasks.evaluate import EvaluateSequence, GroundTruth
from tasks.export import ExportDataset, ExportSequence
from tasks.export_part import ExportPart
from tasks.import_masks import ImportMasks
from tasks.inputs import Frames, ImportScribbles, ImportSequence, Scribbles
from tasks.interactive import EvaluateInteractive, InteractiveSession
from tasks.prompts import ImportPrompts
from tasks.refine import RefineAnchor, RefineSegment, RefineSequence
from tasks.report import ReportSequence
from tasks.runtime import luigi_hooks, settings
from tasks.tracks import TrackSegment
from tasks.train import InstallNetwork, TrainNetwork

__all__ = [
    "AnchorMask",
    "ApprovedAnchor",
    "BulkRefine",
    "EvaluateInteractive",
    "EvaluateSequence",
    "ExportDataset",
    "ExportPart",
    "ExportSequence",
    "Frames",
    "GroundTruth",
    "ImportMasks",
    "ImportPrompts",
    "ImportScribbles",
    "ImportSequence",
    "InstallNetwork",
    "InteractiveSession",
    "RefineAnchor",
    "RefineSegment",
    "RefineSequence",
    "ReportSequence",
    "Scribbles",
    "SegmentAnchors",
    "SelectAnchors",
    "TrackSegment",
    "TrainNetwork",
]

settings.adopt_defaults()
luigi_hooks.settle_settings()
if luigi_hooks.is_luigis_command():
    luigi_hooks.prepare()
    settings.check_or_exit()
    for _line in settings.unknown_settings():
        logging.getLogger("lis").warning(_line)
tasks_being_imported.close()
