"""From a video that was just imported to an approved export, with nothing but the page; by keys, where it has keys."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from stages.formats.masks import read_mask
from stages.formats.scribbles import read_scribbles, write_scribbles
from stages.steps.film import encoded
from tests.browser.pointers import drag
from tests.browser.watching import PICTURES, check_looks, wait_for
from tests.conftest import Clip, Project, write_settings

RUN_MS = 120_000


@pytest.fixture(scope="module")
def over(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The toy clip as a video that `lis import` has brought in; people are asked for few frames."""
    folder = tmp_path_factory.mktemp("shown")
    write_settings(folder)
    settings = folder / "luigi.cfg"
    settings.write_text(re.sub(r"^requests = .*$", "requests = 3", settings.read_text(), flags=re.MULTILINE))
    clip = Clip()
    with encoded(folder / "toy.mp4", clip.frame_count, 24) as add:
        for index in range(clip.frame_count):
            add(clip.frame(index))
    lis(folder, "import", "toy.mp4", "--dataset", "set")
    return Project(folder, clip)


def lis(folder: Path, *words: str) -> None:
    """What a person types."""
    done = subprocess.run(
        [sys.executable, "-m", "tasks", *words], check=False, cwd=folder, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr


class Person:
    """Who works with the page, and how long things take her."""

    def __init__(self, tab: Page, clip: Clip) -> None:
        self.tab, self.clip = tab, clip
        self.side = tab.get_by_role("complementary")
        self.seconds: dict[str, list[float]] = {}

    @property
    def frame(self) -> int:
        """The one that is shown."""
        found = re.search(r"frame (\d+) of", self.tab.locator("#frame-bar").inner_text())
        assert found
        return int(found[1])

    def draw(self, object_id: int) -> None:
        """A stroke through the middle of an object of the clip, until its mask is seen."""
        x, y = self.clip.centres(self.frame)[object_id - 1] or (0, 0)
        self.tab.keyboard.press(str(object_id))
        places = [((x + 0.5 + dx) / self.clip.width, (y + 0.5) / self.clip.height) for dx in range(-9, 10, 3)]
        drag(self.tab.locator("#picture-layer"), places)
        with self.timed("stroke to mask"):
            self.sees(x, y + 4)

    @property
    def objects_here(self) -> list[int]:
        """Those of the clip that are on the frame."""
        return [number for number, centre in enumerate(self.clip.centres(self.frame), start=1) if centre]

    def sees(self, x: int, y: int) -> None:
        """A mask is drawn there."""
        layer = self.tab.locator("#mask-layer")
        alpha = "(layer, at) => layer.getContext('2d').getImageData(...at, 1, 1).data[3]"
        wait_for(self.tab, lambda: layer.evaluate(alpha, [x, y]) > 0)

    def run(self) -> None:
        """Have the masks made; what is made in the background meanwhile is not waited for."""
        told = self.side.locator("#run-told")
        self.tab.keyboard.press("r")
        expect(told).not_to_have_text("done")  # of the run before
        expect(self.side.locator("#runs code")).to_have_text(re.compile("^lis refine toy"), timeout=RUN_MS)
        expect(told).to_have_text("done", timeout=RUN_MS)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds.setdefault(what, []).append(time.monotonic() - began)


def test_two_objects_from_an_import_to_an_approved_export(tab: Page, over: Project, tmp_path: Path) -> None:
    person = Person(tab, over.clip)
    side, said = person.side, tab.locator("#said")
    with person.timed("inbox to frame"):
        tab.get_by_role("link", name="toy").click()
        expect(tab.locator("#frame-bar")).to_contain_text("asked for")

    # All frames that are asked for, one after the other.
    asked: list[int] = []
    while "no other frame waits" not in said.inner_text():
        asked.append(person.frame)
        for object_id in person.objects_here:
            person.draw(object_id)
        tab.keyboard.press("Enter")
        expect(said).to_contain_text(f"frame {asked[-1]} is done")
    expect(tab.get_by_role("button", name="Next sequence")).to_be_visible()
    assert asked == [2, 5, 8, 11]

    # What the objects are called; the second is not on this frame.
    for object_id, name in ((1, "Square"), (2, "<b>Disc</b>")):
        field = side.get_by_role("textbox", name=f"Name of object {object_id}")
        field.fill(name)
        field.press("Enter")
    named = over.scribble_file.with_name("objects.json")
    wait_for(person.tab, lambda: named.exists() and "Disc" in named.read_text())

    with person.timed("all strokes to result"):
        person.run()
    expect(side).to_contain_text("0 of 12 approved")
    check_looks(tab, "scenario_result")
    first = masks_of(over)

    # One stroke corrects one object on one frame.
    tab.keyboard.press("j")
    expect(tab.locator("#frame-bar")).to_contain_text("a stroke corrects its own object")
    frame = person.frame
    assert frame not in asked
    person.draw(1)
    tab.keyboard.press("Enter")
    expect(said).to_contain_text(f"frame {frame} is done")
    with person.timed("correction to new result"):
        person.run()
    second = masks_of(over)
    assert (second[frame] != first[frame]).any()
    assert ((second[frame] == 2) == (first[frame] == 2)).all(), "the other object keeps its mask"

    tab.keyboard.press("Control+Shift+A")
    expect(side).to_contain_text("12 of 12 approved")
    side.get_by_text("Masks as other programs read them").click()
    side.get_by_label("Format").select_option("davis")
    side.get_by_label("only reviewed").check()
    side.get_by_role("button", name="Export").click()
    expect(side.locator("#export-told")).to_contain_text("done", timeout=RUN_MS)
    check_looks(tab, "scenario_exported")
    exported = sorted((over.root / "export").rglob("Annotations/**/*.png"))
    assert [(read_mask(path) == mask).all() for path, mask in zip(exported, second, strict=True)] == [True] * 12

    assert is_what_was_drawn(over, asked, tmp_path / "001.json")
    assert all((mine == theirs).all() for mine, theirs in zip(by_hand(over, tmp_path / "by_hand"), second, strict=True))

    if PICTURES:
        (Path(PICTURES) / "scenario_seconds.json").write_text(json.dumps(person.seconds, indent=1))


def is_what_was_drawn(project: Project, frames: Sequence[int], copy: Path) -> bool:
    """The set is as the tool would write it, to the byte, and has the strokes of these frames, to a pixel."""
    clip = project.clip
    scribbles = read_scribbles(project.scribble_file, "toy", clip.frame_count)
    write_scribbles(copy, scribbles)
    for index in frames:
        for line, expected in zip(scribbles.frames[index].lines, clip.lines(index), strict=True):
            off = np.array(line.path)[[0, -1]] - np.array(expected["path"])[[0, -1]]
            if line.object_id != expected["object_id"] or (abs(off * (clip.width, clip.height)) >= 1).any():
                return False
    return copy.read_bytes() == project.scribble_file.read_bytes()


def by_hand(project: Project, folder: Path) -> list[np.ndarray]:
    """What comes of the same scribbles without any page."""
    folder.mkdir()
    shutil.copytree(project.folder / "data", folder / "data")
    shutil.copy(project.folder / "luigi.cfg", folder)
    lis(folder, "refine", "toy")
    return masks_of(Project(folder, project.clip))


def masks_of(project: Project) -> list[np.ndarray]:
    """The result of every frame."""
    return [read_mask(path) for path in sorted((project.root / "masks").glob("*.png"))]
