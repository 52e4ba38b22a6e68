"""From a video file or a folder to a dataset."""

import av
import numpy as np
import pytest
from PIL import Image

from tests.conftest import Project


def test_a_folder_is_imported_with_its_stems_and_then_known_by_name(project: Project) -> None:
    source = project.folder / "pictures"
    source.mkdir()
    for index in range(3):
        Image.fromarray(project.clip.frame(index)).save(source / f"shot_{index + 8}.png")
    project.seq = "shots"
    project.run("ImportSequence", "--source", "pictures", "--dataset", "mine")
    frames = project.folder / "data" / "mine" / "JPEGImages" / "480p" / "shots"
    assert sorted(path.stem for path in frames.glob("*.png")) == ["shot_10", "shot_8", "shot_9"]
    project.run(expect=20)


def test_a_video_is_imported_frame_by_frame(project: Project) -> None:
    with av.open(str(project.folder / "clip.mp4"), "w") as container:
        stream = container.add_stream("h264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for index in range(9):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(project.clip.frame(index), format="rgb24")))
        container.mux(stream.encode())
    project.seq = "film"
    project.run("ImportSequence", "--source", "clip.mp4", "--dataset", "mine", "--short-side", "48")
    frames = sorted((project.folder / "data" / "mine" / "JPEGImages" / "480p" / "film").glob("*.jpg"))
    assert [path.name for path in frames] == [f"{index:05d}.jpg" for index in range(9)]
    assert np.array(Image.open(frames[0])).shape == (48, 64, 3)


@pytest.mark.slow
def test_another_video_takes_the_place_of_one_only_if_asked(project: Project) -> None:
    for name, first in (("one", 0), ("other", 4)):
        (project.folder / name).mkdir()
        for index in range(3):
            Image.fromarray(project.clip.frame(first + index)).save(project.folder / name / f"{index}.png")
    project.seq = "film"
    project.run("ImportSequence", "--source", "one", "--dataset", "set")
    project.scribble(0)
    drawn = project.scribble_file.read_bytes()
    painted = project.root / "requests" / "00001.strokes.png"
    painted.parent.mkdir(parents=True)
    painted.write_bytes(b"painted")
    output = project.run("ImportSequence", "--source", "other", "--dataset", "set", expect=30)
    assert f"found the frames of {project.folder / 'one'}" in output
    assert "Traceback" not in output
    assert project.scribble_file.read_bytes() == drawn
    output = project.run("ImportSequence", "--source", "other", "--dataset", "set", "--replace")
    (aside,) = project.scribble_file.parent.iterdir()
    assert str(aside.relative_to(project.folder)) in output
    assert (aside / "001.json").read_bytes() == drawn
    assert (aside / "requests" / painted.name).read_bytes() == b"painted"
    assert not painted.exists()
    assert (project.frames / "0.png").read_bytes() == (project.folder / "other" / "0.png").read_bytes()


def test_something_else_is_a_clear_error(project: Project) -> None:
    (project.folder / "notes.mp4").write_text("no video")
    project.seq = "notes"
    output = project.run("ImportSequence", "--source", "notes.mp4", "--dataset", "mine", expect=30)
    assert "notes.mp4" in output
    assert "Traceback" not in output
