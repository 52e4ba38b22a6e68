"""Checkpoints: what fits is loaded, in every form the authors store it; what does not is refused, and says why."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from stages.core.errors import InputError, StageError, WeightsError
from stages.engines import inventory, registry, weight_files
from stages.engines.engine import Engine
from stages.engines.spec import PLUGS, Network, Spec
from stages.formats import checkpoints
from tests.parity.filled import fill

ENGINE = "fbrs:hrnet18s_ocr48"  # the smallest of the networks
State = dict[str, Tensor]


NETWORKS = [engine for plug in PLUGS for engine in registry.engines(plug) if engine.network is not None]


@cache
def filled_state(key: str) -> State:
    return dict(fill(registry.build_network(key)).state_dict())


def state_of(name: str) -> State:
    return dict(filled_state(wanted(name).key))


def wanted(name: str) -> Network:
    network = registry.find_anywhere(name).network
    assert network is not None
    return network


def place(root: Path, content: object, name: str = ENGINE, **how: object) -> Path:
    """Save as the file of an engine."""
    path = root / wanted(name).checkpoint.file
    torch.save(content, path, **how)
    return path


def without_counters(state: State) -> State:
    return {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}


def changed(state: State, **entries: Tensor | None) -> State:
    """Replace, add, or (None) take away entries; `__` stands for the dot."""
    state = dict(state)
    for name, value in entries.items():
        state.pop(name.replace("__", "."), None)
        if value is not None:
            state[name.replace("__", ".")] = value
    return state


# -- the list ----------------------------------------------------------------------------------------------------------


def test_every_engine_of_the_list_names_a_network_that_can_be_built() -> None:
    keys = {wanted(engine.name).key for engine in NETWORKS}
    assert {"fbrs_resnet34_dh128", "fbrs_hrnet18s_ocr48", "siammask_sharp", "siammask_base", "cascadepsp"} <= keys
    for key in keys:
        network = registry.build_network(key)
        assert not network.training
        assert all(value.dtype == torch.float32 and not value.requires_grad for value in network.parameters())


def test_engines_and_files_are_listed_once_and_downloads_are_complete() -> None:
    files = [wanted(engine.name).checkpoint for engine in NETWORKS]
    assert len({engine.name for engine in NETWORKS}) == len({each.file for each in files}) == len(NETWORKS)
    for engine, checkpoint in zip(NETWORKS, files, strict=True):
        assert checkpoint.licence
        assert checkpoint.url or engine.name in ("siammask:base", ENGINE) or engine.comes_with_weights
        command = weight_files.download_command(engine, Path("data/weights"))
        if checkpoint.url:
            assert checkpoint.url in command
            assert f"data/weights/{checkpoint.converted_from or checkpoint.file}" in command


def test_the_engines_are_those_of_the_documents() -> None:
    names = {plug: registry.names(plug) for plug in PLUGS}
    assert {"fbrs:lite", "fbrs:resnet50_dh128", "fbrs:hrnet32_ocr128_lvis", "grabcut"} <= set(names["segmenter"])
    assert {"siammask:davis", "siammask:vot_ld", "siammask:lite", "match:lite", "flow"} <= set(names["propagator"])
    assert {"cascadepsp:official", "cascadepsp:lite", "guided", "none"} <= set(names["refiner"])


@pytest.mark.parametrize("name", [engine.name for engine in NETWORKS if engine.comes_with_weights])
def test_what_comes_with_the_project_is_what_is_listed_and_small(name: str) -> None:
    checkpoint = wanted(name).checkpoint
    path = weight_files.locate(registry.find_anywhere(name), None)
    assert checkpoint.sha256 == checkpoints.file_digest(path, "sha256")
    assert path.stat().st_size < 8e6
    assert path.with_suffix(".md").is_file(), "a network has a card"
    assert {each.dtype for each in registry.load_network(name, None).parameters()} == {torch.float32}


def test_a_path_with_a_space_survives_the_shell() -> None:
    official = registry.find("refiner", "cascadepsp:official")
    assert "'my data/cascadepsp.pth'" in weight_files.download_command(official, Path("my data"))


@pytest.mark.parametrize("name", ["grabcut", "flow", "guided", "none"])
def test_engines_without_weights_have_no_file(name: str) -> None:
    engine = registry.find_anywhere(name)
    assert engine.network is None and not engine.comes_with_weights
    with pytest.raises(InputError, match="has no weights"):
        weight_files.locate(engine, Path("data/weights"))


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(InputError, match=r"fbrs:resnet50_dh128"):
        registry.find("segmenter", "fbrs:resnet50")
    with pytest.raises(InputError, match=r"siammask_sharp"):
        registry.build_network("siammask_shrap")
    with pytest.raises(InputError, match=r"fbrs_resnet101_dh256"):
        registry.build_network("resnet101_dh256")


def test_an_engine_of_another_plug_point_is_none() -> None:
    with pytest.raises(InputError, match="no segmenter is called `flow`"):
        registry.find("segmenter", "flow")


def test_knowing_the_list_imports_no_torch() -> None:
    code = (
        "import sys, pathlib, stages.engines.registry as r\n"
        "for plug in ('segmenter', 'propagator', 'refiner'): list(r.engines(plug, pathlib.Path('nowhere')))\n"
        "r.locate(r.find_anywhere('match:lite'), pathlib.Path('nowhere'))\n"
        "heavy = {'torch', 'cv2', 'scipy', 'skimage'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -- what fits ---------------------------------------------------------------------------------------------------------

FORMS: dict[str, Callable[[State], object]] = {
    "bare": lambda state: state,
    "module prefix": lambda state: {f"module.{name}": value for name, value in state.items()},
    "training": lambda state: {"epoch": 20, "arch": "custom", "state_dict": state, "best_acc": 0.5, "optimizer": {}},
    "training with prefix": lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}},
    "training of others": lambda state: {"model": state, "optimizer": {}, "epoch": 3},
    "without counters": without_counters,
    "half precision": lambda state: {
        name: value.half() if value.is_floating_point() else value for name, value in state.items()
    },
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_storage_gives_the_same_network(form: str, zipped: bool, tmp_path: Path) -> None:
    state = state_of(ENGINE)
    place(tmp_path, FORMS[form](state), _use_new_zipfile_serialization=zipped)
    network = registry.load_network(ENGINE, tmp_path)
    assert not network.training
    for name, value in without_counters(dict(network.state_dict())).items():
        stored = state[name].half().float() if form == "half precision" else state[name]
        assert torch.equal(value, stored), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "form"),
    [
        ("fbrs:resnet34_dh128", "without counters"),
        ("siammask:davis", "training with prefix"),
        ("cascadepsp:official", "module prefix"),
    ],
)
def test_the_original_form_of_each_family(engine: str, form: str, tmp_path: Path) -> None:
    state = state_of(engine)
    place(tmp_path, FORMS[form](state), engine)
    loaded = without_counters(dict(registry.load_network(engine, tmp_path).state_dict()))
    assert all(torch.equal(value, state[name]) for name, value in loaded.items())


def test_a_loaded_network_does_not_hang_on_its_file(tmp_path: Path) -> None:
    path = place(tmp_path, state_of(ENGINE))
    network = registry.load_network(ENGINE, tmp_path)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    path.write_bytes(b"\0" * path.stat().st_size)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_entries_that_the_specifications_name_are_ignored(tmp_path: Path) -> None:
    resnet = "fbrs:resnet34_dh128"
    place(tmp_path, changed(state_of(resnet), aspp_dropout=torch.tensor(0.2)), resnet)
    registry.load_network(resnet, tmp_path)
    place(tmp_path, changed(state_of(ENGINE), aspp_dropout=torch.tensor(0.2)))
    with pytest.raises(WeightsError, match="aspp_dropout"):
        registry.load_network(ENGINE, tmp_path)


def test_the_base_network_of_siammask_takes_a_file_of_the_sharp_one(tmp_path: Path) -> None:
    state = state_of("siammask:davis")
    path = place(tmp_path, state, "siammask:vot")
    assert weight_files.locate(registry.find_anywhere("siammask:base"), tmp_path) == path
    network = registry.load_network("siammask:base", tmp_path)
    loaded = without_counters(dict(network.state_dict()))
    assert all(torch.equal(value, state[name]) for name, value in loaded.items())
    assert not any(name.startswith("refine_model") for name in loaded)

    place(tmp_path, changed(state, features__extra=torch.zeros(1)), "siammask:base")  # its own file comes first
    with pytest.raises(WeightsError, match=r"1 unexpected: features\.extra"):
        registry.load_network("siammask:base", tmp_path)


def test_safetensors_are_read_and_checked_like_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    state = {name: value.contiguous() for name, value in state_of(ENGINE).items()}
    save_file(state, path)
    loaded = checkpoints.read_checkpoint(path)
    assert loaded.keys() == state.keys()
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(WeightsError, match="cannot be read"):
        checkpoints.read_checkpoint(path)


# -- what does not -----------------------------------------------------------------------------------------------------


def test_a_missing_file_comes_with_its_download_command(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        registry.load_network("cascadepsp:official", tmp_path)
    for part in ("cascadepsp.pth", str(tmp_path), "curl", "releases/download/v1.0/model"):
        assert part in str(caught.value)
    with pytest.raises(WeightsError, match="nobody publishes"):
        weight_files.locate(registry.find_anywhere(ENGINE), tmp_path)


class Payload:
    """Pickled as a call that leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_a_hostile_pickle_is_refused_and_does_not_run(zipped: bool, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    place(tmp_path, changed(state_of(ENGINE)) | {"evil": Payload(trace)}, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match="something other than tensors"):
        registry.load_network(ENGINE, tmp_path)
    (tmp_path / wanted(ENGINE).checkpoint.file).write_bytes(pickle.dumps(Payload(trace)))
    with pytest.raises(WeightsError, match="something other than tensors"):
        registry.load_network(ENGINE, tmp_path)
    assert not trace.exists()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.9, 0.9999])
def test_a_truncated_file_is_refused(kept: float, zipped: bool, tmp_path: Path) -> None:
    path = place(tmp_path, state_of(ENGINE), _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(WeightsError, match=f"{path} cannot be read"):
        registry.load_network(ENGINE, tmp_path)


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = place(tmp_path, state_of(ENGINE))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged"):
        registry.load_network(ENGINE, tmp_path)


@pytest.mark.parametrize("content", [b"", b"<html>404 Not Found</html>", bytes(range(256)) * 40])
def test_a_file_that_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / wanted(ENGINE).checkpoint.file).write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read"):
        registry.load_network(ENGINE, tmp_path)


FIRST = "feature_extractor__conv1__weight"
MISFITS: dict[str, tuple[Callable[[State], object], str]] = {
    "another network": (lambda _: state_of("siammask:base"), r"\d+ missing: rgb_conv.*\d+ unexpected: features\."),
    "one entry less": (lambda state: changed(state, **{FIRST: None}), r"1 missing: feature_extractor\.conv1\.weight\."),
    "one entry more": (lambda state: changed(state, extra=torch.zeros(1)), r"1 unexpected: extra\."),
    "another shape": (
        lambda state: changed(state, **{FIRST: torch.zeros(64, 4, 3, 3)}),
        r"conv1\.weight floating \(64, 4, 3, 3\) for floating \(64, 3, 3, 3\)",
    ),
    "whole numbers": (lambda state: changed(state, **{FIRST: torch.zeros(64, 3, 3, 3, dtype=torch.int8)}), "integer"),
    "not a number": (lambda state: changed(state, **{FIRST: torch.full((64, 3, 3, 3), torch.nan)}), "undefined"),
    "complex numbers": (lambda state: changed(state, **{FIRST: torch.zeros(1, dtype=torch.complex64)}), "complex"),
    "sparse": (lambda state: changed(state, **{FIRST: torch.zeros(64, 27).to_sparse()}), "dense tensor"),
    "no tensor": (lambda state: dict(state, extra="text"), "'extra' is a value of type str"),
    "a list": (lambda state: list(state.values()), "holds a value of type list"),
    "a number as state": (lambda _: {"state_dict": 3}, "holds a value of type int"),
    "nothing": (lambda _: {}, "missing"),
    "prefix on some": (lambda state: changed(state, **{FIRST: None, "module__x": torch.zeros(1)}), r"module\.x"),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_a_state_that_does_not_fit_is_refused_with_the_reason(misfit: str, tmp_path: Path) -> None:
    change, reason = MISFITS[misfit]
    path = place(tmp_path, change(state_of(ENGINE)))
    with pytest.raises(WeightsError, match=reason) as caught:
        registry.load_network(ENGINE, tmp_path)
    assert str(path) in str(caught.value)


def test_a_known_sha256_is_enforced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path, state_of(ENGINE))
    known = registry.find_anywhere(ENGINE)
    assert known.network is not None
    checkpoint = replace(known.network.checkpoint, sha256="0" * 64)
    listed = Engine(known.spec, replace(known.network, checkpoint=checkpoint))
    monkeypatch.setattr(registry, "find_anywhere", lambda *_: listed)
    with pytest.raises(WeightsError, match=f"expected {'0' * 64}"):
        registry.load_network(ENGINE, tmp_path)


# -- status ------------------------------------------------------------------------------------------------------------


def test_status_tells_present_missing_and_wrong_apart(tmp_path: Path) -> None:
    path = place(tmp_path, state_of(ENGINE))
    place(tmp_path, state_of(ENGINE), "siammask:davis")
    rows = {row.engine.name: row for row in inventory.status(tmp_path)}
    assert list(rows) == [engine.name for engine in NETWORKS]
    assert (rows[ENGINE].state, rows[ENGINE].path, rows[ENGINE].detail) == ("present", path, "")
    assert rows[ENGINE].size_mib == pytest.approx(path.stat().st_size / 2**20)
    assert rows["siammask:davis"].state == "wrong"
    assert "does not fit" in rows["siammask:davis"].detail
    missing = rows["cascadepsp:official"]
    assert (missing.state, missing.path, missing.size_mib) == ("missing", tmp_path / "cascadepsp.pth", 258)
    assert missing.download.startswith("curl ")
    assert missing.download.endswith("releases/download/v1.0/model")


@pytest.mark.slow
def test_status_mentions_a_fitting_file_that_is_not_the_published_one(tmp_path: Path) -> None:
    place(tmp_path, state_of("cascadepsp:official"), "cascadepsp:official")
    row = next(row for row in inventory.status(tmp_path) if row.engine.name == "cascadepsp:official")
    assert row.state == "present"
    assert "not the published file" in row.detail


def test_an_option_that_came_later_is_in_a_key_only_where_it_is_not_at_its_default() -> None:
    engine = registry.find("refiner", "cascadepsp:lite", Path())
    assert engine.key({}) == engine.key({"precision": "float32"}) == {"exact": False}
    assert engine.key({"precision": "bfloat16"}) == {"exact": False, "precision": "bfloat16"}
    assert engine.arguments({})["precision"] == "float32"


def test_a_first_look_is_for_engines_that_have_a_quicker_way() -> None:
    assert registry.find("segmenter", "fbrs:resnet34_dh128").quick == {"brs_mode": "NoBRS"}
    assert not registry.find("segmenter", "fbrs:lite").quick, "it does not optimise: it would do the same twice"


def test_a_network_whose_code_cannot_be_imported_is_said_and_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a plug-in beside which the package that it leans on was not installed."""
    resolve = Spec.resolve

    def import_nothing_of_match(spec: Spec, reference: str) -> Callable[..., nn.Module]:
        if spec.name == "match":
            raise ModuleNotFoundError("No module named 'theirs'")
        return resolve(spec, reference)

    monkeypatch.setattr(Spec, "resolve", import_nothing_of_match)
    with pytest.raises(StageError, match=r"the engine match cannot be built.*'theirs'"):
        registry.load_network("match:lite", None)
    seen = {each.engine.name: each for each in inventory.status(tmp_path)}
    assert seen["match:lite"].state == "wrong" and "'theirs'" in seen["match:lite"].detail
    assert seen["siammask:lite"].state == "present"
