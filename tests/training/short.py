"""Small trainings for tests: pictures, and a recipe that takes little."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from stages.training import recipes
from stages.training.fbrs_lite import FbrsLite
from stages.training.recipe import Schedule


def write_set(folder: Path, count: int = 10, value: int = 1, picture: str = "png", mask: str = "png", **how) -> Path:
    """Pictures of a disc of some colour on a texture."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        ids = cv2.circle(np.zeros((120, 160), np.uint8), (60 + index % 24, 60), 40, value, -1)
        rgb = cv2.resize(rng.integers(0, 100, (12, 16, 3)).astype(np.uint8), (160, 120))
        rgb[ids > 0] = (200, 80, 40)
        Image.fromarray(rgb).save(folder / "images" / f"{index:02d}.{picture}")
        Image.fromarray(ids).save(folder / "masks" / f"{index:02d}.{mask}", **how)
    return folder


class Short(FbrsLite):
    """A training of three steps."""

    schedule = Schedule(steps=3, batch=2, learning_rate=1e-3, warm_up=1, validate_every=2)
    validation_examples = 4
    shares: Mapping[str, float] = {"first": 0.5, "second": 0.5}


def train_shortly(monkeypatch: pytest.MonkeyPatch) -> Short:
    """Let `fbrs_lite` be trained by the short recipe; its sets are nowhere."""
    made = Short()
    made.shares = {"usual": 1.0}
    monkeypatch.setitem(recipes.RECIPES, "fbrs_lite", made)  # type: ignore[arg-type]
    return made


def always(_picture: object) -> bool:
    """Every picture suits."""
    return True
