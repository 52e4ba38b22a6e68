import pytest
import rich_click as click

from stages.core.errors import InputError
from tasks.cli.working import import_masks
from tasks.import_masks import ImportMasks, frames_named


@pytest.mark.parametrize("words", [["toy"], ["--seq", "toy"], ["--source", "back"], []])
def test_a_sequence_and_a_source_are_wanted(words: list[str]) -> None:
    missing = "SOURCE" if "toy" in words else "SEQ"
    with pytest.raises(click.UsageError, match=rf"found no {missing}, expected one: lis import-masks SEQ SOURCE"):
        import_masks.main(words, standalone_mode=False)


def test_frames_are_named_one_by_one_or_from_one_to_another() -> None:
    assert frames_named("") == frozenset()
    assert frames_named("12,40") == {12, 40}
    assert frames_named(" 3-5, 9,") == {3, 4, 5, 9}


@pytest.mark.parametrize("text", ["a", "5-3", "-3", "3-", "1-99999999999", "1.5", "\u0663"])
def test_what_names_no_frames_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected numbers of frames, from 0: 12,40 or 12-20"):
        frames_named(text)


@pytest.mark.parametrize(
    ("options", "step"),
    [
        ({}, "lis refine toy"),
        ({"scribbles": "002"}, "lis refine --scribbles 002 toy"),
        ({"seq": "-x"}, "lis refine -- -x"),
    ],
)
def test_the_next_step_is_for_the_set_that_masks_came_into(options: dict[str, str], step: str) -> None:
    assert ImportMasks(**{"seq": "toy", "source": "back", **options}).next_step == step
