"""A training, step by step: it can be killed at any time and goes on from its last checkpoint.

A step's examples depend on the seed and their number only, so that a resumed training sees what it would have seen.
"""

import csv
import io
import math
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset

from stages.core.errors import LisError, StageError
from stages.core.progress import Progress, silent
from stages.formats import files
from stages.nn.prepare import choose_device
from stages.training.pictures import Drawing, Picture
from stages.training.recipe import Batch, Recipe, Sample, Schedule

Tensors = tuple[Tensor, ...] | list[Tensor]
Tell = Callable[[str], None]
"""Is told a line for people."""

CHECKPOINT = "checkpoint.pt"
CHECKPOINT_EVERY = 100
"""Steps."""
_LONGEST_GRADIENT = 5.0
_LOSSES_EVERY = 20
"""Steps."""
_TELL_EVERY_S, _TELL_EVERY_SHARE = 30.0, 0.05


@dataclass(frozen=True)
class Outcome:
    """A finished training."""

    network: nn.Module
    """With averaged weights, in eval mode."""
    figures: dict[str, float]
    """Of the validation."""
    seconds: float
    """Spent on steps, over all sessions."""
    device: str = "cpu"
    """Where it learnt at the end: `cpu`, or what the GPU is called."""


class Examples(Dataset[Sample]):
    """The examples of a training by number."""

    def __init__(self, recipe: Recipe, pictures: Sequence[Picture], seed: int) -> None:
        self._recipe, self._draw, self._seed = recipe, Drawing(pictures, recipe.shares), seed

    def __getitem__(self, number: int) -> Sample:
        """Make one."""
        return self._recipe.sample(self._draw, np.random.default_rng([self._seed, number]))


def train(
    recipe: Recipe,
    trunk: Mapping[str, Tensor],
    pictures: tuple[Sequence[Picture], Sequence[Picture]],
    folder: Path,
    seed: int,
    progress: Progress = silent,
    tell: Tell = lambda _line: None,
    *,
    device: str = "cpu",
    workers: int = 1,
    start: Mapping[str, Tensor] | None = None,
) -> Outcome:
    """Train a network, or go on where a killed training stopped.

    Args:
        recipe: what to do.
        trunk: published weights of the backbone, see `backbones.lite.from_published`.
        pictures: to train on, and held out.
        folder: holds the last checkpoint of a killed training, `losses.csv` and `validation.csv`.
        seed: of everything that is left to chance.
        progress: passes steps through.
        tell: is told from time to time how far the training is, and how long it will take.
        device: "cpu", "cuda", "cuda:1" or "auto"; on a GPU, most is computed in bfloat16. A recipe that has not been
            made for GPUs learns on the CPU all the same.
        workers: processes that make examples.
        start: weights to begin with, by the network's names.

    Raises:
        InputError: no example can be made of the pictures, or the GPU is not there.
        StageError: the loss is no longer a number, or the checkpoint cannot be read.
    """
    schedule = recipe.schedule
    for part in filter(None, pictures):  # here, and not in a process of the loader, it can be told what is wrong
        recipe.sample(Drawing(part, recipe.shares), np.random.default_rng(seed))
    torch.manual_seed(seed)
    if not recipe.on_gpu:
        if device.startswith("cuda"):
            tell("this network's recipe has not been made for GPUs: it learns on the CPU")
        device = "cpu"
    learner = Learner(recipe, trunk, device, start)
    averaged = learner.averaged
    state = _State(folder, learner.network, averaged, learner.optimiser)
    first = state.restore()
    if first:
        tell(f"going on at step {first} of {schedule.steps}")

    loader = DataLoader(
        Examples(recipe, pictures[0], seed),
        batch_size=schedule.batch,
        sampler=range(first * schedule.batch, schedule.steps * schedule.batch),
        num_workers=workers,
        prefetch_factor=max(2, 6 // workers),
        pin_memory=learner.on_gpu,
        worker_init_fn=begin,
    )
    losses = _Table(folder / "losses.csv", first)
    validation = _Table(folder / "validation.csv", min(first, schedule.steps - 1))
    lines = _Lines(tell, first, schedule.steps)
    started = time.monotonic()
    steps = progress(range(first, schedule.steps), schedule.steps - first)
    for step, batch in zip(steps, _batches(loader, folder), strict=True):
        tensors = learner.step(batch, step / schedule.steps, pace(step, schedule))
        parts = {name: float(value) for name, value in tensors.items()}
        if not math.isfinite(sum(parts.values())):
            raise StageError(f"step {step}: the loss is {parts}, expected numbers; lower the learning rate")
        done = step + 1
        seconds = state.seconds + time.monotonic() - started
        lines.step(done, sum(parts.values()))
        if done % _LOSSES_EVERY == 0 or done == schedule.steps:
            losses.add(step=done, seconds=round(seconds), **parts)
        if done % schedule.validate_every == 0 and done < schedule.steps:
            figures = _validate(recipe, averaged, pictures[1])
            validation.add(step=done, seconds=round(seconds), **figures)
            tell(f"step {done} of {schedule.steps}: {in_words(figures)} on held-out pictures")
        if done % CHECKPOINT_EVERY == 0:
            state.save(done, seconds)
    seconds = state.seconds + time.monotonic() - started
    figures = _validate(recipe, averaged, pictures[1])
    validation.add(step=schedule.steps, seconds=round(seconds), **figures)
    state.save(schedule.steps, seconds)
    return Outcome(plain(averaged).cpu(), figures, seconds, learner.place)


class Learner:
    """A network, the average of what it has been, and how it learns from a batch."""

    def __init__(
        self,
        recipe: Recipe,
        trunk: Mapping[str, Tensor],
        device: str = "cpu",
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Begin; arguments as for `train`."""
        self.device = choose_device(device)
        self._recipe = recipe
        self.network = recipe.build(trunk).train().to(self.device)
        if start is not None:
            self.network.load_state_dict(start, strict=False)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch documents it
        self.averaged = AveragedModel(self.network, multi_avg_fn=average(recipe.schedule.averaging), use_buffers=True)
        self.optimiser = self._optimiser()

    def step(self, batch: Batch, progress: float, pace: float) -> dict[str, Tensor]:
        """Learn from a batch.

        Args:
            batch: see `Recipe.losses`; on any device.
            progress: share of the steps done, in [0, 1).
            pace: the learning rate as a share of its peak.

        Returns:
            Parts of the loss, on the network's device.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * pace
        there = {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}
        # Without a cache: what was cast without gradients, for an earlier look, must not be met again with them.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.on_gpu, cache_enabled=False):
            parts = self._recipe.losses(self.network, there, progress)
        self.optimiser.zero_grad()
        torch.autograd.backward(torch.stack(list(parts.values())).sum())
        nn.utils.clip_grad_norm_(self.network.parameters(), _LONGEST_GRADIENT)
        self.optimiser.step()
        self.averaged.update_parameters(self.network)
        return {name: value.detach() for name, value in parts.items()}

    @property
    def on_gpu(self) -> bool:
        """Whether it learns on a GPU."""
        return self.device.type == "cuda"

    @property
    def place(self) -> str:
        """Where it learns, for people."""
        return str(torch.cuda.get_device_name(self.device)) if self.on_gpu else self.device.type

    def _optimiser(self) -> torch.optim.Optimizer:
        schedule, trunk = self._recipe.schedule, self._recipe.trunk(self.network)
        in_trunk = {id(p) for name, p in trunk.named_parameters() if "maps_stem" not in name}
        groups = []
        for of_trunk, peak in ((False, schedule.learning_rate), (True, schedule.learning_rate * schedule.trunk_rate)):
            members = [p for p in self.network.parameters() if p.requires_grad and (id(p) in in_trunk) == of_trunk]
            if members:
                groups.append({"params": members, "lr": peak, "peak": peak})
        return torch.optim.AdamW(groups, weight_decay=schedule.weight_decay)


class _State:
    """What a training has to remember, and its file."""

    def __init__(self, folder: Path, network: nn.Module, averaged: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        self._path = folder / CHECKPOINT
        self._parts: dict[str, Any] = {"network": network, "averaged": averaged, "optimiser": optimiser}
        self.seconds = 0.0

    def restore(self) -> int:
        """Load the file, if there is one; returns the number of steps done."""
        if not self._path.exists():
            return 0
        try:
            content = torch.load(self._path, map_location="cpu", weights_only=True)
            for name, part in self._parts.items():
                part.load_state_dict(content[name])
            self.seconds = content["seconds"]
            return int(content["step"])
        except Exception as error:  # whatever a damaged file makes the reader raise
            raise StageError(
                f"{self._path} cannot be read ({type(error).__name__}), expected the checkpoint of this training; "
                f"delete the folder {self._path.parent} to begin anew"
            ) from error

    def save(self, step: int, seconds: float) -> None:
        """Replace the file in one move; what killed trainings left beside it goes."""
        files.sweep_beside(self._path)
        content = {name: part.state_dict() for name, part in self._parts.items()}
        packed = io.BytesIO()
        torch.save({**content, "step": step, "seconds": seconds}, packed)
        files.replace(self._path, packed.getbuffer())


class _Table:
    """A CSV file that grows; rows beyond the step at which a training resumes are dropped."""

    def __init__(self, path: Path, first: int) -> None:
        self._path = path
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) if path.exists() else []
        files.delete(path)
        for row in rows:
            if int(row["step"]) <= first:
                self.add(**row)

    def add(self, **row: Any) -> None:
        """Write a row."""
        lines = io.StringIO(newline="")
        writer = csv.DictWriter(lines, list(row), lineterminator="\n")
        if not self._path.exists():
            writer.writeheader()
        writer.writerow({k: f"{v:.5f}" if isinstance(v, float) else v for k, v in row.items()})
        files.append_line(self._path, lines.getvalue().removesuffix("\n"))


class _Lines:
    """What is told while it lasts: first after half a minute, then every half minute or 5 %, whichever is rarer."""

    def __init__(self, tell: Tell, first: int, steps: int) -> None:
        self._tell, self._first, self._steps = tell, first, steps
        self._started = self._told = time.monotonic()
        self._next = first
        self._loss: float | None = None

    def step(self, done: int, loss: float) -> None:
        """A step is done."""
        self._loss = loss if self._loss is None else 0.9 * self._loss + 0.1 * loss
        now = time.monotonic()
        if now - self._told < _TELL_EVERY_S or done < self._next or done == self._steps:
            return
        self._told, self._next = now, done + math.ceil(_TELL_EVERY_SHARE * self._steps)
        left_s = (now - self._started) / (done - self._first) * (self._steps - done)
        self._tell(f"step {done} of {self._steps}, loss {self._loss:.3f}, {duration(left_s)} left")


def in_words(figures: Mapping[str, float]) -> str:
    """`iou 0.7464, iou_3_clicks 0.8334`."""
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items()) or "no figures"


def duration(seconds: float) -> str:
    """In words: `50 s`, `12 min`, `3 h 5 min`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def average(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """A moving average that forgets its beginning, an untrained network, however few steps there are.

    Of n steps it weighs the last twentieth most, until that is as long as `decay` asks for.
    """

    @torch.no_grad()
    def update(averaged: Tensors, now: Tensors, steps: Tensor | int) -> None:
        count = torch.as_tensor(steps, dtype=torch.float32)
        new_share = 1 - ((1 + count) / (20 + count)).clamp(max=decay)
        for old, new in zip(averaged, now, strict=True):
            if old.is_floating_point():
                old.lerp_(new, new_share)
            else:
                old.copy_(new)

    return update


def _batches(loader: Iterable[Batch], folder: Path) -> Iterator[Batch]:
    try:
        yield from loader
    except LisError:
        raise
    except Exception as error:  # of a process that makes examples: of whichever kind, with its trace as the message
        reason = str(error).strip().splitlines()[-1]
        raise StageError(
            f"an example could not be made: {reason}. The last checkpoint is kept in {folder}, but "
            "the same command would meet the same example: report this, and choose another --seed meanwhile"
        ) from error


def pace(step: int, schedule: Schedule) -> float:
    """The learning rate as a share of its peak."""
    bounds = (0, *schedule.restarts, schedule.steps)
    start, end = next((a, b) for a, b in pairwise(bounds) if a <= step < b)
    step, steps = step - start, end - start
    if step < schedule.warm_up:
        return (step + 1) / schedule.warm_up
    fallen = 0.5 * (1 + math.cos(math.pi * (step - schedule.warm_up) / max(steps - schedule.warm_up, 1)))
    return 0.01 + 0.99 * fallen


def _validate(recipe: Recipe, averaged: AveragedModel, held_out: Sequence[Picture]) -> dict[str, float]:
    if not held_out:
        return {}
    with torch.no_grad():
        return recipe.validate(plain(averaged), held_out)


def plain(averaged: AveragedModel) -> nn.Module:
    """A copy of the averaged network, ready for inference."""
    module = averaged.module
    assert isinstance(module, nn.Module)
    return deepcopy(module).eval().requires_grad_(False)


def begin(_worker: int) -> None:
    """In the process that makes examples: one thread, and no life after its parent's, whose locks it has inherited."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
