"""An exporter in a few lines, for tests of formats: samples in, the export's files out."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from stages.exchange.outgoing.format import Format
from stages.exchange.outgoing.part import SPLIT, PartReader, PartWriter
from stages.exchange.outgoing.terms import Terms
from tests.exchange.adversarial import Sample


class Shared:
    """Writes what all sequences share into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, path: str, chunks: Iterable[str]) -> None:
        put(self.folder / path, "".join(chunks).encode())


def export(
    form: Format,
    splits: Mapping[str, Sequence[Sample]],
    folder: Path,
    terms: Terms | None = None,
    *,
    pictures: bool = False,
) -> Path:
    """Export samples, and give the folder.

    Args:
        form: the format.
        splits: split -> its samples.
        folder: to write into; parts lie beside it.
        terms: the export's.
        pictures: whether pictures are written where the format wants them.
    """
    terms = terms or Terms()
    parts: dict[str, list[PartReader]] = {}
    for split, samples in splits.items():
        parts[split] = []
        for sample in sorted(samples, key=lambda each: each.sequence.name):
            place = folder.with_name(f"{folder.name}.parts") / split / sample.sequence.name
            place.mkdir(parents=True)
            with PartWriter(place) as part:
                form.encode(sample.sequence, sample.frames(), part, terms)
            reader = PartReader(place)
            parts[split].append(reader)
            for path, content in reader.files():
                put(folder / path.replace(SPLIT, split), content)
            if pictures:
                _draw(form, sample, split, folder, terms)
    form.join(parts, Shared(folder), terms)
    return folder


def put(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, and the folders above it."""
    assert not path.exists(), f"{path} is written twice"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _draw(form: Format, sample: Sample, split: str, folder: Path, terms: Terms) -> None:
    for frame in sample.frames():
        if frame.picture is not None:
            path = folder / form.picture_path(sample.sequence, frame, terms).replace(SPLIT, split)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(frame.picture()).save(path)
