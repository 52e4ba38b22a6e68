"""What a part of a video is, and how places in one are written."""

from fractions import Fraction

import pytest

from stages.core.errors import InputError
from stages.core.excerpt import Excerpt, Taking, moment, told
from stages.core.words import ordinal


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("300", 300),
        ("0", 0),
        ("12.5s", Fraction(25, 2)),
        ("12 s", Fraction(12)),
        ("01:30", Fraction(90)),
        ("90:00", Fraction(5400)),
        ("00:01:30.04", Fraction(9004, 100)),
        ("1:02:03", Fraction(3723)),
    ],
)
def test_a_place_is_a_frame_or_a_time(text: str, place: int | Fraction) -> None:
    assert moment(text) == place
    assert type(moment(text)) is type(place)


@pytest.mark.parametrize("text", ["", "-1", "12.5", "1:60", "1:60:00", "10m", "s", "1e3", "٣", "00:01:30:00"])
def test_what_is_neither_is_told(text: str) -> None:
    with pytest.raises(InputError, match=r"expected the number of a frame \(300\) or a time"):
        moment(text)


def test_parts_that_hold_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="--every 0"):
        Excerpt(every=0)
    with pytest.raises(InputError, match="--max-frames 0"):
        Excerpt(most=0)
    with pytest.raises(InputError, match="found --start frame 5 and --end frame 5"):
        Excerpt(5, 5)
    with pytest.raises(InputError, match="found --start 01:30 and --end 00:10"):
        Excerpt(moment("90s"), moment("10s"))
    Excerpt(5, moment("0.1s"))  # who knows


def test_the_key_says_what_is_taken_however_it_was_written() -> None:
    assert Excerpt().as_key() == Excerpt(moment("0s")).as_key() == {}
    assert Excerpt(moment("90s")).as_key() == Excerpt(moment("00:01:30.0")).as_key() == {"start": "90s"}
    assert Excerpt(moment("01:40.50")).as_key() == {"start": "100.5s"}
    assert Excerpt(90).as_key() == {"start": "90"}
    assert Excerpt(1, 9, 2, 3).as_key() == {"start": "1", "end": "9", "every": 2, "max_frames": 3}


def test_frames_are_taken_from_the_start_on_every_few_up_to_the_end() -> None:
    taking = Taking(Excerpt(moment("1s"), 9, every=2))
    shown = [index for index in range(12) if not taking.is_over(index) and taking.takes(index, Fraction(index, 3))]
    assert shown == [3, 5, 7]
    assert taking.taken == range(3, 9, 2)
    assert [*Taking(Excerpt(5)).taken] == []


def test_a_part_is_told_in_words() -> None:
    assert str(Excerpt()) == ""
    assert str(Excerpt(moment("10s"), moment("3601.5s"), 30, 1000)) == (
        "every 30th, from 00:10, up to 01:00:01.5, at most 1,000"
    )
    assert str(Excerpt(5, 9)) == "from frame 5, up to frame 9"
    assert told(Fraction(1, 3)) == "00:00.333"
    assert [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th")
    ]
