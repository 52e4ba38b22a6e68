"""The formats of exports, by name. A module is imported when its format is asked for, with the library it needs."""

from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import Final

from stages.core.errors import InputError
from stages.exchange.outgoing.format import Format
from stages.exchange.outgoing.terms import OF_EVERY_FORMAT, Terms

_FORMATS: Final[Mapping[str, str]] = {
    "coco": "coco.Coco",
    "yolo": "yolo.Yolo",
    "youtube-vis": "youtube_vis.YoutubeVis",
    "davis": "davis.Davis",
    "youtube-vos": "youtube_vos.YoutubeVos",
    "cvat": "cvat.Cvat",
    "mots": "mots.Mots",
    "sa-v": "sa_v.SaV",
    "labelme": "labelme.LabelMe",
    "labelstudio": "label_studio.LabelStudio",
    "png": "png.Png",
    "binary": "binary.Binary",
    "cutouts": "cutouts.Cutouts",
    "csv": "csv_tables.CsvTables",
}
"""Name -> module of `stages.exchange.writers` and class, in the order in which they are listed."""
CORRECTED_IN: Final = ("cvat", "labelstudio", "labelme", "png")
"""Formats of tools in which people correct masks, which are read back."""
_LIBRARIES: Final = ("pycocotools", "shapely")
"""What the extra `export` brings."""
_SAYS_UNKNOWN: Final = ("unknown_objects", "unknown_band", "unknown_soft")


def names() -> tuple[str, ...]:
    """What `--format` takes."""
    return tuple(_FORMATS)


def find(name: str) -> Format:
    """A format by its name.

    Raises:
        InputError: there is none, or a library that it needs is not installed.
    """
    if name not in _FORMATS:
        raise InputError(f"found the format {name!r}, expected one of {', '.join(_FORMATS)}")
    module, kind = _FORMATS[name].split(".")
    try:
        found: Format = getattr(import_module(f"stages.exchange.writers.{module}"), kind)()
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in _LIBRARIES:
            raise
        raise InputError(
            f"the format {name} needs {library}, which is not installed: pip install 'lis[export]'"
        ) from None
    return found


def check(form: Format, terms: Terms) -> None:
    """Refuse what a format does not heed: no switch is passed over in silence.

    Raises:
        InputError: an option is none of the format's, or does nothing.
    """
    from stages.exchange.outgoing.doubtful import check_terms  # noqa: PLC0415 - OpenCV, which `names` needs not

    given = [field.name for field in fields(Terms) if field.name in terms.given()]
    if terms.makes_unknown and not form.unknown:
        switch = next(each for each in _SAYS_UNKNOWN if each in given)
        raise InputError(
            f"found {_flag(switch)} {getattr(terms, switch):g} with the format {form.name}, which has no way "
            "to say it; use --max-doubt to leave frames out"
        )
    for name in given:
        if name not in OF_EVERY_FORMAT | form.options:
            heeded = ", ".join(_flag(each) for each in sorted(form.options))
            raise InputError(
                f"found {_flag(name)} with the format {form.name}, which does not heed it; leave it out"
                + (f" (its own options: {heeded})" if heeded else "")
            )
    if "band" in given and terms.unknown_objects is None:
        raise InputError("found --band without --unknown-objects, whose pixels it is to grow; give both or none")
    if terms.unknown and not terms.makes_unknown:
        raise InputError(
            f"found --unknown {terms.unknown}, and nothing that becomes unknown; give --unknown-objects, too"
        )
    if terms.pictures and not form.has_pictures:
        raise InputError(f"found --pictures with the format {form.name}, which has no pictures; leave it out")
    check_terms(terms)
    form.check(terms)


def _flag(option: str) -> str:
    return "--as" if option == "tasks_as" else f"--{option.replace('_', '-')}"
