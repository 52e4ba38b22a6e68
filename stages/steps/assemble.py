"""The result: one indexed mask per frame under the source's names."""

from collections.abc import Sequence
from pathlib import Path

from stages.formats import files
from stages.formats.frames_csv import FrameQuality, read_frames_csv, write_frames_csv
from stages.formats.refined import refined_masks
from stages.formats.results import result_file


def assemble(folder: Path, names: Sequence[str], parts: Sequence[Path]) -> None:
    """Gather the refined anchors and stretches, and write `<stem>.png` for every frame, and `frames.csv`.

    Args:
        folder: where to write.
        names: file names of the video's pictures, in order.
        parts: the folders that `refine_anchor` and `refine_segment` wrote.
    """
    rows: list[FrameQuality] = []
    for part in parts:
        rows += read_frames_csv(part)
        for index, mask in refined_masks(part):
            files.copy(mask, result_file(folder, names[index]))
    write_frames_csv(folder, sorted(rows, key=lambda row: (row.frame, row.object_id)))
