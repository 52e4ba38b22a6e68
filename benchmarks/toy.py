"""Datasets of trivial sequences, to time everything but the work itself."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).resolve().parents[1]


def write_sequence(data_root: Path, name: str, frame_count: int, size_wh: tuple[int, int] = (48, 32)) -> None:
    """A red square on grey, moving by a pixel a frame, with a stroke on every frame that `eq1` could ask for."""
    width, height = size_wh
    frames = data_root / "toy" / "JPEGImages" / "480p" / name
    frames.mkdir(parents=True)
    lines = []
    for index in range(frame_count):
        picture = np.full((height, width, 3), 90, dtype=np.uint8)
        left = (4 + index) % (width - 16)
        picture[8:20, left : left + 12] = (200, 30, 30)
        Image.fromarray(picture).save(frames / f"{index:05d}.png")
        path = [[(left + x) / width, 14 / height] for x in range(2, 11)]
        lines.append([{"path": path, "object_id": 1, "start_time": 0, "end_time": 1}] if index % 2 else [])
    folder = data_root / "toy" / "Scribbles" / name
    folder.mkdir(parents=True)
    (folder / "001.json").write_text(json.dumps({"scribbles": lines, "sequence": name}))


def repeat_clip(source: Path, scribbles: Path, data_root: Path, name: str, frame_count: int) -> None:
    """A long video out of a short one, there and back again; the source's scribbled frames are its anchors."""
    pictures = sorted(source.iterdir())
    there_and_back = [*range(len(pictures)), *range(len(pictures) - 2, 0, -1)]
    order = [there_and_back[index % len(there_and_back)] for index in range(frame_count)]
    frames = data_root / "toy" / "JPEGImages" / "480p" / name
    frames.mkdir(parents=True)
    for index, number in enumerate(order):
        shutil.copyfile(pictures[number], frames / f"{index:05d}{pictures[number].suffix}")
    drawn = json.loads(scribbles.read_text())["scribbles"]
    folder = data_root / "toy" / "Scribbles" / name
    folder.mkdir(parents=True)
    (folder / "001.json").write_text(json.dumps({"scribbles": [drawn[n] for n in order], "sequence": name}))


def show(rows: Sequence[Mapping[str, float]], digits: int, file: Path | None) -> None:
    """Print rows as a table, and write them as JSON if a file is given."""
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(f"{value:.{digits}f}" for value in row.values()))
    Console().print(table)
    if file:
        file.write_text(json.dumps(rows, indent=1) + "\n")
