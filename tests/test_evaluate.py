"""Evaluation end to end: a network whose answers are written into the faces, so every figure is known."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.cli.evaluate import _show
from mien.errors import DataError, ModelError
from mien.evaluation import doubt, metrics, protocols
from mien.evaluation.calibration import Scaling, compare_scalings, cross_fitted_ece, softmax
from mien.evaluation.decision import Decision
from mien.evaluation.figures import Figures, evaluate, measure
from mien.evaluation.humans import agreement
from mien.evaluation.protocols import Scores
from mien.faces import FaceBatch
from mien.labels import EMOTIONS, SIX, SPLITS

TEMPERATURE = 2.0


def readable_faces(n: int, seed: int = 0) -> FaceBatch:
    """Faces whose first seven pixels are the logits ×10 that `spoken` reads; every ninth has no votes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 7, n)
    images = rng.integers(0, 40, (n, 48, 48), dtype=np.uint8)
    told = np.where(rng.random(n) < 0.6, labels, rng.integers(0, 7, n))
    images[np.arange(n), 0, told] += rng.integers(20, 60, n).astype(np.uint8)
    votes = np.stack([rng.multinomial(10, rng.dirichlet(np.full(10, 0.3))) for _ in range(n)]).astype(
        np.uint8
    )
    votes[::9] = 0
    return FaceBatch(
        images=images,
        labels=labels.astype(np.int64),
        splits=np.where(np.arange(n) < n // 2, 0, 1).astype(np.int8),
        rows=np.arange(n, dtype=np.int64),
        votes=votes,
        source="readable",
    )


def spoken(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the network below answers."""
    logits = images[:, 0, :7].astype(np.float32) / 10
    return softmax(logits, TEMPERATURE), logits


def write_network(path: Path, labels: tuple[str, ...] = EMOTIONS) -> Path:
    """A network by the exported networks' contract that answers as `spoken` does."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto
    constants = [
        helper.make_tensor("starts", kind.INT64, [4], [0, 0, 0, 0]),
        helper.make_tensor("ends", kind.INT64, [4], [2**31, 1, 1, len(labels)]),
        helper.make_tensor("ten", kind.FLOAT, [], [10.0]),
        helper.make_tensor("temperature", kind.FLOAT, [], [TEMPERATURE]),
    ]
    nodes = [
        helper.make_node("Slice", ["pixels", "starts", "ends"], ["corner"]),
        helper.make_node("Flatten", ["corner"], ["embedding"], axis=1),
        helper.make_node("Div", ["embedding", "ten"], ["logits"]),
        helper.make_node("Div", ["logits", "temperature"], ["scaled"]),
        helper.make_node("Softmax", ["scaled"], ["probabilities"], axis=1),
        helper.make_node("Identity", ["pixels"], ["maps"]),
    ]

    def value(name: str, *shape: int | str) -> object:
        return helper.make_tensor_value_info(name, kind.FLOAT, shape)

    c = len(labels)
    outputs = [value(name, "n", c) for name in ("probabilities", "logits", "embedding")]
    graph = helper.make_graph(
        nodes,
        "spoken",
        [value("pixels", "n", 1, 48, 48)],
        [*outputs, value("maps", "n", 1, 48, 48)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    card = {"name": "spoken", "architecture": "spoken", "options": {}, "labels": labels, "input_size": 48,
            "unsure_below": 0.5, "temperature": TEMPERATURE}  # fmt: skip
    helper.set_model_props(model, {"mien": json.dumps(card)})
    onnx.save(model, str(path))
    return path


def test_every_figure_is_that_of_its_own_function() -> None:
    faces = readable_faces(700)
    copies = np.random.default_rng(3).random(700) < 0.2
    own = Decision(Scaling.of_temperature(TEMPERATURE, 7), 0.3, coverage=0.8)
    found = evaluate(
        spoken,
        faces,
        model="m",
        dataset="d",
        split="public",
        copies=copies,
        decision=own,
        seed=4,
    ).to_dict()
    p, logits = spoken(faces.images)
    for figures, keep in ((found, np.ones(700, bool)), (found["without_copies"], ~copies)):
        y, q = faces.labels[keep], p[keep]
        table = metrics.confusion(y, q.argmax(1), 7)
        assert figures["n"] == keep.sum()
        assert figures["accuracy"] == (q.argmax(1) == y).mean()
        assert figures["accuracy_ci95"] == list(metrics.wilson(int(np.trace(table)), int(keep.sum())))
        assert figures["confusion"] == table.tolist()
        assert figures["balanced_accuracy"] == metrics.balanced_accuracy(table)
        assert figures["macro_f1"] == metrics.macro_f1(table)
        assert figures["per_class"]["sad"]["support"] == (y == EMOTIONS.index("sad")).sum()
        assert figures["ece"] == metrics.expected_calibration_error(q, y)
        assert figures["humans"] == agreement(faces.votes[keep], y, q)
        crossed = cross_fitted_ece(logits, faces.labels, 4, keep)
        assert figures["calibration"]["ece_cross_fitted"] == crossed["ece"]
        assert figures["calibration"]["ece_uncalibrated"] == crossed["ece_uncalibrated"]
        assert figures["calibration"]["temperature"] == pytest.approx(TEMPERATURE)
        assert figures["calibration"]["scaling"] == "temperature"
        assert figures["calibration"]["scalings"] == compare_scalings(logits, faces.labels, 4, keep)
        assert figures["doubt"] == doubt.measure(
            p, logits, faces.labels, faces.votes, keep=keep, decision=own, seed=4
        )
    assert found["without_copies"]["copies"] == copies.sum()


def test_the_contracts_keys_come_in_order_and_json_holds_no_nan() -> None:
    found = evaluate(spoken, readable_faces(3), model="m", dataset="d", split="public").to_dict()
    assert list(found)[:13] == [
        "model", "dataset", "split", "protocol", "n", "accuracy", "accuracy_ci95", "balanced_accuracy",
        "macro_f1", "per_class", "confusion", "ece", "labels",
    ]  # fmt: skip
    json.dumps(found, allow_nan=False)
    assert found["without_copies"] is None
    assert found["labels"] == list(EMOTIONS)


def test_without_votes_there_are_no_people_and_one_face_has_no_halves() -> None:
    faces = readable_faces(1)
    found = evaluate(spoken, replace(faces, votes=faces.votes * 0), model="m", dataset="d", split="public")
    assert found.figures.humans is None
    assert found.figures.calibration is None
    assert found.figures.doubt is None


def test_figures_that_were_stored_before_doubt_was_measured_are_read() -> None:
    figures = evaluate(spoken, readable_faces(40), model="m", dataset="d", split="public").figures
    stored = figures.to_dict()
    assert Figures.from_dict(stored).to_dict() == stored
    del stored["doubt"]
    assert Figures.from_dict(stored).doubt is None


def test_where_every_face_is_a_copy_nothing_is_left_to_measure() -> None:
    found = evaluate(
        spoken, readable_faces(5), model="m", dataset="d", split="public", copies=np.ones(5, bool)
    )
    assert found.without_copies is None
    assert found.copies == 5


def test_faces_of_emotions_that_the_network_does_not_know_are_left_out() -> None:
    faces = readable_faces(200)
    shuffled = tuple(reversed(SIX))

    def six(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits = spoken(images)[1][:, [EMOTIONS.index(name) for name in shuffled]]
        return softmax(logits), logits

    found = evaluate(
        six, faces, model="m", dataset="d", split="public", labels=shuffled, copies=faces.labels == 0
    )
    neutral = faces.labels == EMOTIONS.index("neutral")
    assert found.left_out == neutral.sum()
    right = spoken(faces.images)[1][:, :6].argmax(1) == faces.labels
    assert found.figures.accuracy == right[~neutral].mean()
    assert found.copies == (faces.labels == 0).sum()
    assert found.without_copies is not None
    assert found.without_copies.per_class["angry"].support == 0
    with pytest.raises(ModelError, match="answers bored"):
        evaluate(six, faces, model="m", dataset="d", split="public", labels=("bored", *SIX[1:]))
    with pytest.raises(DataError, match="no face of"):
        evaluate(six, faces.select(neutral), model="m", dataset="d", split="public", labels=shuffled)


def test_scores_that_do_not_fit_the_faces_are_refused() -> None:
    p, logits = spoken(readable_faces(4).images)
    with pytest.raises(ModelError, match=r"gave scores \(4, 7\): expected \(5, 7\)"):
        measure(Scores(p, logits), readable_faces(5), model="m", dataset="d", split="public")


def test_batches_keep_every_face_in_its_place() -> None:
    faces = readable_faces(10)
    told: list[tuple[int, int]] = []
    scores = protocols.show(spoken, faces, 3, lambda done, of: told.append((done, of)))
    assert (scores.logits == spoken(faces.images)[1]).all()
    assert told == [(3, 10), (6, 10), (9, 10), (10, 10)]


def test_an_unknown_protocol_is_told_what_there_is() -> None:
    with pytest.raises(DataError, match=r"unknown protocol 'eval3'.*single \(the picture as it is\), eval1"):
        protocols.find("eval3")


def test_a_sample_is_drawn_by_its_seed_without_replacement() -> None:
    faces = readable_faces(200)
    part, drawn = protocols.sample(faces, 50, seed=4)
    assert drawn == protocols.Sample(faces=50, of=200, seed=4)
    assert len(set(part.rows.tolist())) == len(part) == 50
    assert (np.diff(part.rows) > 0).all()
    assert (part.images == faces.images[part.rows]).all()
    again, other = (protocols.sample(faces, 50, seed=seed)[0].rows for seed in (4, 5))
    assert (again == part.rows).all()
    assert (other != part.rows).any()
    # A smaller sample is part of a larger one of the same seed, and none favours the split's beginning.
    assert set(protocols.sample(faces, 20, seed=4)[0].rows) <= set(part.rows.tolist())
    means = [protocols.sample(faces, 50, seed=seed)[0].rows.mean() for seed in range(40)]
    assert np.mean(means) == pytest.approx(99.5, abs=5)


@pytest.mark.parametrize("limit", [None, 200, 500])
def test_no_sample_is_drawn_where_all_faces_are_asked_for(limit: int | None) -> None:
    faces = readable_faces(200)
    assert protocols.sample(faces, limit) == (faces, None)


def test_a_samples_figures_say_how_it_was_drawn() -> None:
    part, drawn = protocols.sample(readable_faces(200), 50, seed=4)
    found = evaluate(spoken, part, model="m", dataset="d", split="public", sample=drawn).to_dict()
    assert (found["n"], found["limit"]) == (50, 50)
    assert found["sample"] == {"faces": 50, "of": 200, "seed": 4}
    right = round(50 * found["accuracy"])
    assert found["accuracy_ci95"] == list(metrics.wilson(right, 50))


def _mien(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mien", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the network and a dataset of which three public faces are copies of training faces."""
    pytest.importorskip("pyarrow")
    from mien import data

    folder = tmp_path_factory.mktemp("evaluate")
    faces = readable_faces(80)
    public = np.flatnonzero(faces.splits == SPLITS.index("public"))
    faces.images[public[:3]] = faces.images[:3]
    data.write(faces, folder / "faces.parquet", "parquet")
    np.savez(folder / "faces.npz", images=faces.images, labels=faces.labels, splits=faces.splits)
    write_network(folder / "spoken.onnx")
    return folder


def test_the_command_prints_the_contracts_json_and_writes_it(place: Path) -> None:
    network, dataset, out = place / "spoken.onnx", place / "faces.parquet", place / "out" / "figures.json"
    done = _mien("evaluate", network, "--data", dataset, "--split", "public", "--json", "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout)
    with np.load(place / "faces.npz") as held:
        public = held["splits"] == SPLITS.index("public")
        right = spoken(held["images"][public])[1].argmax(1) == held["labels"][public]
    assert found["accuracy"] == right.mean()
    assert found["without_copies"]["copies"] == 3
    assert found["without_copies"]["accuracy"] == right[3:].mean()
    assert found["calibration"]["temperature"] == TEMPERATURE
    assert found["dataset"] == "faces.parquet"
    assert json.loads(out.read_text()) == found


def test_the_command_shows_tables_within_eighty_columns(place: Path) -> None:
    done = _mien("evaluate", place / "spoken.onnx", "--data", place / "faces.parquet", "--split", "public")
    assert done.returncode == 0, done.stderr
    assert "3 faces are copies of training faces" in done.stdout
    assert "label in could_be (80%)" in done.stdout
    assert "a rater against others" in done.stdout
    assert "…" not in done.stdout
    # The path in the first line is as long as it is.
    assert max(len(line) for line in done.stdout.splitlines()[3:]) <= 80


def test_three_columns_of_intervals_are_not_cut_either(capsys: pytest.CaptureFixture[str]) -> None:
    faces = readable_faces(4000)
    rng = np.random.default_rng(5)
    copies = rng.random(4000) < 0.1
    leaks = copies | (rng.random(4000) < 0.2)
    _show(evaluate(spoken, faces, model="m", dataset="d", split="public", copies=copies, leaks=leaks))
    lines = capsys.readouterr().out.splitlines()
    assert "…" not in "".join(lines)
    assert max(map(len, lines)) <= 80
    accuracy = next(line for line in lines if line.startswith("accuracy (95% interval)"))
    assert accuracy.count("–") == accuracy.count(")") - 1 == 3
    assert f"{(~leaks).sum():,} faces" in next(line for line in lines if " 4,000 faces" in line)


def test_the_training_split_has_no_copies_of_itself(place: Path) -> None:
    done = _mien(
        "evaluate", place / "spoken.onnx", "--data", place / "faces.parquet", "--split", "training", "--json"
    )
    assert json.loads(done.stdout)["without_copies"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("spoken.onnx", "--split", "nope"),
            "unknown split 'nope': expected one of training, public, private",
        ),
        (("spoken.onnx", "--split", "private"), "no 'private' faces"),
        (("spoken.onnx", "--split", "public", "--protocol", "eval3"), "unknown protocol 'eval3'"),
        (("nothing", "--split", "public"), "unknown network"),
        (("faces.npz", "--split", "public"), "is no network"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(
    place: Path, arguments: tuple[str, ...], message: str
) -> None:
    model = place / arguments[0] if (place / arguments[0]).exists() else arguments[0]
    done = _mien("evaluate", model, "--data", place / "faces.parquet", *arguments[1:])
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_ferplus_votes_of_the_public_test(data_folder: Path) -> None:
    pytest.importorskip("pyarrow")
    from mien import data

    faces = data.read(data_folder / "fer2013" / "fer2013-public.parquet")
    found = agreement(faces.votes, faces.labels, np.eye(7)[faces.labels])
    assert found is not None
    # Answering FER-2013's own labels: the network's agreement with people is then the labels'.
    assert found["n"] == 3579
    assert found["accuracy"] == found["label_agreement"]
    assert found["in_a_raters_seat"]["accuracy"] < found["rater_ceiling"]["accuracy"]
