"""Version numbers of files."""

from pathlib import Path

import pytest

from stages.core.errors import StageError
from stages.formats.schema import NewerVersionError, check_schema

FILE = Path("outputs/gym/thing.json")


def test_what_this_version_knows_is_accepted() -> None:
    assert [check_schema(FILE, found, 2) for found in (1, 2)] == [1, 2]


def test_what_is_newer_is_refused_and_the_message_says_what_to_do() -> None:
    with pytest.raises(NewerVersionError) as caught:
        check_schema(FILE, 3, 2)
    for part in (str(FILE), "version 3", "2 at most", "Use that version", "nothing was changed"):
        assert part in str(caught.value)


@pytest.mark.parametrize("found", [0, -1, "1", None, 1.0])
def test_what_is_no_version_is_damage_and_not_newer(found: object) -> None:
    with pytest.raises(StageError, match="expected 1 to 2") as caught:
        check_schema(FILE, found, 2)
    assert not isinstance(caught.value, NewerVersionError)
