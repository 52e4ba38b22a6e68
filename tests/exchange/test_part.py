"""A sequence's share of an export."""

from pathlib import Path

from stages.exchange.outgoing.part import SPLIT, PartReader, PartWriter, as_json


def _filled(folder: Path) -> PartReader:
    folder.mkdir()
    with PartWriter(folder) as part:
        part.head({"sequence": "mein Hund"})
        part.add(f"labels/{SPLIT}/a.txt", "ä\n")
        part.record("images", {"id": 1, "score": 1 / 3})
        part.add("masks/a.png", b"\x89PNG")
        part.record("images", {"id": 2, "name": "<b>\"'"})
    return PartReader(folder)


def test_what_was_written_is_read_in_order(tmp_path: Path) -> None:
    part = _filled(tmp_path / "one")
    assert part.head == {"sequence": "mein Hund"}
    assert [*part.files()] == [(f"labels/{SPLIT}/a.txt", "ä\n".encode()), ("masks/a.png", b"\x89PNG")]
    assert [*part.records("images")] == [{"id": 1, "score": 0.333333}, {"id": 2, "name": "<b>\"'"}]
    assert [*part.records("nothing")] == []


def test_bytes_repeat(tmp_path: Path) -> None:
    for name in ("one", "two"):
        _filled(tmp_path / name)
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("one", "two"))
    assert first == second
    assert sorted(first) == ["files.zip", "images.jsonl", "part.json"]


def test_json_is_short_and_keeps_every_letter() -> None:
    assert as_json({"b": 0.1234567, "a": ["猫", 1, None, True]}) == '{"b":0.123457,"a":["猫",1,null,true]}'
