"""objects.json along a run: shown to those who paint and in the report, and nothing that masks rest on."""

import json

import pytest

from tests.conftest import Project


def name(project: Project, *objects: object) -> None:
    content = {"schema": 1, "sequence": project.seq, "objects": objects}
    (project.scribble_file.parent / "objects.json").write_text(json.dumps(content))


@pytest.mark.slow
def test_names_are_shown_and_make_no_mask_again(finished: Project) -> None:
    before = finished.snapshot()
    name(finished, {"id": 1, "name": "<b>Rex</b>", "class": "dog"})
    assert finished.run("ReportSequence").count("drawn, but not in") == 0, "no mask was made"
    assert finished.ran() == ["report"]
    page = (finished.root / "report" / "index.html").read_text()
    assert "<bdi>&lt;b&gt;Rex&lt;/b&gt;</bdi>" in page
    assert "<bdi>dog</bdi>" in page
    changed = [path for path, content in finished.snapshot().items() if before.get(path) != content]
    assert all(path.startswith("requests") for path in changed), changed
    name(finished, {"id": 1, "nmae": "Rex"})
    assert "did you mean 'name'? " in (seen := finished.task().snapshot.names[1])
    assert "\n" not in seen
    assert finished.task().complete()


@pytest.mark.slow
def test_those_who_paint_are_shown_names_and_a_bad_file_stops_nothing(project: Project) -> None:
    project.scribble()
    name(project, {"id": 1, "name": "Rex"}, {"id": 4, "name": "Tom"})
    legend = project.root / "requests" / "legend.png"
    assert "in the colours of legend.png (1 Rex, 4 Tom), save in place" in project.run(expect=20)
    said = json.loads((project.root / "requests.json").read_text())["objects"]
    assert [(each["id"], each["name"], each["paint_in"]) for each in said] == [
        (1, "Rex", "#800000"),
        (4, "Tom", "#000080"),
    ]
    assert legend.exists()
    project.scribble(2, 5, 8, 11)
    assert project.run().count("drawn, but not in objects.json: object 2") == 1
    assert not legend.exists()
    name(project, {"id": 0})
    project.scribble(2, 5, 8)
    output = project.run("RefineSequence", "--placement", "given")
    assert output.count("warning: ") == 1
    assert "found 0 as 'id' in objects[0]" in output
    assert project.run("RefineSequence", "--placement", "given").count("warning: ") == 0, "nothing was made"
