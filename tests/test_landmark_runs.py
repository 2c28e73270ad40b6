"""Folders as BU-3DFE and BP4D are distributed train, evaluate and draw through the same commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from landmark_trees import posed, spontaneous, write_bp4d, write_bu3dfe
from mien.errors import CheckpointError, DataError, RecipeError
from mien.experiments.landmark_runs import load, restore
from mien.experiments.run import check, domain_of
from mien.labels import EMOTIONS
from mien.landmark_layout import COUNT
from mien.models import LANDMARKS
from mien.training.recipe import load as recipe
from mien.training.recipe import names

SHORT = ("train.iterations=40", "train.validate_every=20", "train.batch_size=30")


def mien(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mien", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def trained(name: str, data: Path, run: Path, *extra: str) -> dict[str, Any]:
    sets = [part for override in SHORT for part in ("--set", override)] if "model" in name else []
    done = mien("train", name, "--data", data, "--out", run, *sets, *extra, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def bu3dfe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bu3dfe")
    write_bu3dfe(folder, posed(people=10, noise=0.5))
    return folder


@pytest.fixture(scope="module")
def run(bu3dfe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "model-3"
    trained("e/model-3", bu3dfe, run)
    return run


@pytest.mark.slow
def test_a_run_leaves_what_was_measured(run: Path) -> None:
    entry = json.loads((run / "result.json").read_text())
    found = entry["landmarks"]
    assert set(found["splits"]) == {"training", "public", "private"}
    private = found["splits"]["private"]
    assert (private["people"], private["n"], private["triplets"]["all"]["n"]) == (1, 25, 100)
    assert sum(n for _, n in private["right"].values()) == 25
    assert entry["budget"]["iterations"] == 40
    assert entry["budget"]["best_iteration"] in {20, 40}
    assert len(found["latent"]["divergence"]) == len(found["latent"]["norms"]) == 30
    assert len(found["latent"]["neutral_norms"]) == COUNT * 3
    assert "<html" in (run / "report.html").read_text().lower()
    for name in ("model.safetensors", "model.json", "evaluation.json", "best.safetensors", "metrics.jsonl"):
        assert (run / name).stat().st_size


@pytest.mark.slow
def test_the_figures_are_those_of_the_file(run: Path, bu3dfe: Path) -> None:
    """The means of the saved network, by hand, and the triplets that they satisfy."""
    from mien.data.landmarks import read
    from mien.data.landmarks.triplet_rules import by_rules

    network, name = restore(run / "model.safetensors")
    assert name == "e/model-3"
    private = read(bu3dfe).faces.split("private")
    z = network.represent(private)
    rows = by_rules(private).rows(private)
    nearer = np.linalg.norm(z[rows[:, 0]] - z[rows[:, 1]], axis=1)
    farther = np.linalg.norm(z[rows[:, 0]] - z[rows[:, 2]], axis=1)
    entry = json.loads((run / "result.json").read_text())["landmarks"]
    assert entry["splits"]["private"]["triplets"]["all"]["share"] == pytest.approx((nearer <= farther).mean())


@pytest.mark.slow
def test_the_run_is_evaluated_again(run: Path, bu3dfe: Path) -> None:
    done = mien("evaluate", run, "--data", bu3dfe, "--split", "private", "--json")
    assert done.returncode == 0, done.stderr
    entry = json.loads((run / "result.json").read_text())["landmarks"]
    found = json.loads(done.stdout)
    assert found["accuracy"] == entry["splits"]["private"]["accuracy"]
    assert found["triplets"] == entry["splits"]["private"]["triplets"]
    refused = mien("evaluate", run, "--data", bu3dfe, "--split", "unseen")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


@pytest.mark.slow
def test_encode_and_decode_are_the_networks(run: Path, bu3dfe: Path) -> None:
    from mien.data.landmarks import read

    faces = read(bu3dfe).faces.split("public")
    assert faces.neutral is not None
    generator = load(run)
    x, y = (part.reshape(len(faces), -1).astype(np.float64) for part in (faces.points, faces.neutral))
    mean, log_variance = generator.encode(x, y)
    assert mean.shape == log_variance.shape == (len(faces), generator.latent)
    assert np.allclose(mean, generator.network.represent(faces), atol=1e-5)
    made = generator.decode(mean, y)
    assert made.shape == x.shape
    with torch.no_grad():
        centred = generator.network.centred(torch.from_numpy(y.astype(np.float32)))
        z = torch.from_numpy(mean.astype(np.float32))[None]
        expected = generator.network.decode(z, centred)[0] + generator.network.mean_face
    assert np.allclose(made, expected.numpy(), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "name"), [("grid", "g.png"), ("interpolate", "i.gif"), ("transfer", "t.png")]
)
def test_it_draws(what: str, name: str, run: Path, bu3dfe: Path, tmp_path: Path) -> None:
    done = mien("latent", run, what, "--data", bu3dfe, "--split", "training", "--out", tmp_path / name)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / name) as picture:
        assert min(picture.size) > 100
        assert (getattr(picture, "n_frames", 1) > 1) == name.endswith(".gif")


@pytest.mark.slow
def test_a_baseline_is_measured_alike(bu3dfe: Path, tmp_path: Path) -> None:
    entry = trained("e/posed-pca-20", bu3dfe, tmp_path / "run", "--ledger", str(tmp_path / "ledger"))
    assert entry["parameters"] == 0
    assert entry["selected_on"] is None
    assert entry["landmarks"]["dimensions"] == 20
    done = mien("reproduce", "E/6.1", "--ledger", tmp_path / "ledger", "--json")
    assert "0.676" in done.stdout


@pytest.mark.slow
def test_bp4d_trains_with_judged_triplets(tmp_path: Path) -> None:
    source, data = tmp_path / "bp4d", tmp_path / "data"
    write_bp4d(source, spontaneous(people=10, tasks=2, frames=30))
    assert mien("data", "convert", source, data).returncode == 0
    questions = mien("triplets", "simulate", data, "--out", data / "triplets.csv")
    assert questions.returncode == 0, questions.stderr
    entry = trained("e/spontaneous-model-3", data, tmp_path / "run")
    private = entry["landmarks"]["splits"]["private"]
    assert {"f1", "auc", "triplets"} <= set(private)
    assert {"5", "3", "1"} <= set(private["triplets"])


@pytest.mark.slow
def test_recordings_without_triplets_say_so(tmp_path: Path) -> None:
    write_bp4d(tmp_path / "bp4d", spontaneous(people=10, tasks=1, frames=30))
    done = mien("train", "e/spontaneous-model-3", "--data", tmp_path / "bp4d", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "triplets.csv" in done.stderr


@pytest.mark.parametrize("name", [name for name in names() if name.startswith("e/")])
def test_every_recipe_of_system_e_is_right(name: str) -> None:
    for budget in ("smoke", "cpu", "full"):
        check(recipe(name, budget=budget))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("augment={mirror=0.5}", "augment"),
        ("data.drop_copies=true", "drop_copies"),
        ("data.drop_leaks=true", "drop_leaks"),
        ("data.resize=true", "data.resize"),
        ('data.test="private"', "data.test"),
        ('data.validation="private"', "data.validation is 'private'"),
        ('data.labels=["happy", "sad"]', "data.labels"),
        ('start="conv_net"', "start"),
        ('task.name="classification"', "does not train landmark_vae"),
        ("task.anneal=2", "task.anneal"),
        ("model.latent=0", "latent"),
    ],
)
def test_what_does_not_go_with_landmarks(override: str, said: str) -> None:
    from mien.errors import MienError

    with pytest.raises(MienError, match=said):
        check(recipe("e/model-3", overrides=[override]))


def test_other_starting_weights_are_refused(tmp_path: Path) -> None:
    asked = recipe("e/model-1")
    with pytest.raises(RecipeError, match="--from conv_net"):
        domain_of(asked).build(asked, None, "conv_net", print)


def test_a_file_of_another_kind_is_no_network(tmp_path: Path) -> None:
    from mien.training import checkpoint

    checkpoint.save(tmp_path / "best.safetensors", {}, {"epoch": 3})
    with pytest.raises(CheckpointError, match="no network on landmarks"):
        restore(tmp_path / "best.safetensors")


def test_data_without_a_split_to_select_on(tmp_path: Path) -> None:
    from mien.data.landmarks import write_parquet

    write_parquet(posed(people=3), tmp_path / "faces.parquet")
    asked = recipe("e/model-1")
    with pytest.raises(DataError, match="public"):
        domain_of(asked).read(asked, tmp_path / "faces.parquet", False, print)


def test_triplets_across_splits_are_refused(tmp_path: Path) -> None:
    """Dropped without a word they would leave a prior of fewer judgements than the file holds."""
    from mien.data.landmarks import LandmarkSet, read, write
    from mien.landmarks import Triplets

    write_bu3dfe(tmp_path / "bu3dfe", posed(people=4))
    faces = read(tmp_path / "bu3dfe").faces
    one, other = (faces.split(name).names for name in ("training", "public"))
    judged = Triplets(np.array([[one[0], one[1], other[0]]]), np.array([[5, 0]], np.int16))
    write(LandmarkSet(faces, judged), tmp_path / "data")
    asked = recipe("e/spontaneous-model-3")
    with pytest.raises(DataError, match="faces of two splits"):
        domain_of(asked).read(asked, tmp_path / "data", False, print)


def test_labels_of_the_networks_are_the_emotions() -> None:
    for known in LANDMARKS.all().values():
        assert known.build().labels == EMOTIONS
