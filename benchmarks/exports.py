"""How long an export takes, and how much memory, by the number of its frames: `python -m benchmarks.exports 100000`.

Sequences of 1,000 tiny frames with two objects are made of a few pictures, encoded one after the other, joined, and
published, in this process.
"""

import argparse
import resource
import shutil
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from stages.core.states import Source
from stages.exchange.outgoing import formats
from stages.exchange.outgoing.export import encode_sequence
from stages.exchange.outgoing.format import ExportedClass
from stages.exchange.outgoing.joining import Asked, Share, join_parts
from stages.exchange.outgoing.material import Material
from stages.exchange.outgoing.terms import Terms
from stages.formats.files import files_below, publishing
from stages.formats.frames_csv import FrameQuality, write_frames_csv
from stages.formats.manifest import publish
from stages.formats.masks import write_mask
from stages.formats.objects_json import NamedObject

_LENGTH = 1000
_SIZE_WH = (64, 48)


def main() -> int:
    """Make, export, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames", type=int)
    parser.add_argument("--format", default="coco", choices=formats.names())
    parser.add_argument("--folder", type=Path, help="where there is room [the system's temporary folder]")
    given = parser.parse_args()
    form, terms = formats.find(given.format), Terms()
    with TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        material = _material(folder / "material")
        begun, shares = time.perf_counter(), []
        for number in range(given.frames // _LENGTH):
            part = folder / "parts" / f"{number:04d}"
            part.mkdir(parents=True)
            encode_sequence(part, _named(material, f"sequence {number:04d}"), form, terms)
            shares.append(Share(part, "train", material.pictures, {}))
        encoded = time.perf_counter()
        after_parts = _peak_mib()
        target = folder / "export"
        with publishing(target) as temporary:
            join_parts(temporary, shares, form, Asked(terms, {}))
            publish(
                *(temporary, target),
                stage="export",
                key={},
                weights={},
                objects=[],
                run={},
                known=lambda path: "0" * 64 if path.is_symlink() else None,
            )
        joined, at_the_end = time.perf_counter(), _peak_mib()
        size = sum((target / each).lstat().st_size for each in files_below(target))
        print(f"{given.frames} frames, {given.format}: parts {encoded - begun:.0f} s, joined {joined - encoded:.0f} s")
        print(f"peak memory {after_parts:.0f} MiB after the parts, {at_the_end:.0f} MiB at the end")
        print(f"{size / 2**20:.0f} MiB on the disk")
        shutil.rmtree(target)
    return 0


def _material(folder: Path) -> Material:
    width, height = _SIZE_WH
    pictures, masks = folder / "pictures", folder / "masks"
    for each in (pictures, masks):
        each.mkdir(parents=True)
    names, rows = [], []
    for index in range(_LENGTH):
        name = f"{index:05d}.jpg"
        labels = np.zeros((height, width), np.uint8)
        labels[5 : 20 + index % 9, 4 + index % 17 : 30] = 1
        labels[25:40, 35 : 50 + index % 11] = 2
        write_mask(masks / f"{index:05d}.png", labels)
        Image.fromarray(np.full((height, width, 3), index % 256, np.uint8)).save(pictures / name)
        source = Source.ANCHOR if index % 100 == 0 else Source.BOTH
        rows += [FrameQuality(index, each, 0.9, 0.95, source, True, "", 300) for each in (1, 2)]
        names.append(name)
    write_frames_csv(masks, rows)
    objects = tuple(NamedObject(number, f"object {number}", "object", "#800000") for number in (1, 2))
    anchors = tuple(range(0, _LENGTH, 100))
    return Material("", masks, pictures, tuple(names), _SIZE_WH, anchors, objects, (ExportedClass(1, "object"),))


def _named(material: Material, name: str) -> Material:
    return Material(**{**vars(material), "name": name})


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
