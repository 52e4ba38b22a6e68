"""Exports that a page may ask for: formats, options, and what a person would type."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from functools import cache
from typing import Any, Final

import luigi
from luigi.parameter import ParameterException

from stages.core.errors import InputError
from stages.exchange.outgoing import formats
from stages.exchange.outgoing.format import Format
from stages.exchange.outgoing.terms import OF_EVERY_FORMAT, Terms
from tasks.export import ExportSequence
from tasks.page.commands import Command, What, typed
from tasks.refine import RefineSequence
from tasks.runtime.options import ChoiceParameter, MachineOptions, NumberParameter, WhereOptions

_PLACES: Final = ("data_root", "weights_root", "outputs_root", "scribbles_root", "dataset", "seq")
_NOT_OFFERED: Final = frozenset(
    {*_PLACES, *vars(WhereOptions), *vars(MachineOptions)}
    | {"format"}  # is asked for apart
    | {"source", "url_prefix", "resolution_name"}  # paths, which a page does not say
)
_LONGEST_TEXT: Final = 200


@cache
def offered() -> dict[str, Any]:
    """Formats and options, as a page shows them; a format whose library is not installed is left out."""
    plain = ExportSequence.from_str_params({"seq": "any", "format": formats.names()[0]})
    own = {field.name for field in fields(Terms)} - OF_EVERY_FORMAT
    options = [
        {
            "name": name,
            "kind": _kind(parameter),
            "choices": [*parameter.choices] if isinstance(parameter, ChoiceParameter) else [],
            "default": getattr(plain, name),
            "help": parameter.description,
        }
        for name, parameter in _parameters().items()
    ]
    return {
        "formats": [
            {
                "name": form.name,
                "summary": form.summary,
                "options": [each["name"] for each in options if each["name"] not in own - form.options],
            }
            for form in _formats()
        ],
        "options": options,
    }


def exporting(task: RefineSequence, format_name: Any, options: Any) -> Command:
    """Write the masks of a sequence in a format.

    Args:
        task: the masks.
        format_name: what was asked for, unchecked.
        options: name -> value, unchecked.

    Raises:
        InputError: there is no such format or option, it does not heed one, or a value cannot be.
    """
    if format_name not in formats.names():
        raise InputError(f"found the format {str(format_name)[:40]!r}, expected one of {', '.join(formats.names())}")
    if not isinstance(options, dict):
        raise InputError(f"found options that are a {type(options).__name__}, expected an object")
    known = _parameters()
    if unknown := next((name for name in options if name not in known), None):
        raise InputError(f"found the option {unknown[:40]!r}, expected one of {', '.join(known)}")
    given = {name: _as_text(name, known[name], value) for name, value in options.items()}
    places = {name: getattr(task, name) for name in _PLACES}
    try:
        export = ExportSequence.from_str_params({**places, "format": format_name, **given})
    except ParameterException as error:
        raise InputError(str(error)) from None
    formats.check(export.form, export.export_terms)
    return Command(What.EXPORT, task, typed(What.EXPORT, export, format=format_name), str(export.target()))


def _parameters() -> Mapping[str, luigi.Parameter[Any]]:
    return {name: each for name, each in ExportSequence.get_params() if name not in _NOT_OFFERED}


def _formats() -> Iterator[Format]:
    for name in formats.names():
        with suppress(InputError):
            yield formats.find(name)


def _kind(parameter: luigi.Parameter[Any]) -> str:
    kinds = {luigi.BoolParameter: "flag", ChoiceParameter: "choice", NumberParameter: "number"}
    return next((name for kind, name in kinds.items() if isinstance(parameter, kind)), "text")


def _as_text(name: str, parameter: luigi.Parameter[Any], value: Any) -> str:
    """As the command line has it."""
    kinds = (bool,) if isinstance(parameter, luigi.BoolParameter) else (str, int, float)
    text = str(value)
    if type(value) not in kinds or len(text) > _LONGEST_TEXT or not text.isprintable():
        expected = "true or false" if kinds == (bool,) else "a short text or a number"
        raise InputError(f"found {text[:40]!r} as {name}, expected {expected}")
    return text
