"""YouTube-VOS: pictures, indexed PNG, and `meta.json`, which says on which frames each object is seen."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from stages.exchange.encodings.documents import keyed, opened, separated
from stages.exchange.outgoing.format import ExportedFrame, ExportedSequence, Format, Loss, SharedFiles
from stages.exchange.outgoing.indexed_frames import check_unknown, encode_indexed, frames_of, stem_of, write_objects
from stages.exchange.outgoing.part import SPLIT, PartReader, PartWriter, as_json
from stages.exchange.outgoing.terms import Terms


class YoutubeVos(Format):
    """`<split>/JPEGImages/<seq>/00000.jpg`, `<split>/Annotations/<seq>/00000.png`, `<split>/meta.json`."""

    name = "youtube-vos"
    summary = "YouTube-VOS: indexed PNG, and a JSON of objects and the frames that show them"
    loss = Loss(exact="yes", objects_apart="yes", identity="yes", holes="yes", unknown="255, with limits", scores="no")
    unknown = "255"
    options = frozenset({"renumber", "unknown"})
    wants_jpg = True

    def check(self, terms: Terms) -> None:
        """Crowds are COCO's."""
        check_unknown(terms, self.name)

    def picture_path(self, sequence: ExportedSequence, frame: ExportedFrame, terms: Terms) -> str:
        """By its number among those that are kept."""
        return f"{SPLIT}/JPEGImages/{sequence.name}/{stem_of(frame.number)}.jpg"

    def encode(
        self, sequence: ExportedSequence, frames: Iterator[ExportedFrame], part: PartWriter, terms: Terms
    ) -> None:
        """A PNG a frame."""
        encode_indexed(sequence, frames, part, terms, f"{SPLIT}/Annotations/{sequence.name}")

    def join(self, parts: Mapping[str, Sequence[PartReader]], shared: SharedFiles, terms: Terms) -> None:
        """A list of objects a split, and one of all."""
        for split, those in parts.items():
            shared.write(f"{split}/meta.json", _meta(those))
        write_objects(parts, shared)


def _meta(parts: Iterable[PartReader]) -> Iterator[str]:
    yield '{"videos":'
    yield from keyed((head["name"], _video(head["objects"])) for head in (part.head for part in parts))
    yield "}\n"


def _video(objects: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Objects by their ids in the export, those that are seen."""
    yield '{"objects":'
    seen = sorted((each for each in objects if each["runs"]), key=lambda each: each["exported_as"])
    yield from keyed((str(each["exported_as"]), _object(each)) for each in seen)
    yield "}"


def _object(each: Mapping[str, Any]) -> Iterator[str]:
    yield opened({"category": each["class"]}) + ',"frames":['
    yield from separated(as_json(stem) for stem in frames_of(each["runs"]))
    yield "]}"
