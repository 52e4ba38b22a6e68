"""The whole loop: masks go out to a tool, one is corrected there and comes back, and the sequence is made again."""

import re

import numpy as np
import pytest

from stages.formats.masks import indexed_png, read_mask
from tests.conftest import Project
from tests.exchange.corrected import BY_TOOL


@pytest.mark.slow
def test_a_correction_in_each_tool_makes_the_stretch_beside_it_again_and_nothing_else(finished: Project) -> None:
    for tool, frame in zip(BY_TOOL, (4, 7, 10), strict=True):
        finished.run("ExportSequence", "--format", tool, "--for-correction", "12")
        folder = finished.root / "export" / f"{tool}-for-correction"
        name = f"{frame:05d}.png"
        corrected = read_mask(finished.root / "masks" / name)
        corrected[5:12, 5:40] = 1
        corrected[60:64, 90:] = 0
        before = {path.name: path.read_bytes() for path in (finished.root / "masks").glob("*.png")}
        source = BY_TOOL[tool](folder, finished.seq, name, corrected)
        said = finished.run("ImportMasks", "--source", str(source))
        assert re.search(r"1 of \d+ frames differs, 1 anchor", said), said
        finished.ran()
        finished.run()
        made = finished.ran()
        assert [stage for stage in made if stage.startswith("anchor_masks/")] == [f"anchor_masks/{frame:05d}"]
        stretches = [stage for stage in made if stage.startswith("tracks/")]
        assert stretches == [f"tracks/{frame - 2:05d}-{frame:05d}"], "behind it comes the next anchor at once"
        after = {path.name: path.read_bytes() for path in (finished.root / "masks").glob("*.png")}
        assert after[name] == bytes(indexed_png(corrected)), "what a person gave is in the result byte for byte"
        assert np.array_equal(read_mask(finished.root / "masks" / name), corrected)
        changed = {other for other in before if before[other] != after[other]}
        assert changed <= {name, f"{frame - 1:05d}.png"}
