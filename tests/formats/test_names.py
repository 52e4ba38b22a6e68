"""Which names can be a folder's, and how the two spellings of one name meet."""

from pathlib import Path

import pytest

from stages.core.errors import InputError
from stages.formats.names import LONGEST_BYTES, check_name, doubles, in_folder, normal, shown, why_unfit

COMPOSED, DECOMPOSED = "M\u00fcller", "Mu\u0308ller"


@pytest.mark.parametrize(
    "name",
    [
        "a", "0", "bmx-trees", "A.b_c-1", "-wXq0nMabcA", "_wXq0nMabcA", "my cat", COMPOSED, "\u6771\u4eac",
        "\u041c\u043e",
        "\u0645\u06cc\u200c\u062e",
        "100%", "{}", "a#b", "what?", "it's", "$HOME", "a;b", "[b]",
        "<i>", "\U0001f408", "x" * LONGEST_BYTES,
    ],
)  # fmt: skip
def test_names_of_real_data_sets_pass(name: str) -> None:
    assert check_name(name) == name


def test_a_name_is_given_back_in_its_composed_form() -> None:
    assert check_name(DECOMPOSED) == COMPOSED
    assert normal("ascii") == "ascii"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is empty"),
        (".", "begins with a dot"),
        ("..", "begins with a dot"),
        (".hidden", "begins with a dot"),
        (" a", "white space"),
        ("a ", "white space"),
        ("a/b", "slash"),
        ("a\\b", "slash"),
        ("a\nb", "control"),
        ("a\0b", "control"),
        ("a\x7fb", "control"),
        ("a\u2028b", "line's end"),
        ("bild_\udcfc", "not UTF-8"),
        ("x" * (LONGEST_BYTES + 1), "178 bytes"),
        ("\u6771" * 60, "180 bytes"),
    ],
)
def test_names_that_cannot_be_say_why(name: str, why: str) -> None:
    assert why in why_unfit(name)
    with pytest.raises(InputError, match="as the name of a dataset, which "):
        check_name(name, "dataset")


def test_a_length_counts_in_the_form_that_is_used() -> None:
    assert check_name("u\u0308" * 88) == "\u00fc" * 88


def test_an_entry_is_found_in_either_spelling(tmp_path: Path) -> None:
    assert in_folder(tmp_path / "nowhere", COMPOSED) == tmp_path / "nowhere" / COMPOSED
    assert in_folder(tmp_path, COMPOSED) == tmp_path / COMPOSED
    (tmp_path / DECOMPOSED).mkdir()
    assert in_folder(tmp_path, COMPOSED) == tmp_path / DECOMPOSED
    (tmp_path / COMPOSED).mkdir()
    with pytest.raises(InputError, match="two entries"):
        in_folder(tmp_path, COMPOSED)


def test_doubles_are_found() -> None:
    assert doubles(["a", COMPOSED, "b", DECOMPOSED]) == {COMPOSED, DECOMPOSED}


def test_what_cannot_be_printed_on_a_line_is_escaped() -> None:
    assert shown("bild_\udcfc_\u00fc.png") == "bild_\\udcfc_\u00fc.png"
    assert shown("a\nb\u2028\x7f") == "a\\nb\\u2028\\x7f"
