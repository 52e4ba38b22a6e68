"""What a GPU makes of the engines: whether masks are a CPU's, how fast, how much memory, how long it has nothing to do.

    python -m benchmarks.gpu --json gpu.json                      on a machine with a GPU; meant for five minutes
    python -m benchmarks.gpu --device cpu --sizes 96 --seconds 0  does the program itself work?

Engines run directly, on drawn scenes with one object; of the project's packages it needs torch, NumPy, OpenCV and
safetensors, no Luigi. Networks whose checkpoint is not in --weights have arbitrary weights: what they compute takes as
long, but their masks mean nothing, and may be near 0.5 everywhere: then many pixels differ.

* differing: share of pixels whose mask is another one than on the CPU, 0.1 % at most is wanted; at the first size only.
* fps: anchors, or frames between anchors, or refined frames a second, after one that warms up; pictures are in memory.
* idle: 1 - seconds in which a kernel or a copy ran, as the profiler saw them / seconds of the same work without it.
* precisions: float32 is what engines do; tf32 rounds what goes into products to 10 bits, half is autocast to float16.
* together: so many processes share the GPU, each with the engine of --together: what `[resources] gpu` could be.

What fails, or does not fit into --budget seconds, says so in its row, and the rest goes on.
"""

import argparse
import json
import multiprocessing
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.profiler import profile

from stages.core.errors import WeightsError
from stages.engines import registry
from stages.engines.engine import Engine
from stages.engines.protocols import RefinesTogether
from stages.engines.spec import PLUGS, Plug
from stages.testing.scenes import Scene

ENGINES: dict[str, Plug] = {
    "fbrs:lite": "segmenter",
    "match:lite": "propagator",
    "cascadepsp:lite": "refiner",
    "siammask:lite": "propagator",
    "pointrend:lite": "refiner",
    "fbrs:resnet50_dh128": "segmenter",
    "siammask:davis": "propagator",
    "stm:davis": "propagator",
    "cascadepsp:official": "refiner",
}
"""The defaults, the small ones, and those of the papers."""
PRECISIONS = ("float32", "tf32", "half")
STRETCH = 8
"""Frames between two anchors."""
_PROCESSES = (1, 2, 4)
Masks = list[NDArray[np.float32]]
Row = dict[str, Any]


class Case(NamedTuple):
    """One engine at one size."""

    engine: str
    height: int
    precision: str
    device: str
    weights: Path

    @property
    def title(self) -> Row:
        """What it is called in the table."""
        return {"engine": self.engine, "height": self.height, "precision": self.precision}


def main() -> None:
    """Measure, and say it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu to try the program out")
    parser.add_argument("--sizes", default="480,1080", help="heights of frames; the first is compared with the CPU")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--together", default="match:lite", help="'' for none")
    parser.add_argument("--seconds", type=float, default=2, help="of repeating each")
    parser.add_argument("--budget", type=float, default=270, help="seconds for all; what is begun is finished")
    parser.add_argument("--weights", type=Path, default=Path("data/weights"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    started, rows = time.perf_counter(), list[Row]()
    print(f"{json.dumps(machine(options.device))}\n\n{head()}", flush=True)
    for title, work in planned(options):
        late = time.perf_counter() - started > options.budget
        rows.append(title | ({"skipped": "no time"} if late else tried(work)))
        print(line(rows[-1]), flush=True)
        if options.json:  # it may be stopped before it is done
            seconds = round(time.perf_counter() - started, 1)
            found = {"machine": machine(options.device), "seconds": seconds, "rows": rows}
            options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.exit(int(any("error" in row for row in rows)))


def planned(options: argparse.Namespace) -> Iterator[tuple[Row, Callable[[], Row]]]:
    """What is measured, with what it is called; what is most wanted first."""
    heights, engines = [int(each) for each in options.sizes.split(",")], options.engines.split(",")
    for precision, height, name in product(options.precisions.split(","), heights, engines):
        if height == heights[0] or precision == "float32":
            case = Case(name, height, precision, options.device, options.weights)
            yield case.title, partial(measured, case, options.seconds, heights[0])
    if options.together:
        case = Case(options.together, heights[0], "float32", options.device, options.weights)
        for count in _PROCESSES:
            yield case.title | {"processes": count}, partial(together, case, options.seconds, count)


def tried(work: Callable[[], Row]) -> Row:
    """What a piece of work gives, or why it failed."""
    try:
        return work()
    except Exception as error:  # the next case may work
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"[:300]}


def measured(case: Case, seconds: float, compared: int) -> Row:
    """Speed, memory and idle share of a case, and at the size `compared` how its masks differ from the CPU's."""
    engine = engine_of(case.engine)
    network, weights = network_of(engine, case.weights)
    work = Work(engine, case.height)
    built = ready(engine, network, case)
    reset_peak(case.device)
    with computing(case):
        first, frames = work(built), work.frames  # and warms up
        passed, rounds = repeated(lambda: work(built), seconds, case.device)
        busy = busy_seconds(lambda: work(built), case.device)
    row = {"weights": weights, "fps": round(frames * rounds / passed, 2), **peak(case.device)}
    if busy:
        row["idle"] = round(max(0.0, 1 - busy * rounds / passed), 3)
    if case.height == compared:
        plain = ready(engine, network_of(engine, case.weights)[0], case._replace(device="cpu", precision="float32"))
        row |= difference(work(plain), first)
    return row


def together(case: Case, seconds: float, count: int) -> Row:
    """Frames a second of several processes that share a GPU."""
    context = multiprocessing.get_context("spawn")
    barrier, told = context.Barrier(count), context.SimpleQueue()
    processes = [context.Process(target=_beside_others, args=(case, seconds, barrier, told)) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise RuntimeError("a process failed")
    return {"fps": round(sum(told.get() for _ in processes), 2)}


def _beside_others(case: Case, seconds: float, barrier: Any, told: Any) -> None:
    try:
        engine = engine_of(case.engine)
        network, _ = network_of(engine, case.weights)
        torch.set_num_threads(1)  # as a task's process
        work, built = Work(engine, case.height), ready(engine, network, case)
        with computing(case):
            work(built)
            barrier.wait()
            passed, rounds = repeated(lambda: work(built), max(seconds, 0.1), case.device)
        told.put(work.frames * rounds / passed)
    except BaseException:
        barrier.abort()  # nobody waits for it
        raise


# ---------------------------------------------------------------------------------------------- engines, and their work


def engine_of(name: str) -> Engine:
    """An engine by its name."""
    return next(each for plug in PLUGS for each in registry.engines(plug) if each.name == name and each.network)


def network_of(engine: Engine, weights: Path) -> tuple[nn.Module, str]:
    """Its network, and where the weights come from."""
    assert engine.network is not None
    try:
        return registry.load_network(engine.name, weights), "trained"
    except WeightsError:
        return arbitrary(registry.build_network(engine.network.key)), "arbitrary"


def arbitrary(network: nn.Module) -> nn.Module:
    """Fill a network with weights that keep what passes through it of one size; always the same ones."""
    generator = torch.Generator().manual_seed(0)
    for name, values in network.named_parameters():
        if values.ndim > 1:
            deviation = (2 / values[0].numel()) ** 0.5
            values.copy_(torch.randn(values.shape, generator=generator) * deviation)
        elif values.ndim == 1:
            values.fill_(0.6 if name.endswith("weight") else 0)
    return network


def ready(engine: Engine, network: nn.Module, case: Case) -> Any:
    """The engine with its defaults, its network on the device."""
    assert engine.network is not None
    defaults = {option.name: option.default for option in engine.spec.options}
    make = engine.spec.resolve(engine.spec.build)
    return make(network, device=case.device, **engine.network.arguments, **engine.arguments(defaults))


class Work:
    """What an engine does in a pipeline: an anchor, a stretch, or the frames of one refined."""

    def __init__(self, engine: Engine, height: int) -> None:
        """Draw the pictures."""
        self._plug, self._name = engine.spec.plug, engine.name
        self._scene = Scene(height, round(height * 16 / 9))
        self._pictures = [self._scene.frame(index) for index in range(STRETCH + 2)]
        self._truths = [self._scene.masks(index) for index in range(STRETCH + 2)]
        self.frames = {"segmenter": 1, "propagator": STRETCH, "refiner": STRETCH}[self._plug]

    def __call__(self, built: Any) -> Masks:
        """Let the engine do it."""
        if self._plug == "segmenter":
            return [built.segment(self._pictures[0], self._scene.scribbles())]
        if self._plug == "refiner":
            pairs = list(zip(self._pictures, self._truths, strict=True))[1:-1]
            shown = [(picture, masks[0]) for picture, masks in pairs]
            if isinstance(built, RefinesTogether):
                return list(built.refine_all(shown))
            return [built.refine(*each) for each in shown]
        left, right = (self._scene.anchor(index) for index in (0, STRETCH + 1))
        return [each.probability for each in built.propagate(self._pictures, left, right)]


def computing(case: Case) -> AbstractContextManager[Any]:
    """What a precision is."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = case.precision == "tf32"
    half = case.precision == "half"
    return torch.autocast(torch.device(case.device).type, torch.float16) if half else nullcontext()


# ---------------------------------------------------------------------------------------------- measuring


def repeated(work: Callable[[], object], seconds: float, device: str) -> tuple[float, int]:
    """Seconds that some rounds took, and how many there were; one at least."""
    started, rounds = time.perf_counter(), 0
    while not rounds or time.perf_counter() - started < seconds:
        work()
        rounds += 1
        wait_for(device)
    return time.perf_counter() - started, rounds


def busy_seconds(work: Callable[[], object], device: str) -> float:
    """In which anything ran on the GPU."""
    if not on_gpu(device):
        return 0
    with profile() as seen:
        work()
        wait_for(device)
    spans = (event.time_range for event in seen.events() or () if event.device_type.name == "CUDA")
    return covered((span.start, span.end) for span in spans) / 1e6


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """How long any of several spans (start, end) lasted; they may overlap."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def difference(one: Masks, other: Masks) -> Row:
    """How two runs differ: the share of mask pixels in percent, and the largest step of a probability."""
    pairs = list(zip(one, other, strict=True))
    differing = np.mean([((a > 0.5) != (b > 0.5)).mean() for a, b in pairs])
    step = max(float(np.abs(a - b.astype(np.float32)).max()) for a, b in pairs)
    return {"differing_percent": round(100 * float(differing), 4), "largest_step": round(step, 5)}


def on_gpu(device: str) -> bool:
    """Whether a device is one."""
    return device.startswith("cuda")


def wait_for(device: str) -> None:
    """Until all that was asked of it is done."""
    if on_gpu(device):
        torch.cuda.synchronize(device)


def reset_peak(device: str) -> None:
    """Forget what was taken before."""
    if on_gpu(device):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: str) -> Row:
    """MiB on the GPU at most: of tensors, and with what torch keeps in reserve; the context is not in it."""
    if not on_gpu(device):
        return {}
    taken = torch.cuda.max_memory_allocated(device), torch.cuda.max_memory_reserved(device)
    return dict(zip(("peak_mib", "reserved_mib"), (round(each / 2**20) for each in taken), strict=True))


def machine(device: str) -> Row:
    """What it was measured on."""
    name = torch.cuda.get_device_name(device) if on_gpu(device) else "cpu"
    return {"device": name, "torch": torch.__version__, "cuda": torch.version.cuda, "threads": torch.get_num_threads()}


COLUMNS = {"engine": 20, "height": 6, "precision": 9, "weights": 9, "processes": 9, "fps": 8, "idle": 6, "peak_mib": 8,
           "reserved_mib": 12, "differing_percent": 17, "largest_step": 12, "error": 0, "skipped": 0}  # fmt: skip


def line(row: Row) -> str:
    """A row of the table, as it grows."""
    return "| " + " | ".join(f"{row.get(name, ''):>{width}}" for name, width in COLUMNS.items()) + " |"


def head() -> str:
    """The table's first two rows."""
    return f"{line({name: name for name in COLUMNS})}\n|{'---|' * len(COLUMNS)}"


if __name__ == "__main__":
    main()
