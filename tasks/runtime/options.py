"""Every option, once: its name in `luigi.cfg` (section [lis]) and on the command line, its default, what it does.

The options of engines come from their SPECs; those that this module names are the pipeline's own.
"""

import logging
import operator
from typing import Any, Final, NamedTuple

import luigi
import luigi.interface
from luigi.configuration import get_config
from luigi.parameter import ParameterException

from stages.engines import registry, spec
from stages.engines.spec import Plug
from stages.evaluation import POLICIES
from stages.formats.names import normal
from stages.steps.place_anchors import PLACEMENTS

logger = logging.getLogger("lis")
SECTION: Final = "lis"
OPTIONS: dict[str, "Option"] = {}
ENGINE_OPTIONS: set[str] = set()
"""The names of those that engines have."""
_TAKEN: Final = frozenset(
    {name for name, _ in luigi.interface.core.get_params()}
    | {"seq", "frame", "start", "stop", "list"}
    | {"verbose", "json", "dry_run"}
)
"""What Luigi, the tasks that engines work in, and `lis` call parameters that are no options of [lis]."""


class Option(NamedTuple):
    """What the documentation says of an option."""

    default: str
    description: str
    group: str
    """The heading that it stands under."""
    in_help: bool = True
    """Whether `--help` shows it: not those of engines whose weights are the user's to fetch. `lis options` has all."""


def _option(
    group: str, name: str, kind: type[luigi.Parameter[Any]], default: Any, description: str, **rules: Any
) -> Any:
    text = str(default).lower() if isinstance(default, bool) else str(default)
    OPTIONS[name] = Option(text, description, group)
    return kind(default=default, description=description, config_path={"section": SECTION, "name": name}, **rules)


def _number(group: str, name: str, default: float, limits: tuple[float, float], description: str, **rules: Any) -> Any:
    low, high = limits
    return _option(
        group,
        name,
        NumberParameter,
        default,
        f"{description} ({low:g} to {high:g})",
        var_type=type(default),
        min_value=low,
        max_value=high,
        right_op=operator.le,
        **rules,
    )


def _switch(group: str, name: str, default: bool, description: str, **rules: Any) -> Any:
    parsing = luigi.BoolParameter.EXPLICIT_PARSING
    return _option(group, name, luigi.BoolParameter, default, description, parsing=parsing, **rules)


class _Explained:
    """A parameter whose refusal is a message, not a stack trace."""

    permitted = ""

    def parse(self, x: str) -> Any:
        """Accept a permitted value."""
        try:
            return super().parse(x)  # type: ignore[misc]
        except ValueError as error:
            name = getattr(self, "_attribute_name", None) or "a parameter"
            raise ParameterException(f"{name}: {x!r} is not permitted: {self.permitted or error}") from None


class NumberParameter(_Explained, luigi.NumericalParameter[Any]):
    """A number between limits."""

    def __init__(self, *args: Any, min_value: float, max_value: float, **kwargs: Any):
        super().__init__(*args, min_value=min_value, max_value=max_value, **kwargs)
        self.description = kwargs.get("description", "")  # Luigi adds the limits, as mathematicians write them
        whole = "whole " if kwargs.get("var_type") is int else ""
        self.permitted = f"expected a {whole}number from {min_value:g} to {max_value:g}"


class ChoiceParameter(_Explained, luigi.ChoiceParameter):
    """One of a few words."""

    def __init__(self, *args: Any, choices: tuple[str, ...], **kwargs: Any):
        super().__init__(*args, choices=choices, **kwargs)
        self.description = kwargs.get("description", "")  # Luigi adds the choices, in another order each time
        self.choices = choices
        self.permitted = f"expected one of {', '.join(choices)}"


class NameParameter(luigi.Parameter):
    """The name of a dataset or a sequence: one that is spelled in two ways is one task all the same."""

    def normalize(self, x: str) -> str:
        """The form in which names are compared."""
        return normal(x)


class EngineParameter(luigi.Parameter):
    """The name of an engine of one plug point; checked when a task is made, since networks of users count."""

    def __init__(self, *args: Any, plug: Plug, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.plug: Plug = plug


# --- the groups ------------------------------------------------------------------------------------------------------

PLACES, MACHINE, SCRIBBLES = "where things lie", "machine", "scribbles"
ANCHORS, TRACKS, REFINEMENT = "anchor masks", "propagation", "refinement"
REPORT, IMPORT, NIGHT, EVALUATION = "report", "import", "nights", "evaluation"


class WhereOptions:
    """Where things lie."""

    data_root = _option(PLACES, "data_root", luigi.Parameter, "data", "folder of the datasets (DAVIS layout)")
    weights_root = _option(
        PLACES, "weights_root", luigi.Parameter, "data/weights", "folder of the checkpoints", significant=False
    )
    outputs_root = _option(PLACES, "outputs_root", luigi.Parameter, "outputs", "folder of the results")
    dataset = _option(PLACES, "dataset", NameParameter, "", "dataset to look in; else all, if the name is found once")


class MachineOptions:
    """What a run may use; changes no result."""

    threads = _number(
        MACHINE,
        "threads",
        1,
        (1, 1024),
        "threads of one task",
        significant=False,
    )
    device = _option(
        MACHINE,
        "device",
        ChoiceParameter,
        "auto",
        "where networks run: auto (the first GPU if there is one), cpu, cuda",
        choices=("auto", "cpu", "cuda"),
        significant=False,
    )
    progress_bars = _switch(
        MACHINE,
        "progress_bars",
        True,
        "progress bars, where one worker runs on a terminal",
        significant=False,
    )


class PlanOptions:
    """Which frames are anchors."""

    scribbles = _option(
        SCRIBBLES, "scribbles", luigi.Parameter, "001", "scribble set: data/<dataset>/Scribbles/<seq>/<set>.json"
    )
    scribbles_root = _option(
        SCRIBBLES,
        "scribbles_root",
        luigi.Parameter,
        "",
        "folder of <seq>/<set>.json, for a dataset that is not written",
    )
    new_set = _switch(
        SCRIBBLES,
        "new_set",
        False,
        "begin a scribble set of this name beside others",
        significant=False,
    )
    requests = _number(SCRIBBLES, "requests", 7, (0, 10_000), "frames to ask scribbles for, beyond the first")
    placement = _option(
        SCRIBBLES,
        "placement",
        ChoiceParameter,
        "eq1",
        "where anchors lie: eq1 (the paper's equation), spread (evenly), given (frames that have scribbles already)",
        choices=PLACEMENTS,
    )


def _engine(group: str, plug: Plug, default: str, what: str) -> Any:
    plain, shipped = [], []
    for engine in registry.engines(plug):
        if engine.network is None:
            plain.append(engine.name)
        elif engine.comes_with_weights:
            shipped.append(engine.name)
    example = next((each.name for each in registry.engines(plug) if each.network and not each.comes_with_weights), "")
    description = (
        f"{what}: {', '.join(shipped)}; without weights {', '.join(plain)}; with its checkpoint {example} "
        "and others (lis engines)"
    )
    return _option(group, plug, EngineParameter, default, description, plug=plug)


def _engine_option(group: str, option: spec.Option) -> Any:
    if isinstance(option.default, bool):
        return _switch(group, option.name, option.default, option.description)
    if option.limits is not None:
        assert not isinstance(option.default, str)
        return _number(group, option.name, option.default, option.limits, option.description)
    kind = ChoiceParameter if option.choices else luigi.Parameter
    rules = {"choices": option.choices} if option.choices else {}
    return _option(group, option.name, kind, option.default, option.description, **rules)


class AnchorOptions:
    """How anchor masks are made."""

    segmenter = _engine(ANCHORS, "segmenter", "fbrs:lite", "anchor masks from scribbles")


class TrackOptions(AnchorOptions):
    """How masks are carried along."""

    approve_anchors = _switch(
        ANCHORS,
        "approve_anchors",
        False,
        "carry on from approved anchor masks alone",
        significant=False,
    )
    propagator = _engine(TRACKS, "propagator", "match:lite", "masks of the frames between anchors")
    memory_anchors = _option(
        TRACKS,
        "memory_anchors",
        ChoiceParameter,
        "2",
        "anchors that a stretch is matched with: 2, its own; 4, those beyond as well (match, stm)",
        choices=("2", "4"),
    )


class RefineOptions(TrackOptions):
    """How boundaries are sharpened, and how far a refined mask may move."""

    refiner = _engine(REFINEMENT, "refiner", "cascadepsp:lite", "sharpens the boundary of every mask")
    guard_iou = _number(
        REFINEMENT,
        "guard_iou",
        0.7,
        (0.0, 1.0),
        "least IoU of a refined mask with its input; 0 accepts any",
    )
    guard_area = _number(
        REFINEMENT,
        "guard_area",
        1.5,
        (1.0, 1e9),
        "largest factor by which refinement may change an area",
    )


class ResultOptions(RefineOptions):
    """What is made while the result cannot be."""

    provisional = _switch(
        SCRIBBLES,
        "provisional",
        True,
        "provisional masks while scribbles are missing",
        significant=False,
    )


class ReportOptions:
    """How the report looks."""

    brush_px = _number(REPORT, "brush_px", 3, (1, 50), "thickness of strokes drawn in the report, in pixels")


class SessionOptions:
    """How a session of the interactive protocol is played."""

    policy = _option(
        EVALUATION,
        "policy",
        ChoiceParameter,
        "lazy",
        "what is submitted: lazy (empty masks until all scribbles are there), lazy-repeat (the first result until "
        "then), anytime (the best result at each interaction)",
        choices=POLICIES,
    )
    clock = _option(
        EVALUATION,
        "clock",
        ChoiceParameter,
        "charged",
        "seconds of an interaction: charged (what each artefact originally took), cpu (the same in seconds of the "
        "processor, for a machine that is busy with other things), wall (the run's own, at least what is charged)",
        choices=("charged", "cpu", "wall"),
    )
    max_time_s = _number(
        EVALUATION,
        "max_time_s",
        240.0,
        (0.001, 1e6),
        "seconds of computing that a session may take for each of its objects",
    )


class EvaluationOptions(SessionOptions):
    """Which sessions are played, and by whom they are judged."""

    sets = _option(
        EVALUATION, "sets", luigi.Parameter, "001,002,003", "scribble sets that are alternative first rounds"
    )
    engine = _option(
        EVALUATION,
        "engine",
        ChoiceParameter,
        "own",
        "who keeps the score: own, or davisinteractive (plays the sessions again in the official package)",
        choices=("own", "davisinteractive"),
    )


class ImportOptions:
    """How a source becomes frames."""

    short_side = _number(
        IMPORT, "short_side", 480, (0, 100_000), "shorter side of imported frames in pixels; 0 keeps the source's size"
    )


class BulkOptions:
    """How a night goes."""

    chunk = _number(
        NIGHT, "chunk", 10, (1, 100), "sequences that one round of bulk work schedules at once", significant=False
    )
    reports = _switch(NIGHT, "reports", True, "a report page for every finished sequence", significant=False)
    on_finish = _option(
        NIGHT,
        "on_finish",
        luigi.Parameter,
        "",
        "command to call when a night is over, with its summary's path",
        significant=False,
    )


def _add_options_of(plug: Plug, cls: type, group: str) -> None:
    """Add the options of a plug point's engines to a class; engines may share one. Those of the pipeline go before."""
    for each in registry.specs(plug).values():
        for option in each.options:
            if option.name in ENGINE_OPTIONS:
                continue
            if option.name in OPTIONS or option.name in _TAKEN:
                logger.warning(
                    "the option `%s` of the engine `%s` cannot be set: the name is taken; it has its default",
                    *(option.name, each.name),
                )
                continue
            ENGINE_OPTIONS.add(option.name)
            parameter = _engine_option(group, option)
            OPTIONS[option.name] = OPTIONS[option.name]._replace(in_help=_works_at_once(plug, each, option))
            parameter.__set_name__(cls, option.name)  # as Python does for what stands in a class's body
            setattr(cls, option.name, parameter)


def _works_at_once(plug: Plug, engine: spec.Spec, option: spec.Option) -> bool:
    """Whether one of an engine's names needs nothing that is not there, and heeds an option."""
    at_hand = (each for each in registry.engines(plug) if each.spec is engine and each.is_at_hand)
    return any(option.argument in each.arguments({}) for each in at_hand)


_add_options_of("segmenter", AnchorOptions, ANCHORS)
_add_options_of("propagator", TrackOptions, TRACKS)
_add_options_of("refiner", RefineOptions, REFINEMENT)
# Under its heading, behind the pipeline's own.
_GROUPS = list(dict.fromkeys(option.group for option in OPTIONS.values()))
OPTIONS = dict(sorted(OPTIONS.items(), key=lambda item: _GROUPS.index(item[1].group)))


def setting(name: str) -> str:
    """An option's value where no command line gives one: what luigi.cfg says, or the default."""
    return str(get_config().get(SECTION, name, OPTIONS[name].default))
