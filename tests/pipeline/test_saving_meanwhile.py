"""People save while a run works: it does what it was started for, and the next one takes the last of each."""

import threading
import time
from dataclasses import replace

import pytest
from PIL import Image

from stages.core.strokes import Line
from stages.formats.draft_json import Draft, DraftState
from stages.formats.drafts import NEW, read_draft, write_draft
from stages.formats.scribbles import merge, read_scribbles, write_scribbles
from tests.conftest import Project

EVERY_S = 0.05


class Person:
    """Saves again and again: the set in an editor, a picture in a paint program, a draft in the page."""

    def __init__(self, project: Project):
        self.project, self.count = project, 0
        self.set_says = read_scribbles(project.scribble_file, "toy", 12)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._save_until_told)

    def _save_until_told(self) -> None:
        while not self.over.wait(EVERY_S):
            self.count += 1
            for save in (self.edit, self.paint, self.draw):
                save()

    @property
    def line(self) -> Line:
        return Line(1, ((0.3, round(0.3 + self.count % 100 / 500, 3)), (0.5, 0.5)))

    def edit(self) -> None:
        now = read_scribbles(self.project.scribble_file, "toy", 12)
        lines = (*self.set_says.frame(5).lines, self.line)
        write_scribbles(self.project.scribble_file, merge(now, 5, lines, now.frame_digests.get(5, "")))

    def paint(self) -> None:
        picture = self.project.clip.frame(8)
        picture[10 + self.count % 20 : 13 + self.count % 20, 20:50] = (128, 0, 0)
        Image.fromarray(picture).save(self.project.root / "requests" / "00008.strokes.png")

    def draw(self) -> None:
        file = self.project.scribble_file
        present = read_draft(file, 2)
        draft = Draft("toy", "001", 2, lines=(self.line,), state=DraftState.READY)
        if present is None:  # the run has taken it: drawn on what the set says now
            now = read_scribbles(file, "toy", 12)
            draft = replace(draft, base=now.strokes_digest(2) if 2 in now.frames else None)
        write_draft(file, draft, present.tag if present else NEW)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_people_may_save_what_they_like_while_a_run_works(project: Project, workers: str) -> None:
    project.scribble(5, 11)
    (project.root / "requests").mkdir(parents=True)
    person = Person(project)
    for save in (person.edit, person.paint, person.draw):
        save()
    person.thread.start()
    try:
        for _ in range(2):
            output = project.run("RefineSequence", "--workers", workers)
            assert "scribbled on while this run worked" in output
            assert len(list((project.root / "masks").glob("*.png"))) == 12
    finally:
        person.over.set()
        person.thread.join()
    time.sleep(1)
    output = project.run("RefineSequence", "--workers", workers)
    assert "meanwhile" not in output and "while this run worked" not in output
    now = read_scribbles(project.scribble_file, "toy", 12)
    assert now.frame(2).lines == (person.line,)
    assert now.frame(5).lines[-1] == person.line
    assert read_draft(project.scribble_file, 2) is None
    assert not (project.root / ".frozen").exists()
    project.ran()
    project.run("RefineSequence", "--workers", workers)
    assert project.ran() == []
