"""A training, step by step: it can be killed at any time and goes on from its last checkpoint.

A step's examples depend on the seed and their number only, so that a resumed training sees what it would have seen.
"""

import math
import multiprocessing
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import wait
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset

from stages.core.errors import LisError, StageError
from stages.core.progress import Progress, silent
from stages.training.learner import Learner, plain
from stages.training.pictures import Drawing, Picture
from stages.training.recipe import Batch, Recipe, Sample, Schedule
from stages.training.record import Checkpoint, Lines, Table, Tell, in_words

CHECKPOINT_EVERY = 100
"""Steps."""
_LOSSES_EVERY = 20
"""Steps."""


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
    checkpoint = Checkpoint(folder, learner.network, averaged, learner.optimiser)
    first = checkpoint.restore()
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
    losses = Table(folder / "losses.csv", first)
    validation = Table(folder / "validation.csv", min(first, schedule.steps - 1))
    lines = Lines(tell, first, schedule.steps)
    started = time.monotonic()
    steps = progress(range(first, schedule.steps), schedule.steps - first)
    for step, batch in zip(steps, _batches(loader, folder), strict=True):
        tensors = learner.step(batch, step / schedule.steps, pace(step, schedule))
        parts = {name: float(value) for name, value in tensors.items()}
        if not math.isfinite(sum(parts.values())):
            raise StageError(f"step {step}: the loss is {parts}, expected numbers; lower the learning rate")
        done = step + 1
        seconds = checkpoint.seconds + time.monotonic() - started
        lines.step(done, sum(parts.values()))
        if done % _LOSSES_EVERY == 0 or done == schedule.steps:
            losses.add(step=done, seconds=round(seconds), **parts)
        if done % schedule.validate_every == 0 and done < schedule.steps:
            figures = _validate(recipe, averaged, pictures[1])
            validation.add(step=done, seconds=round(seconds), **figures)
            tell(f"step {done} of {schedule.steps}: {in_words(figures)} on held-out pictures")
        if done % CHECKPOINT_EVERY == 0:
            checkpoint.save(done, seconds)
    seconds = checkpoint.seconds + time.monotonic() - started
    figures = _validate(recipe, averaged, pictures[1])
    validation.add(step=schedule.steps, seconds=round(seconds), **figures)
    checkpoint.save(schedule.steps, seconds)
    return Outcome(plain(averaged).cpu(), figures, seconds, learner.place)


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


def begin(_worker: int) -> None:
    """In the process that makes examples: one thread, and no life after its parent's, whose locks it has inherited."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
