"""Weights come in safely, are recognised by what they are, and are found again."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import stcn_formula
import torch
from safetensors.torch import save_file

from pgt.errors import CheckpointError, InputError, OutputError
from pgt.propagation import checkpoints
from pgt.propagation.checkpoints import (
    import_checkpoint,
    list_models,
    load_model,
    save_model,
    user_folder,
    verify_model,
)
from pgt.propagation.network import NetworkConfiguration, SliceNetwork
from pgt.propagation.stcn import FLARE22, MULTI_OBJECT, STCNNetwork

GOLDEN = np.load(Path(__file__).parent / "data" / "stcn_golden.npz")
SHAPES = json.loads(GOLDEN["shapes"].tobytes())
SMALLEST = NetworkConfiguration(widths=(8, 8, 8, 8), key_channels=4, value_channels=8, slice_dilations=(1,))


@pytest.fixture(autouse=True)
def registry(tmp_path, monkeypatch):
    """A user's models folder and no shipped models; nothing stays, STCN takes 218 MB a file."""
    monkeypatch.setenv("PGT_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(checkpoints, "shipped_folder", lambda: tmp_path / "shipped")
    yield
    shutil.rmtree(tmp_path)


def official_weights(variant):
    """Names and shapes of the official code; each tensor stores one number, so that files stay small."""
    return OrderedDict((name, torch.zeros(()).expand(shape)) for name, shape in SHAPES[variant].items())


@pytest.fixture(scope="module")
def official():
    return official_weights("official")


def small_network(configuration=SMALLEST):
    torch.manual_seed(0)
    return SliceNetwork(configuration).eval()


class CodeInPickle:
    """Unpickled carelessly, it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


class TestPublishedWeights:
    @pytest.mark.parametrize(
        ("variant", "configuration", "parameters", "layout"),
        [
            ("official", MULTI_OBJECT, 54_434_180, "official STCN"),
            ("stage0", MULTI_OBJECT, 54_434_180, "official STCN, stage 0"),
            ("flare22", FLARE22, 54_416_065, "FLARE22 variant of STCN"),
        ],
    )
    def test_become_a_model(self, tmp_path, variant, configuration, parameters, layout):
        weights = official_weights(variant)
        torch.save({"model": weights, "epoch": 3} if variant == "flare22" else weights, tmp_path / "stcn.pth")
        model = import_checkpoint(tmp_path / "stcn.pth", "published")
        card = verify_model("published") if variant == "official" else model.card()
        assert (card.architecture, card.parameters, card.layout) == ("stcn", parameters, layout)
        assert (card.source, card.licence) == ("stcn.pth", "unknown")
        network = load_model("published")
        assert isinstance(network, STCNNetwork)
        assert network.configuration == configuration
        assert not network.training

    def test_numbers_arrive_unchanged(self, tmp_path):
        shapes = {name: tuple(shape) for name, shape in SHAPES["flare22"].items()}
        names = ("key_encoder.model.layer3.5.conv3.bias", "value_encoder.model.layer1.0.bn1.running_var")
        weights = official_weights("flare22")
        weights.update({name: torch.from_numpy(stcn_formula.tensor(name, shapes[name])) for name in names})
        torch.save({"model": weights}, tmp_path / "flare.pth")
        state = load_model(tmp_path / "flare.pth").state_dict()
        assert torch.equal(state["key_encoder.layer3.5.conv3.bias"], weights[names[0]])
        assert torch.equal(state["value_encoder.backbone.layer1.0.bn1.running_var"], weights[names[1]])

    @pytest.mark.parametrize(
        "wrap",
        [lambda w: {"network": w, "it": 5}, lambda w: {"state_dict": w}],
        ids=["network", "state_dict"],
    )
    def test_wrapped_by_training_scripts(self, tmp_path, official, wrap):
        parallel = {f"module.{name}": tensor for name, tensor in official.items()}
        torch.save(wrap(parallel), tmp_path / "stcn.pth")
        assert isinstance(load_model(tmp_path / "stcn.pth"), STCNNetwork)

    def test_with_batch_counters_half_precision_and_a_numpy_score(self, tmp_path, official):
        weights = {name: tensor.half() for name, tensor in official.items()}
        weights["key_encoder.bn1.num_batches_tracked"] = torch.tensor(7)
        torch.save({"model": weights, "best_value": np.float64(0.9)}, tmp_path / "stcn.pth")
        assert next(load_model(tmp_path / "stcn.pth").parameters()).dtype == torch.float32

    def test_in_the_format_before_zip_archives(self, tmp_path, official):
        torch.save(official, tmp_path / "stcn.pth", _use_new_zipfile_serialization=False)
        assert isinstance(load_model(tmp_path / "stcn.pth"), STCNNetwork)

    def test_as_safetensors_without_metadata(self, tmp_path, official):
        save_file(
            {name: tensor.contiguous() for name, tensor in official.items()}, tmp_path / "stcn.safetensors"
        )
        assert isinstance(load_model(tmp_path / "stcn.safetensors"), STCNNetwork)


class TestSmallNetwork:
    def test_keeps_configuration_and_weights(self):
        network = small_network()
        model = save_model(network, "mine", source="training of today", licence="MIT", details={"hours": 2.5})
        again = load_model("mine")
        assert isinstance(again, SliceNetwork)
        assert again.configuration == SMALLEST
        assert all(
            torch.equal(tensor, again.state_dict()[name]) for name, tensor in network.state_dict().items()
        )
        assert model.card().details == {"hours": 2.5}
        assert verify_model("mine") == model.card()

    def test_averaged_weights_are_preferred_in_a_training_checkpoint(self, tmp_path):
        network, averaged = small_network(NetworkConfiguration()), small_network(NetworkConfiguration())
        with torch.no_grad():
            averaged.sharpness.fill_(3.0)
        torch.save(
            {"network": network.state_dict(), "averaged": averaged.state_dict()}, tmp_path / "checkpoint.pt"
        )
        assert load_model(tmp_path / "checkpoint.pt").sharpness.item() == 3.0

    def test_configuration_that_nobody_knows(self, tmp_path):
        path = tmp_path / "odd.safetensors"
        save_file(small_network().state_dict(), path, {"configuration": json.dumps({"wings": 2})})
        with pytest.raises(CheckpointError, match=r"odd\.safetensors.*wings"):
            load_model(path)

    def test_configuration_of_other_widths(self, tmp_path):
        path = tmp_path / "odd.safetensors"
        save_file(
            small_network().state_dict(), path, {"configuration": json.dumps({"widths": [16, 8, 8, 8]})}
        )
        with pytest.raises(CheckpointError, match=r"have another shape .* instead of"):
            load_model(path)


class TestUnusableFiles:
    @pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
    @pytest.mark.parametrize(
        "write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))]
    )
    def test_code_is_never_run(self, tmp_path, suffix, write):
        path = tmp_path / f"weights{suffix}"
        write({"model": CodeInPickle(tmp_path / "harmed")}, path)
        for attempt in (load_model, import_checkpoint):
            with pytest.raises(CheckpointError, match=r"weights\..* code.*nothing of it was run"):
                attempt(path)
        assert not (tmp_path / "harmed").exists()
        assert list_models() == ()

    def test_tar_archives_are_refused_unopened(self, tmp_path):
        import tarfile

        with tarfile.open(tmp_path / "weights.pth", "w") as archive:
            archive.add(__file__, "sys_info")
        with pytest.raises(CheckpointError, match="neither safetensors nor saved by PyTorch"):
            load_model(tmp_path / "weights.pth")

    def test_weights_of_something_else(self, tmp_path):
        torch.save({"encoder.weight": torch.zeros(3, 5)}, tmp_path / "unet.pth")
        with pytest.raises(
            CheckpointError, match=r"unet\.pth.*encoder\.weight, 3×5.*expected.*official STCN"
        ):
            import_checkpoint(tmp_path / "unet.pth")

    def test_weights_that_lack_some_and_have_others(self, tmp_path, official):
        weights = dict(official)
        weights["extra.bias"] = weights.pop("decoder.pred.bias")
        weights["key_comp.bias"] = torch.zeros(7)
        torch.save(weights, tmp_path / "stcn.pth")
        with pytest.raises(CheckpointError, match="54,434,180") as error:
            import_checkpoint(tmp_path / "stcn.pth")
        for part in (
            "1 tensors are missing (decoder.pred.bias",
            "(extra.bias",
            "key_comp.bias",
            "7 instead of 512",
        ):
            assert part in str(error.value)

    def test_numbers_that_are_not_finite(self, tmp_path, official):
        torch.save({**official, "key_comp.bias": torch.full((512,), float("nan"))}, tmp_path / "stcn.pth")
        with pytest.raises(CheckpointError, match=r"not finite, in key_comp\.bias"):
            load_model(tmp_path / "stcn.pth")

    @pytest.mark.parametrize("content", [{"epoch": 3}, [torch.zeros(2)], 4.5, {"model": {}}], ids=str)
    def test_no_weights(self, tmp_path, content):
        torch.save(content, tmp_path / "empty.pth")
        with pytest.raises(CheckpointError, match=r"empty\.pth holds no weights"):
            load_model(tmp_path / "empty.pth")

    @pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.99])
    @pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
    def test_cut_short(self, tmp_path, suffix, kept):
        whole = tmp_path / f"whole{suffix}"
        weights = {name: tensor.clone() for name, tensor in small_network().state_dict().items()}
        if suffix == ".pt":
            torch.save(weights, whole)
        else:
            save_file(weights, whole)
        cut = tmp_path / f"cut{suffix}"
        cut.write_bytes(whole.read_bytes()[: int(kept * whole.stat().st_size)])
        with pytest.raises(
            CheckpointError, match=r"cut\.(pt|safetensors) (is empty|is damaged|is not a model)"
        ):
            load_model(cut)

    @pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
    def test_text(self, tmp_path, suffix):
        (tmp_path / f"text{suffix}").write_text("these are no weights")
        with pytest.raises(CheckpointError, match="text"):
            load_model(tmp_path / f"text{suffix}")

    def test_absent(self, tmp_path):
        for path in (tmp_path / "absent.pth", tmp_path / "absent", Path("absent.pth")):
            with pytest.raises(CheckpointError, match="absent"):
                load_model(path)
        with pytest.raises(CheckpointError, match="absent"):
            import_checkpoint(tmp_path / "absent.pth")


class TestRegistry:
    def test_lists_shipped_and_own_models_by_name(self, tmp_path):
        assert list_models() == ()
        save_model(small_network(), "b", tmp_path / "shipped", source="x")
        save_model(small_network(), "a", source="x")
        assert [(model.name, model.shipped) for model in list_models()] == [("a", False), ("b", True)]

    def test_a_name_is_not_taken_twice(self, tmp_path):
        save_model(small_network(), "shipped", tmp_path / "shipped", source="x")
        save_model(small_network(), "mine", source="x")
        for name in ("mine", "shipped"):
            with pytest.raises(OutputError, match=name):
                save_model(small_network(), name, source="y")
        save_model(small_network(), "mine", source="y", overwrite=True)
        assert list_models()[0].card().source == "y"
        assert sorted(path.name for path in user_folder().iterdir()) == ["mine"]

    @pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a\\b", "a b"])
    def test_a_name_stays_within_the_folder(self, name):
        with pytest.raises(InputError, match="named"):
            save_model(small_network(), name, source="x")

    def test_unknown_names_list_the_known_ones(self):
        with pytest.raises(CheckpointError, match="imaginary; none is installed"):
            load_model("imaginary")
        save_model(small_network(), "mine", source="x")
        with pytest.raises(CheckpointError, match="imaginary; there are mine"):
            load_model("imaginary")

    def test_a_models_folder_is_a_path_to_it(self):
        model = save_model(small_network(), "mine", source="x")
        assert isinstance(load_model(model.folder), SliceNetwork)
        assert isinstance(load_model(str(model.weights)), SliceNetwork)

    def test_verification_notices_a_changed_file(self):
        model = save_model(small_network(), "mine", source="x")
        content = bytearray(model.weights.read_bytes())
        content[-1] ^= 1
        model.weights.write_bytes(content)
        with pytest.raises(CheckpointError, match="SHA-256"):
            verify_model("mine")

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "mine"}', "no json"])
    def test_a_damaged_card_is_told(self, text):
        model = save_model(small_network(), "mine", source="x")
        (model.folder / "card.json").write_text(text)
        assert [found.name for found in list_models()] == ["mine"]
        with pytest.raises(CheckpointError, match=r"card\.json"):
            verify_model("mine")

    def test_a_card_that_claims_something_else(self):
        model = save_model(small_network(), "mine", source="x")
        card = json.loads((model.folder / "card.json").read_text())
        (model.folder / "card.json").write_text(json.dumps({**card, "parameters": 5}))
        with pytest.raises(CheckpointError, match="card says pgt-small of 5"):
            verify_model("mine")

    def test_a_failing_disk_leaves_nothing_half_written(self, monkeypatch):
        save_model(small_network(), "mine", source="x")

        def full(*_arguments):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("pgt.propagation.model_card.ModelCard.write", full)
        for name in ("mine", "other"):
            with pytest.raises(OutputError, match="no space left"):
                save_model(small_network(), name, source="y", overwrite=True)
        assert sorted(path.name for path in user_folder().iterdir()) == ["mine"]
        assert list_models()[0].card().source == "x"

    def test_listing_loads_no_torch(self):
        code = (
            "import sys; from pgt.propagation import checkpoints;"
            "checkpoints.list_models(); print('torch' in sys.modules)"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        assert ended.stdout.strip() == "False"
