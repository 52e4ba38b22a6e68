"""What a SPEC says holds: references, files, names, options; for every engine of the registry."""

import hashlib
import inspect
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from stages.engines import registry
from stages.engines.spec import PLUGS, Option, Plug
from stages.testing.scenes import Scene
from tasks.runtime.options import OPTIONS
from tests.engines.contracts.engines import ENGINES, SPECS, at_hand, build, try_out

HEAVY = "torch", "cv2", "h5py", "scipy", "skimage", "av", "matplotlib"

each_spec = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
each_engine = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
each_own_network = pytest.mark.parametrize(
    "engine", [each for each in ENGINES if each.comes_with_weights], ids=lambda engine: engine.name
)


def loaded_by(module: str, *unwanted: str) -> list[str]:
    """Which of the unwanted modules are there once another one is imported."""
    code = f"import sys, {module}; print(*(each for each in {unwanted!r} if each in sys.modules))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


# ---------------------------------------------------------------------------------------------- packages


def test_every_package_beside_the_registry_has_a_spec():
    names = [spec.name for spec in SPECS]
    assert {"fbrs", "grabcut", "siammask", "flow", "match", "cascadepsp", "guided", "none"} <= set(names)


@each_spec
def test_importing_a_spec_is_light(spec):
    assert loaded_by(spec.package, *HEAVY) == []


def test_the_contracts_need_no_pytest_and_no_heavy_library():
    assert loaded_by("stages.testing", "pytest", *HEAVY) == []


@each_spec
def test_a_spec_describes_its_package(spec):
    assert spec.plug in registry.PLUGS
    assert import_module(spec.package).SPEC is spec
    assert spec.summary and "\n" not in spec.summary
    assert spec.version >= 1
    assert callable(spec.resolve(spec.build))


@each_engine
def test_references_resolve_to_what_takes_every_option(engine):
    arguments = {each.argument: each.default for each in engine.spec.options}
    make = inspect.signature(engine.spec.resolve(engine.spec.build))
    if engine.network is None:
        make.bind(**arguments)
        return
    assert callable(engine.spec.resolve(engine.network.build))
    assert set(engine.network.without) <= set(arguments)
    for unused in engine.network.without:
        del arguments[unused]
    make.bind("network", device="cpu", **engine.network.arguments, **arguments)  # no argument is given twice
    with pytest.raises(TypeError):
        make.bind("network", device="cpu", **engine.network.arguments, **arguments, no_such_option=1)


@each_engine
def test_an_engine_says_what_it_takes(engine):
    assert engine.cost.memory_mib > 0
    assert engine.cost.seconds is None or engine.cost.seconds > 0
    assert (engine.cost.exact_memory_mib or engine.cost.memory_mib) >= engine.cost.memory_mib


# ---------------------------------------------------------------------------------------------- names


def test_no_name_means_two_things():
    for names in ([spec.name for spec in SPECS], [engine.name for engine in ENGINES]):
        assert [name for name, count in Counter(names).items() if count > 1] == []
    files = {(engine.network.checkpoint.file, engine.network.key) for engine in ENGINES if engine.network}
    assert [file for file, count in Counter(file for file, _ in files).items() if count > 1] == []
    builds = {(engine.network.key, engine.spec.module(engine.network.build), engine.network.build.partition(":")[2])
              for engine in ENGINES if engine.network}  # fmt: skip
    assert [key for key, count in Counter(key for key, *_ in builds).items() if count > 1] == []


@each_engine
def test_names_can_be_written_on_a_command_line(engine):
    assert re.fullmatch(r"[a-z][a-z0-9_]*(:[a-z][a-z0-9_]*)?", engine.name)


# ---------------------------------------------------------------------------------------------- options


def test_options_that_engines_share_are_the_same():
    known: dict[str, Option] = {}
    for option in (option for spec in SPECS for option in spec.options):
        assert replace(known.setdefault(option.name, option), argument=option.argument) == option


@each_spec
def test_options_are_sound(spec):
    assert len({option.argument for option in spec.options}) == len(spec.options)
    for option in spec.options:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", option.name)
        assert option.description
        # Else a pipeline's option of that name would be meant.
        assert OPTIONS[option.name].description.startswith(option.description)
        if isinstance(option.default, bool):
            assert option.limits is None and not option.choices
        elif isinstance(option.default, str):
            assert option.limits is None
            assert not option.choices or option.default in option.choices
        else:
            assert option.limits is not None and not option.choices, f"{option.name} would be read as a word"
            assert option.limits[0] <= option.default <= option.limits[1]


def extremes() -> list:
    """Engines with one of their options changed: at its limits, or to another word."""
    cases = []
    for engine in at_hand("segmenter", "propagator", "refiner"):
        for option in engine.spec.options:
            values = option.limits or option.choices or ((False, True) if isinstance(option.default, bool) else ())
            if engine.network is None or option.argument not in engine.network.without:
                cases += [(engine, option.name, value) for value in values if value != option.default]
    return [pytest.param(*case, id=f"{case[0].name}-{case[1]}={case[2]}") for case in cases]


@pytest.mark.parametrize(("engine", "name", "value"), extremes())
def test_an_engine_works_with_every_value_of_an_option(engine, name, value):
    for scene in (Scene(objects=2), Scene(33, 57)):
        try_out(engine, build(engine, **{name: value}), scene)


# ---------------------------------------------------------------------------------------------- files


@each_engine
def test_a_checkpoint_is_known_by_its_licence_and_can_be_had(engine):
    if engine.network is not None:
        checkpoint = engine.network.checkpoint
        assert checkpoint.licence
        assert Path(checkpoint.file).name == checkpoint.file
        assert engine.comes_with_weights or checkpoint.sha256 is None or checkpoint.url, "neither here nor published"


def test_small_networks_come_with_their_weights():
    assert {engine.name for engine in registry.small_networks().values()} <= {
        engine.name for engine in ENGINES if engine.comes_with_weights
    }


@each_own_network
def test_weights_that_come_with_the_project_are_the_ones_named_and_have_a_card(engine):
    file = engine.spec.folder / engine.network.checkpoint.file
    assert hashlib.sha256(file.read_bytes()).hexdigest() == engine.network.checkpoint.sha256
    assert file.with_suffix(".md").is_file()


@each_spec
def test_every_file_of_weights_in_a_package_belongs_to_a_network(spec):
    named = {network.checkpoint.file for network in spec.networks}
    assert {path.name for path in spec.folder.glob("*.safetensors")} <= named


@pytest.mark.parametrize("plug", PLUGS)
def test_a_default_that_a_builder_has_too_is_the_same(plug: Plug) -> None:
    for spec in registry.specs(plug).values():
        parameters = inspect.signature(spec.resolve(spec.build)).parameters
        for option in spec.options:
            default = parameters[option.argument].default
            assert default in (inspect.Parameter.empty, option.default), f"{spec.name}: {option.argument}"
