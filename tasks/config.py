"""Every option, once: its name in `luigi.cfg` (section [lis]) and on the command line, its default, what it does."""

import configparser
import difflib
import operator
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import luigi
from luigi.configuration import get_config
from luigi.parameter import ParameterException

from stages import engines
from stages.anchors import PLACEMENTS
from stages.evaluation import POLICIES

SECTION = "lis"
OPTIONS: dict[str, "Option"] = {}

_LUIGI_SECTIONS = {
    "core", "worker", "scheduler", "retcode", "resources", "execution_summary", "logging", "email", "smtp",
    "task_history", "batch_notifier", "sendgrid", "DEFAULT",
}  # fmt: skip


class Option(NamedTuple):
    """What the documentation says of an option."""

    default: str
    description: str


def _option(name: str, kind: type[luigi.Parameter[Any]], default: Any, description: str, **rules: Any) -> Any:
    OPTIONS[name] = Option(str(default).lower() if isinstance(default, bool) else str(default), description)
    return kind(default=default, description=description, config_path={"section": SECTION, "name": name}, **rules)


def _number(name: str, default: float, limits: tuple[float, float], description: str, **rules: Any) -> Any:
    low, high = limits
    return _option(
        name,
        _Number,
        default,
        f"{description} ({low:g} to {high:g})",
        var_type=type(default),
        min_value=low,
        max_value=high,
        right_op=operator.le,
        **rules,
    )


class _Explained:
    """A parameter whose refusal is a message, not a stack trace."""

    permitted = ""

    def parse(self, x: str) -> Any:
        """Accept a permitted value."""
        try:
            return super().parse(x)  # type: ignore[misc]
        except ValueError as error:
            raise ParameterException(f"{x!r} is not permitted: {self.permitted or error}") from None


class _Number(_Explained, luigi.NumericalParameter[Any]):
    pass


class _Choice(_Explained, luigi.ChoiceParameter):
    def __init__(self, *args: Any, choices: tuple[str, ...], **kwargs: Any):
        super().__init__(*args, choices=choices, **kwargs)
        self.permitted = f"expected one of {', '.join(choices)}"


class EngineParameter(luigi.Parameter):
    """The name of an engine of one plug point, checked before anything runs."""

    def __init__(self, *args: Any, plug: str, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.plug = plug

    def parse(self, x: str) -> str:
        """Accept a known name."""
        names = engines.names(self.plug)
        if x not in names:
            near = difflib.get_close_matches(x, names, n=1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            raise ParameterException(f"no {self.plug} is called `{x}`.{hint} There are: {', '.join(names)}.")
        return x

    def normalize(self, x: str) -> str:
        """Check values that come from Python, too."""
        return self.parse(x)


class WhereOptions:
    """Where things lie."""

    data_root = _option("data_root", luigi.Parameter, "data", "folder of the datasets (DAVIS layout)")
    weights_root = _option(
        "weights_root", luigi.Parameter, "data/weights", "folder of the checkpoints", significant=False
    )
    outputs_root = _option("outputs_root", luigi.Parameter, "outputs", "folder of the results")
    dataset = _option(
        "dataset", luigi.Parameter, "", "dataset to look in; empty: all of them, if the name is found once"
    )


class MachineOptions:
    """What a run may use; changes no result."""

    threads = _number(
        "threads", 1, (1, 1024), "threads inside one task; never derived from the number of workers", significant=False
    )
    device = _option(
        "device",
        _Choice,
        "auto",
        "where networks run: auto (the first GPU if there is one), cpu, cuda",
        choices=("auto", "cpu", "cuda"),
        significant=False,
    )
    progress_bars = _option(
        "progress_bars",
        luigi.BoolParameter,
        True,
        "progress bars, if the output is a terminal and one worker runs",
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        significant=False,
    )


class PlanOptions:
    """Which frames are anchors."""

    scribbles = _option("scribbles", luigi.Parameter, "001", "scribble set: data/<dataset>/Scribbles/<seq>/<set>.json")
    scribbles_root = _option(
        "scribbles_root",
        luigi.Parameter,
        "",
        "folder of scribble sets, <seq>/<set>.json, for a dataset that is not to be written; empty: the dataset's own",
    )
    requests = _number("requests", 7, (0, 10_000), "frames to ask scribbles for, beyond the first")
    placement = _option(
        "placement",
        _Choice,
        "eq1",
        "where anchors lie: eq1 (the paper's equation), spread (evenly), given (only annotated frames)",
        choices=PLACEMENTS,
    )


class AnchorOptions:
    """How anchor masks are made."""

    segmenter = _option(
        "segmenter", EngineParameter, "fbrs:lite", "engine that makes anchor masks from scribbles", plug="segmenter"
    )
    click_spacing_px = _number(
        "click_spacing_px",
        40.0,
        (1.0, 10_000.0),
        "distance between the control points that stand for a stroke, in pixels",
    )
    brs_mode = _option(
        "brs_mode",
        _Choice,
        "f-BRS-B",
        "f-BRS: where in the network clicks are made to hold: NoBRS (nowhere), f-BRS-A, f-BRS-B, f-BRS-C",
        choices=("NoBRS", "f-BRS-A", "f-BRS-B", "f-BRS-C"),
    )
    exact = _option(
        "exact",
        luigi.BoolParameter,
        False,
        "networks of the paper: compute step by step as the originals, slower",
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
    )


class TrackOptions(AnchorOptions):
    """How masks are carried along."""

    propagator = _option(
        "propagator",
        EngineParameter,
        "match:lite",
        "engine that carries masks from the anchors to the frames between them",
        plug="propagator",
    )
    box_padding = _number(
        "box_padding", 0.0, (0.0, 1.0), "SiamMask: share of an anchor mask's size by which the first box grows"
    )
    lost_score = _number(
        "lost_score", 0.3, (0.0, 1.0), "SiamMask: below this score a target is lost; 0 follows whatever comes"
    )


class RefineOptions(TrackOptions):
    """How boundaries are sharpened, and how far a refined mask may move."""

    refiner = _option(
        "refiner", EngineParameter, "cascadepsp:lite", "engine that sharpens the boundary of every mask", plug="refiner"
    )
    guard_iou = _number(
        "guard_iou",
        0.7,
        (0.0, 1.0),
        "a refined mask that overlaps its input less than this is rejected; 0 switches this test off",
    )
    guard_area = _number(
        "guard_area", 1.5, (1.0, 1e9), "a refined mask whose area grew or shrank by more than this factor is rejected"
    )


class ReportOptions:
    """How the report looks."""

    brush_px = _number("brush_px", 3, (1, 50), "thickness of strokes drawn in the report, in pixels")


class SessionOptions:
    """How a session of the interactive protocol is played."""

    policy = _option(
        "policy",
        _Choice,
        "lazy",
        "what is submitted: lazy (empty masks until all scribbles are there), lazy-repeat (the first result until "
        "then), anytime (the best result at each interaction)",
        choices=POLICIES,
    )
    clock = _option(
        "clock",
        _Choice,
        "charged",
        "seconds of an interaction: charged (what each artefact originally took), cpu (the same in seconds of the "
        "processor, for a machine that is busy with other things), wall (the run's own, at least what is charged)",
        choices=("charged", "cpu", "wall"),
    )
    max_time_s = _number(
        "max_time_s", 240.0, (0.001, 1e6), "seconds of computing that a session may take for each of its objects"
    )


class EvaluationOptions(SessionOptions):
    """Which sessions are played, and by whom they are judged."""

    sets = _option("sets", luigi.Parameter, "001,002,003", "scribble sets that are alternative first rounds")
    engine = _option(
        "engine",
        _Choice,
        "own",
        "who keeps the score: own, or davisinteractive (plays the sessions again in the official package)",
        choices=("own", "davisinteractive"),
    )


class ImportOptions:
    """How a source becomes frames."""

    short_side = _number(
        "short_side", 480, (0, 100_000), "shorter side of imported frames in pixels; 0 keeps the source's size"
    )


class BulkOptions:
    """How many sequences are scheduled at once."""

    chunk = _number("chunk", 10, (1, 100), "sequences that one round of bulk work schedules at once", significant=False)


def adopt_defaults() -> None:
    """Take what the configuration files at hand leave open from the project's own luigi.cfg.

    Luigi reads ./luigi.cfg only; in another folder a night that failed would end with exit code 0.
    """
    own, used = configparser.ConfigParser(), get_config()
    own.read(Path(__file__).parents[1] / "luigi.cfg", encoding="utf-8")
    for section in own.sections():
        for key, value in own[section].items():
            if not used.has_option(section, key):
                used.set(section, key, value)


def unknown_settings() -> Iterator[str]:
    """One line for each section or key of the configuration files that nobody reads."""
    parser = get_config()
    if not isinstance(parser, configparser.ConfigParser):
        return
    families = set(luigi.task_register.Register.task_names())
    for section in parser.sections():
        if section == SECTION:
            known = set(OPTIONS)
            for key in set(parser[section]) - known - set(parser.defaults()):
                near = difflib.get_close_matches(key, known, n=1)
                yield f"luigi.cfg: unknown key `{key}` in [{SECTION}]" + (
                    f"; did you mean `{near[0]}`?" if near else ""
                )
        elif section not in _LUIGI_SECTIONS | families:
            yield f"luigi.cfg: unknown section [{section}]; the project's options are in [{SECTION}]"
