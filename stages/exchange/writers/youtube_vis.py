"""YouTube-VIS: `<split>.json` with one record an object, whose lists go over the frames of its video.

A record of 100,000 frames is long, and frames come with all their objects at once. So each object has a stream of its
own in the part, of the frames on which it is seen; joining walks it once for each of the three lists, and puts nulls
between. Neither end keeps more than a frame.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from stages.exchange.encodings.documents import listed, opened, separated
from stages.exchange.encodings.run_lengths import run_lengths
from stages.exchange.outgoing.format import (
    WHOLE_FRAME,
    ExportedFrame,
    ExportedSequence,
    Format,
    Loss,
    SharedFiles,
    picture_name,
)
from stages.exchange.outgoing.part import SPLIT, PartReader, PartWriter, as_json
from stages.exchange.outgoing.terms import Terms

_NAMES: Final = "names"
_SURE: Final = 1.0


class YoutubeVis(Format):
    """`<split>.json`, pictures under `<split>/JPEGImages/<seq>/`; `<split>_results.json` if results are asked for."""

    name = "youtube-vis"
    summary = "YouTube-VIS, one JSON a split, a record a track: trackeval, Mask2Former, labelformat"
    loss = Loss(
        exact="yes", objects_apart="yes", identity="yes", holes="yes", unknown=WHOLE_FRAME, scores="results only"
    )
    unknown = WHOLE_FRAME
    options = frozenset({"results"})

    def picture_path(self, sequence: ExportedSequence, frame: ExportedFrame, terms: Terms) -> str:
        """Under the source's name."""
        return f"{SPLIT}/JPEGImages/{sequence.name}/{picture_name(frame, terms)}"

    def encode(
        self, sequence: ExportedSequence, frames: Iterator[ExportedFrame], part: PartWriter, terms: Terms
    ) -> None:
        """A stream of the names of kept frames, and one for each object of the frames on which it is seen.

        Counts stand in it as texts: the ground truth has them as lists, which trackeval wants; results compressed.
        """
        scores: defaultdict[int, float] = defaultdict(float)
        seen: defaultdict[int, int] = defaultdict(int)
        for frame in frames:
            if frame.labels is None:
                continue
            part.record(_NAMES, f"{sequence.name}/{picture_name(frame, terms)}")
            for object_id, runs in run_lengths(frame.labels).items():
                counts = ",".join(map(str, runs.counts.tolist()))
                compressed = runs.compressed["counts"] if terms.results else ""
                part.record(_stream(object_id), [frame.number, counts, compressed, list(runs.box), runs.area])
                quality = frame.qualities.get(object_id)
                scores[object_id] += _SURE if quality is None else quality.score
                seen[object_id] += 1
        width, height = sequence.size_wh
        part.head(
            {
                "video": {"width": width, "height": height, "length": sequence.kept_count},
                "tracks": [
                    {"id": each.id, "category_id": each.category.id, "score": scores[each.id] / seen[each.id]}
                    for each in sequence.objects
                    if each.id in seen
                ],
                "categories": [
                    {"id": each.id, "name": each.name, "supercategory": each.supercategory} for each in sequence.classes
                ],
            }
        )

    def join(self, parts: Mapping[str, Sequence[PartReader]], shared: SharedFiles, terms: Terms) -> None:
        """Number videos and tracks, one file a split, or two."""
        for split, those in parts.items():
            shared.write(f"{split}.json", _ground_truth(those))
            if terms.results:
                shared.write(f"{split}_results.json", _results(those))


def _stream(object_id: int) -> str:
    return f"object-{object_id}"


def _tracks(parts: Sequence[PartReader]) -> Iterator[tuple[int, PartReader, dict[str, Any], dict[str, Any]]]:
    """The video's number, its part, what is known of the video, and of the track."""
    for number, part in enumerate(parts, 1):
        head = part.head
        yield from ((number, part, head["video"], track) for track in head["tracks"])


def _ground_truth(parts: Sequence[PartReader]) -> Iterator[str]:
    yield '{"info":{},"licenses":[],"videos":'
    yield from listed(_video(number, part) for number, part in enumerate(parts, 1))
    yield ',"annotations":'
    yield from listed(_annotation(track_number, *track) for track_number, track in enumerate(_tracks(parts), 1))
    yield ',"categories":'
    yield from listed([as_json(each)] for each in parts[0].head["categories"])
    yield "}\n"


def _video(number: int, part: PartReader) -> Iterator[str]:
    video = part.head["video"]
    yield opened({"id": number, **video}) + ',"file_names":['
    yield from separated(as_json(name) for name in part.records(_NAMES))
    yield "]}"


def _annotation(
    track_number: int, number: int, part: PartReader, video: dict[str, Any], track: dict[str, Any]
) -> Iterator[str]:
    height, width, length = video["height"], video["width"], video["length"]
    category = {"category_id": track["category_id"], "iscrowd": 0}
    yield opened(
        {"id": track_number, "video_id": number, **category, "width": width, "height": height, "length": length}
    )
    yield ',"segmentations":['
    masks = ((frame, f'{{"size":[{height},{width}],"counts":[{counts}]}}') for frame, counts, *_ in _seen(part, track))
    yield from separated(_over_frames(masks, length))
    yield '],"bboxes":['
    yield from separated(_over_frames(((frame, as_json(box)) for frame, _, _, box, _ in _seen(part, track)), length))
    yield '],"areas":['
    yield from separated(_over_frames(((frame, str(area)) for frame, *_, area in _seen(part, track)), length))
    yield "]}"


def _results(parts: Sequence[PartReader]) -> Iterator[str]:
    yield from listed(_result(*track) for track in _tracks(parts))
    yield "\n"


def _result(number: int, part: PartReader, video: dict[str, Any], track: dict[str, Any]) -> Iterator[str]:
    size = [video["height"], video["width"]]
    yield opened({"video_id": number, "category_id": track["category_id"], "score": track["score"]})
    yield ',"segmentations":['
    masks = ((frame, as_json({"size": size, "counts": counts})) for frame, _, counts, *_ in _seen(part, track))
    yield from separated(_over_frames(masks, video["length"]))
    yield "]}"


def _seen(part: PartReader, track: dict[str, Any]) -> Iterator[list[Any]]:
    """Frame's number, counts, compressed counts, box, area."""
    return part.records(_stream(track["id"]))


def _over_frames(seen: Iterable[tuple[int, str]], length: int) -> Iterator[str]:
    """A value for every frame: null between those on which the object is seen."""
    upcoming = 0
    for frame, value in seen:
        yield from ["null"] * (frame - upcoming)
        yield value
        upcoming = frame + 1
    yield from ["null"] * (length - upcoming)
