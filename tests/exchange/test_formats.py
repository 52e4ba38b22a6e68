"""What the formats say of themselves, and what they refuse."""

import sys
from dataclasses import astuple
from pathlib import Path

import pytest

from stages.core.errors import InputError
from stages.exchange.outgoing import formats
from stages.exchange.outgoing.terms import Terms


@pytest.mark.parametrize("name", formats.names())
def test_every_format_is_found_under_its_name(name: str) -> None:
    form = formats.find(name)
    assert form.name == name
    assert form.summary
    formats.check(form, Terms())


def test_the_page_says_of_every_format_what_it_loses() -> None:
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
    for name in formats.names():
        assert f"| `{name}` | {' | '.join(astuple(formats.find(name).loss))} |\n" in page


def test_an_unknown_format_is_told_with_those_that_there_are() -> None:
    with pytest.raises(InputError, match="found the format 'coca', expected one of coco"):
        formats.find("coca")


def test_a_missing_library_is_one_line_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("stages.exchange.writers.coco", "stages.exchange.encodings.run_lengths", "pycocotools.mask"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(InputError, match=r"pycocotools.*pip install 'lis\[export\]'"):
        formats.find("coco")


@pytest.mark.parametrize(
    ("name", "terms", "message"),
    [
        ("yolo", Terms(unknown_band=3), "found --unknown-band 3 with the format yolo, which has no way to say it"),
        ("yolo", Terms(unknown_objects=0.5), "found --unknown-objects 0.5 with the format yolo"),
        ("png", Terms(segmentation="polygon"), "found --segmentation with the format png, which does not heed it"),
        ("png", Terms(band=5), "found --band without --unknown-objects"),
        ("png", Terms(unknown="none"), "nothing that becomes unknown"),
        ("csv", Terms(pictures="copy"), "which has no pictures"),
        ("png", Terms(max_doubt=1.5), "expected a doubt in"),
    ],
)
def test_a_switch_that_a_format_does_not_heed_is_refused(name: str, terms: Terms, message: str) -> None:
    with pytest.raises(InputError, match=message):
        formats.check(formats.find(name), terms)
