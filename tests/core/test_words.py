"""How quantities are said."""

from stages.core.words import how_long


def test_durations_are_said_as_people_say_them() -> None:
    said = [how_long(seconds) for seconds in (0.4, 119.4, 120, 3725, 100 * 3600)]
    assert said == ["0 s", "119 s", "00:02:00", "01:02:05", "100:00:00"]
