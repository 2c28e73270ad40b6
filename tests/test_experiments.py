"""A run from recipe to report, on faces made from a seed: what it leaves is whole, true and repeatable."""

from __future__ import annotations

import hashlib
import json
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from mien import data, ledger
from mien.errors import CheckpointError, DataError, MienError, ModelError, RecipeError, StorageError
from mien.evaluation.conformal import COVERAGE
from mien.experiments.run import Order, train
from mien.faces import FaceBatch
from mien.inference.predictor import load as load_network
from mien.labels import EMOTIONS
from mien.training.recipe import Recipe, load
from synthetic import face_batch

pytestmark = pytest.mark.slow

TINY = ("train.epochs=3", "train.batch_size=16", "model.filters=[4, 8]", "model.hidden=16", "train.lr=0.003")
LEFT = {
    "recipe.toml", "run.json", "metrics.jsonl", "checkpoints", "best.safetensors", "model.onnx", "model.json",
    "evaluation.json", "result.json", "report.html",
}  # fmt: skip
COPIES = 3


def tiny(*overrides: str, name: str = "c/final") -> Recipe:
    return load(name, overrides=(*TINY, *overrides))


def faces() -> FaceBatch:
    """Synthetic faces with votes; the first public ones are copies of training faces, as in FER-2013."""
    batch = face_batch(140)
    rng = np.random.default_rng(3)
    votes = np.stack([rng.multinomial(10, np.full(10, 0.1)) for _ in range(len(batch))]).astype(np.uint8)
    images = batch.images.copy()
    public = np.flatnonzero(batch.splits == 1)[:COPIES]
    images[public] = images[np.flatnonzero(batch.splits == 0)[:COPIES]]
    return replace(batch, votes=votes, images=images)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "faces.parquet"
    data.write(faces(), path, "parquet")
    return path


@pytest.fixture(scope="module")
def run(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that keeps its first epoch: it selects the epoch with the largest training loss."""
    folder = tmp_path_factory.mktemp("runs") / "c-final"
    recipe = tiny("train.select=train_loss", "train.select_mode=max")
    train(Order(recipe, dataset, folder, budget="smoke", command="mien train c/final"))
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def answers(model: Path, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and logits, from the file by ONNX Runtime alone."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    pixels = images[:, None].astype(np.float32)
    return session.run(["probabilities", "logits"], {"pixels": pixels})


def test_the_folder_is_whole(run: Path) -> None:
    assert {path.name for path in run.iterdir()} == LEFT
    assert (run / "checkpoints" / "last.safetensors").is_file()


def test_the_entry_is_complete(run: Path) -> None:
    entry = ledger.read(run / "result.json")
    assert entry["recipe"] == "c/final"
    assert entry["recipe_as_run"]["train"]["epochs"] == 3
    assert entry["recipe_as_run"]["model"]["filters"] == [4, 8]
    assert entry["command"] == "mien train c/final"
    assert entry["seed"] == 0
    assert entry["commit"] == ledger.commit()
    assert entry["machine"]["cores"] >= 1
    assert entry["machine"]["torch"]
    assert entry["budget"]["name"] == "smoke"
    assert entry["budget"]["epochs"] == 3
    assert entry["budget"]["seconds"] > 0
    assert entry["paper"]["rows"][0]["accuracy"] == {"public": 0.607}
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert entry["history"] == [json.loads(line) for line in lines]
    assert [line["epoch"] for line in entry["history"]] == [1, 2, 3]
    assert entry["figures"]["public"] == read(run / "evaluation.json")


def test_the_card_is_of_this_file(run: Path) -> None:
    card = read(run / "model.json")
    content = (run / "model.onnx").read_bytes()
    assert card["sha256"] == hashlib.sha256(content).hexdigest()
    assert card["bytes"] == len(content)
    assert card["labels"] == list(EMOTIONS)
    weights = 4 * 9 + 4 + 8 * 4 * 9 + 8 + 2 * (4 + 8) + 8 * 12 * 12 * 16 + 16 + 16 * 7 + 7
    assert card["parameters"] == weights
    assert card["figures"]["public"]["accuracy"] == read(run / "evaluation.json")["accuracy"]


def test_the_figures_are_those_of_the_exported_file(run: Path) -> None:
    batch = faces().split("public")
    probabilities, logits = answers(run / "model.onnx", batch.images)
    predicted = probabilities.argmax(1)
    found = read(run / "evaluation.json")
    assert found["n"] == len(batch)
    assert found["accuracy"] == pytest.approx(accuracy_score(batch.labels, predicted))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(batch.labels, predicted))
    assert found["macro_f1"] == pytest.approx(f1_score(batch.labels, predicted, average="macro"))
    assert found["confusion"] == confusion_matrix(batch.labels, predicted, labels=range(7)).tolist()
    true = probabilities[np.arange(len(batch)), batch.labels].astype(np.float64)
    assert found["nll"] == pytest.approx(-np.log(true).mean(), rel=1e-5)
    temperature = found["calibration"]["temperature"]
    powers = np.exp(logits.astype(np.float64) / temperature)
    np.testing.assert_allclose(probabilities, powers / powers.sum(1, keepdims=True), atol=1e-5)


def test_the_temperature_is_the_best_one(run: Path) -> None:
    batch = faces().split("public")
    _, logits = answers(run / "model.onnx", batch.images)

    def nll(temperature: float) -> float:
        scaled = logits.astype(np.float64) / temperature
        scaled -= np.log(np.exp(scaled).sum(1, keepdims=True))
        return float(-scaled[np.arange(len(batch)), batch.labels].mean())

    kept = read(run / "evaluation.json")["calibration"]["temperature"]
    assert nll(kept) <= min(nll(kept * 0.98), nll(kept * 1.02))


def test_the_file_states_a_coverage_and_its_threshold_gives_it_on_the_validation_split(run: Path) -> None:
    batch = faces().split("public")
    card = load_network(run / "model.onnx").card
    probabilities, _ = answers(run / "model.onnx", batch.images)
    held = probabilities[np.arange(len(batch)), batch.labels] >= card.decision.threshold - 1e-6
    assert card.decision.coverage == COVERAGE
    assert held.mean() >= COVERAGE
    figures = read(run / "evaluation.json")["doubt"]
    assert (figures["coverage"], figures["threshold"]) == (COVERAGE, card.decision.threshold)
    assert figures["as_shipped"]["covered"] == pytest.approx(held.mean(), abs=1.5 / len(batch))


def test_a_finished_run_is_exported_anew_in_another_way(run: Path, dataset: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(run, again)
    changes = (
        "train.select=train_loss",
        "train.select_mode=max",
        "export.scaling='vector'",
        "export.familiar=0.7",
    )
    entry = train(Order(tiny(*changes), dataset, again, budget="smoke", resume=True))
    asked = entry["recipe_as_run"]["export"]
    assert (asked["scaling"], asked["familiar"]) == ("vector", 0.7)
    assert 'scaling = "vector"' in (again / "recipe.toml").read_text(encoding="utf-8")
    batch, card = faces().split("public"), load_network(again / "model.onnx").card
    p, logits = answers(again / "model.onnx", batch.images)
    assert card.decision.scaling.name == "vector"
    np.testing.assert_allclose(p, card.decision.scaling(logits), atol=1e-5)
    np.testing.assert_array_equal(logits, answers(run / "model.onnx", batch.images)[1])
    decided = card.decision(logits, p)
    assert decided.familiar.mean() == pytest.approx(0.7, abs=1.5 / len(batch))
    found = read(again / "evaluation.json")
    assert found["calibration"]["scaling"] == "vector"
    assert found["calibration"]["temperature"] is None
    assert found["doubt"]["as_shipped"]["familiar"] == decided.familiar.mean()
    assert found["doubt"]["as_shipped"]["sure"] == decided.sure.mean()
    # What is compared with other runs is no fit to these faces.
    assert entry["right"] == ledger.read(run / "result.json")["right"]


def test_the_best_epoch_is_what_is_exported(run: Path) -> None:
    entry = ledger.read(run / "result.json")
    losses = [line["train_loss"] for line in entry["history"]]
    best = entry["budget"]["best_epoch"]
    assert best == 1 + losses.index(max(losses))
    assert best < 3, "the last epoch was kept: this run cannot tell"
    selected = {"split": "public", "figure": "train_loss", "value": max(losses), "last": losses[-1]}
    assert entry["selected_on"] == selected
    accuracies = [line["validation_accuracy"] for line in entry["history"]]
    assert accuracies[best - 1] != accuracies[-1]
    assert entry["figures"]["public"]["accuracy"] == pytest.approx(accuracies[best - 1])


def test_copies_of_training_faces_are_left_out(run: Path) -> None:
    batch = faces()
    public, training = batch.split("public"), batch.split("training")
    seen = {image.tobytes() for image in training.images}
    kept = np.array([image.tobytes() not in seen for image in public.images])
    assert (~kept).sum() == COPIES
    found = read(run / "evaluation.json")["without_copies"]
    probabilities, _ = answers(run / "model.onnx", public.images[kept])
    assert found["copies"] == COPIES
    assert found["n"] == kept.sum()
    assert found["accuracy"] == pytest.approx((probabilities.argmax(1) == public.labels[kept]).mean())


def test_the_written_recipe_runs_to_the_same_bytes(run: Path, dataset: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    train(Order(load(str(run / "recipe.toml")), dataset, again))
    assert (again / "model.onnx").read_bytes() == (run / "model.onnx").read_bytes()
    assert tomllib.loads((again / "recipe.toml").read_text()) == tomllib.loads(
        (run / "recipe.toml").read_text()
    )


def test_two_classes_and_fine_tuning_to_them(run: Path, dataset: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    order = Order(
        tiny("data.labels=['happy', 'sad']"), dataset, tmp_path / "two", start=str(run), budget="smoke"
    )
    entry = train(order, note=notes.append)
    found = entry["figures"]["public"]
    public = faces().split("public")
    chosen = public.select(np.isin(public.labels, [EMOTIONS.index("happy"), EMOTIONS.index("sad")]))
    probabilities, _ = answers(tmp_path / "two" / "model.onnx", chosen.images)
    assert probabilities.shape == (len(chosen), 2)
    truth = (chosen.labels == EMOTIONS.index("sad")).astype(int)
    assert found["labels"] == ["happy", "sad"]
    assert found["n"] == len(chosen)
    assert found["accuracy"] == pytest.approx((probabilities.argmax(1) == truth).mean())
    fresh = next(line for line in notes if "tensors taken" in line)
    assert fresh.endswith("fresh: head.weight, head.bias")
    assert entry["start"] == str(run)


def test_fine_tuning_on_the_same_labels_takes_everything(run: Path, dataset: Path) -> None:
    from mien.experiments.pictures import build_network
    from mien.models.onnx_file import read as read_network

    notes: list[str] = []
    network = build_network(tiny(), faces().split("training"), str(run), notes.append)
    _, weights = read_network(run / "model.onnx")
    for name, value in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(value.numpy(), weights[name].numpy(), err_msg=name)
    assert "fresh" not in notes[0]


def test_no_weights_are_taken_from_another_architecture(run: Path, dataset: Path, tmp_path: Path) -> None:
    recipe = load("c/baseline", overrides=("model.filters=2", "model.hidden=3", "train.epochs=1"))
    with pytest.raises(ModelError, match="is a conv_net, the recipe's network a conv_baseline"):
        train(Order(recipe, dataset, tmp_path / "run", start=str(run)))
    assert not (tmp_path / "run").exists()


def test_a_network_is_taught_by_another(run: Path, dataset: Path, tmp_path: Path) -> None:
    beside = tmp_path / "c-final"
    beside.mkdir()
    (beside / "model.onnx").write_bytes((run / "model.onnx").read_bytes())
    folder = tmp_path / "c-distilled"
    entry = train(Order(tiny("train.epochs=1", name="c/distilled"), dataset, folder))
    assert entry["recipe_as_run"]["task"] == {
        "name": "distillation", "teacher": "recipe:c/final", "alpha": 0.8,
    }  # fmt: skip
    kept = np.load(folder / "teacher.npy")
    _, logits = answers(run / "model.onnx", faces().split("training").images)
    powers = np.exp(logits.astype(np.float64))
    np.testing.assert_allclose(kept, powers / powers.sum(1, keepdims=True), atol=1e-5)


WRONG_TEACHERS = {
    "shape": (np.full((3, 7), 1 / 7, np.float32), r"shape \(3, 7\): expected \(94, 7\)"),
    "sums": (np.ones((94, 7), np.float32), "sum to 1"),
    "not-a-number": (np.full((94, 7), np.nan, np.float32), "sum to 1"),
}


@pytest.mark.parametrize("wrong", WRONG_TEACHERS)
def test_wrong_probabilities_teach_nothing(wrong: str, dataset: Path, tmp_path: Path) -> None:
    array, message = WRONG_TEACHERS[wrong]
    np.save(tmp_path / "t.npy", array)
    recipe = tiny("task.name=distillation", f"task.teacher='{tmp_path / 't.npy'}'")
    with pytest.raises(DataError, match=message):
        train(Order(recipe, dataset, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


REFUSED: dict[str, tuple[tuple[str, ...], type[MienError], str]] = {
    "absent teacher": (("task.name=distillation", "task.teacher=recipe:c/larger"), RecipeError, "c-larger"),
    "task option": (
        ("task.name=distillation", "task.teacher=x.npy", "task.alphaa=1"),
        RecipeError,
        "task.alphaa",
    ),
    "augmentation": (("augment.miror=0.5",), RecipeError, "did you mean 'mirror'"),
    "optimiser": (("train.optimiser.name=adamm",), RecipeError, "did you mean"),
    "optimiser option": (("train.optimiser.momentumm=0.9",), RecipeError, "momentumm"),
    "schedule": (("train.schedule.name=stairs",), RecipeError, "expected one of constant"),
    "schedule option": (("train.schedule.decayy=0.9",), RecipeError, "its options are decay"),
    "l2_on": (("train.l2_on=biases",), RecipeError, "expected one of all"),
    "network": (("model.name=conv_nett",), ModelError, "did you mean 'conv_net'"),
    "network option": (("model.dropot=0.1",), ModelError, "dropot"),
    "split": (("data.validation=private",), DataError, "no 'private' faces"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_nothing_is_written_before_all_is_checked(what: str, dataset: Path, tmp_path: Path) -> None:
    overrides, error, message = REFUSED[what]
    with pytest.raises(error, match=message) as caught:
        train(Order(tiny(*overrides), dataset, tmp_path / "run"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def _without(*emotions: str) -> FaceBatch:
    batch = face_batch(70)
    return batch.select(~np.isin(batch.labels, [EMOTIONS.index(name) for name in emotions]))


UNFIT: dict[str, tuple[FaceBatch, str]] = {
    "one split": (face_batch(70).split("training"), "no 'public' faces"),
    "no such emotion": (_without("sad", "fear"), "no 'training' face of sad, fear"),
    "other size": (face_batch(70, size=64), "64×64"),
}


@pytest.mark.parametrize("what", UNFIT)
def test_datasets_that_do_not_fit(what: str, tmp_path: Path) -> None:
    batch, message = UNFIT[what]
    data.write(batch, tmp_path / "faces.h5", "hdf5")
    with pytest.raises(DataError, match=message):
        train(Order(tiny("data.labels=['sad', 'fear']"), tmp_path / "faces.h5", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_run_folders_that_cannot_be_used(run: Path, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder, error, message in (
        (tmp_path / "file", CheckpointError, "is a file"),
        (run, CheckpointError, "not empty: add --resume"),
        (tmp_path / "file" / "run", StorageError, "cannot write"),
    ):
        with pytest.raises(error, match=message):
            train(Order(tiny(), dataset, folder))
    assert (tmp_path / "file").read_text() == "x"
