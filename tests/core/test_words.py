"""How quantities are said, and some of many."""

from stages.core.words import and_more, and_so_on, how_long


def test_durations_are_said_as_people_say_them() -> None:
    said = [how_long(seconds) for seconds in (0.4, 119.4, 120, 3725, 100 * 3600)]
    assert said == ["0 s", "119 s", "00:02:00", "01:02:05", "100:00:00"]


def test_of_many_some_are_named_and_the_others_counted_or_hinted_at() -> None:
    assert and_so_on([1, 2, 3], 3) == and_more([1, 2, 3], 3) == "1, 2, 3"
    assert and_so_on([1, 2, 3, 4], 3) == "1, 2, 3, ..."
    assert and_more([1, 2, 3, 4], 3) == "1, 2, 3 and 1 more"
    assert and_more(["1 is odd", "2 is even", "3 is odd"], 2, "; ") == "1 is odd; 2 is even; and 1 more"
    assert and_more([], 3) == ""
