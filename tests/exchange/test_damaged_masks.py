"""Files of masks, spoilt at random: each is read, or refused in one line of ours, and nothing else happens."""

import random
from pathlib import Path

import pytest

from stages.core.errors import InputError
from tests.exchange.good_files import good_files
from tests.faults.fuzz import spoil

CASES = 50
"""Of each kind; `make faults` tries thousands."""
GOOD = good_files()


@pytest.mark.parametrize("kind", GOOD)
def test_good_files_are_read(tmp_path: Path, kind: str) -> None:
    contents, read = GOOD[kind]
    for content in contents:
        (tmp_path / kind).write_bytes(content)
        read(tmp_path / kind)


@pytest.mark.parametrize("kind", GOOD)
def test_damage_is_refused_in_a_line(tmp_path: Path, kind: str) -> None:
    contents, read = GOOD[kind]
    path, refused = tmp_path / kind, 0
    for number in range(CASES):
        rng = random.Random(f"masks {kind} {number}")
        path.write_bytes(spoil(rng.choice(contents), kind, rng))
        try:
            read(path)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error), (number, str(error))
    assert refused > CASES / 4
