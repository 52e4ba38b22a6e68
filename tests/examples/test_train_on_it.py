"""The training loop of docs/train-on-it.md, a few steps long, on an export of the toy clip."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from examples.train_on_it import UNKNOWN, Frames, UNet, iou, main, train
from stages.exchange.outgoing.terms import Terms
from stages.exchange.writers.coco import Coco
from tests.conftest import Clip
from tests.exchange.adversarial import sample
from tests.exchange.driver import export

CLIP = Clip()


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """Eight frames to learn from, and four of another sequence; the first of these has a row that nobody knows."""
    maps = [CLIP.truth(index) for index in range(12)]
    maps[8][0] = UNKNOWN
    splits = {"train": [sample("learnt", maps[:8])], "val": [sample("held", maps[8:])]}
    folder = export(Coco(), splits, tmp_path / "first", Terms(unknown="crowd"))
    for seq, first, end in (("learnt", 0, 8), ("held", 8, 12)):
        (folder / "images" / seq).mkdir(parents=True)
        for index in range(first, end):
            Image.fromarray(CLIP.frame(index)).save(folder / "images" / seq / f"{index - first:05d}.jpg")
    return folder / "annotations"


def test_frames_are_read_as_they_were_exported(exported: Path) -> None:
    learnt, held = Frames(exported / "instances_train.json"), Frames(exported / "instances_val.json")
    assert np.array_equal(learnt.labels(3), CLIP.truth(3))
    assert (held.labels(0)[0] == UNKNOWN).all()
    assert np.array_equal(held.labels(0)[1:], CLIP.truth(8)[1:])
    pictures, labels = learnt[0]
    assert pictures.shape[1:] == labels.shape
    assert set(labels.unique().tolist()) <= {0, 1, 2}
    assert iou(CLIP.truth(8), held.labels(0)) == 1


@pytest.mark.slow
def test_it_learns_and_segments_what_was_held_out(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(1)
    frames = Frames(exported / "instances_train.json")
    losses = list(train(UNet(len(frames.classes)), frames, steps=9))
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])
    out = tmp_path / "net"
    files = [f"--{split}={exported / f'instances_{split}.json'}" for split in ("train", "val")]
    main([*files, f"--out={out}", "--steps=2"])
    for index in range(4):
        mask = np.array(Image.open(out / "trained" / "held" / f"{index:05d}.png"))
        assert mask.shape == (CLIP.height, CLIP.width)
        assert set(np.unique(mask)) <= {0, 1, 2}
    assert "mean of 4 frames" in capsys.readouterr().out
    assert (out / "network.pt").is_file()
