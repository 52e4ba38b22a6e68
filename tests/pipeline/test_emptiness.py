"""Objects that come out empty are told of where people look, not in a table alone."""

import json
import subprocess
import sys

import pytest

from tests.conftest import Project


@pytest.mark.slow
def test_an_object_without_a_pixel_is_told_of_by_the_run_and_by_the_next_one(finished: Project) -> None:
    """Of two objects under the same stroke one has the pixels."""
    content = json.loads(finished.scribble_file.read_text())
    content["scribbles"][5].append({**content["scribbles"][5][0], "object_id": 4})
    finished.scribble_file.write_text(json.dumps(content))
    line = "object 1: empty on frame 5, though scribbled on 5"
    assert f"toy: {line}" in finished.run()
    assert line in (finished.root / "log.txt").read_text()
    manifest = json.loads((finished.root / "masks" / "manifest.json").read_text())
    told = {"object": 1, "frames": [[5, 5]], "everywhere": False, "scribbled": [5]}
    assert manifest["run"]["empty"] == [told]

    words = [sys.executable, "-m", "tasks", "refine", "toy", "--requests", "3"]
    lis = subprocess.run(words, cwd=finished.folder, capture_output=True, text=True, check=True)
    assert f"  {line}\n" in lis.stderr
    (finished.scribble_file.parent / "objects.json").write_text(
        json.dumps({"schema": 1, "sequence": "toy", "objects": [{"id": 1, "name": "Rex"}]})
    )
    line = f"Rex ({line.replace(':', '):', 1)}"
    finished.run("BulkRefine", "--list", "", "--dataset", "set")
    summary = json.loads(next((finished.folder / "outputs" / "bulk").glob("2*/summary.json")).read_text())
    assert summary["sequences"][0]["reason"] == line
