"""Whose results a folder holds: a record that rotted names nobody else."""

import json
from contextlib import suppress
from pathlib import Path

from stages.formats.dataset_json import DATASET_JSON, read_owner, write_owner
from stages.formats.schema import NewerVersionError


def test_a_record_of_which_a_byte_changed_says_the_same_or_nothing(tmp_path: Path) -> None:
    write_owner(tmp_path, "first set")
    written = (tmp_path / DATASET_JSON).read_bytes()
    found = set()
    for position in range(len(written)):
        for bit in range(8):
            spoilt = bytearray(written)
            spoilt[position] ^= 1 << bit
            (tmp_path / DATASET_JSON).write_bytes(spoilt)
            with suppress(NewerVersionError):
                found.add(read_owner(tmp_path))
    assert found <= {"first set", None}


def test_a_record_without_a_digest_is_read(tmp_path: Path) -> None:
    (tmp_path / DATASET_JSON).write_text(json.dumps({"schema": 1, "dataset": "first set"}))
    assert read_owner(tmp_path) == "first set"
