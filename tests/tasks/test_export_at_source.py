"""A video that was imported small, exported at its own size: the whole way."""

import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from stages.core.overlap import iou
from stages.exchange.outgoing.at_source import enlarged_exactly
from stages.formats.masks import read_mask
from stages.steps.import_video import import_sequence
from tests.conftest import LUIGI, Clip, Project, write_settings


def _film(clip: Clip, path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "4", "x264-params": "log=-1"})
        stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, "yuv444p"
        for index in range(clip.frame_count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(clip.frame(index), format="rgb24")))
        container.mux(stream.encode())
    return path


def _export(project: Project, *arguments: str) -> tuple[int, str]:
    command = [str(LUIGI), "--module", "tasks", "ExportSequence", "--seq", project.seq, "--format", "png"]
    done = subprocess.run(
        [*command, "--size", "source", "--pictures", "convert", *arguments],
        cwd=project.folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_masks_and_pictures_have_the_size_of_the_video(tmp_path: Path):
    write_settings(tmp_path)
    project = Project(tmp_path, Clip())
    project.frames.parent.mkdir(parents=True)
    video = _film(project.clip, tmp_path / "toy.mp4")
    import_sequence(video, project.frames, 48)
    project.scribble(2, 5, 8, 11)
    project.run()
    assert list(project.root.glob("tracks/*/tracks.h5"))
    subprocess.run(
        [str(LUIGI.with_name("lis")), "clean", "toy", "--yes"], cwd=tmp_path, check=True, capture_output=True
    )
    assert not list(project.root.glob("tracks/*/tracks.h5"))

    moved = tmp_path / "films" / "renamed.mp4"
    moved.parent.mkdir()
    shutil.move(video, moved)
    code, said = _export(project)
    assert code == 30 and "it has moved: say with --source" in said and "Traceback" not in said

    code, said = _export(project, "--source", str(moved))
    assert code == 0, said
    moved.rename(moved.with_name("moved again.mp4"))
    for there in ((), ("--source", str(moved))):
        code, said = _export(project, *there)
        assert (code, "it has moved" in said) == (0, False), "what is up to date needs no video"
    masks = project.root / "export/png/train/masks/toy"
    gained = []
    for index in range(12):
        mask, truth = read_mask(masks / f"{index:05d}.png"), project.clip.truth(index)
        picture = np.asarray(Image.open(project.root / f"export/png/train/images/toy/{index:05d}.jpg"))
        assert mask.shape == truth.shape == picture.shape[:2]
        assert abs(picture.astype(int) - project.clip.frame(index)).mean() < 6
        only_enlarged = enlarged_exactly(read_mask(project.root / f"masks/{index:05d}.png"), (128, 96))
        gained.append(iou(mask == 1, truth == 1) - iou(only_enlarged == 1, truth == 1))
    assert np.mean(gained) > 0
