"""`mien circumplex`: every kind of source, what it prints and writes, and one line for what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")
pytest.importorskip("matplotlib")

from mien import data
from mien.cli import app as application
from mien.evaluation.maps import responses
from mien.evaluation.maps.circular_order import canonical
from mien.evaluation.maps.circumplex import EXPECTED, analyse
from mien.evaluation.maps.dissimilarities import MEASURES
from mien.faces import FaceBatch
from mien.labels import EMOTIONS, FERPLUS_CHOICES, SIX, ferplus_columns
from studies import COUNTS, points_of, table_csv, written
from synthetic import face_batch
from tiny_network import reference, write_network


def mien(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mien", *map(str, arguments)],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def in_process(*arguments: object) -> Any:
    """What the command prints, without the start of a process."""
    done = CliRunner().invoke(application.app, ["circumplex", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def found(*arguments: object) -> dict[str, Any]:
    return json.loads(in_process(*arguments, "--json"))


def voted_faces(n: int = 280) -> FaceBatch:
    """Synthetic faces; ten raters name a face's own emotion, or the next one, or do not know."""
    batch = face_batch(n)
    rng = np.random.default_rng(0)
    votes = np.zeros((n, len(FERPLUS_CHOICES)), np.uint8)
    columns = ferplus_columns()
    for face, label in enumerate(batch.labels):
        own = rng.integers(0, 9)
        votes[face, columns[label]] += own
        votes[face, columns[(label + 1) % 7]] += 9 - own
        votes[face, FERPLUS_CHOICES.index("unknown")] += 1
    return replace(batch, votes=votes)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faces") / "faces.parquet"
    data.write(voted_faces(), path, "parquet")
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("network") / "tiny.onnx")


def test_the_command_says_what_the_statistics_say(tmp_path: Path) -> None:
    path = table_csv(tmp_path / "study.csv", list(SIX), list(SIX), COUNTS)
    got = found(path, "--bootstrap", 30, "--seed", 4, "--measure", "hellinger")
    wanted = analyse(
        responses.confusion(COUNTS, SIX, "study.csv"), measure="hellinger", resamples=30, seed=4
    ).to_dict()
    assert got == json.loads(json.dumps(wanted))


def test_json_as_evaluate_prints_it_may_have_emotions_that_are_not_wanted(tmp_path: Path) -> None:
    whole = np.zeros((7, 7), int)
    whole[:6, :6], whole[2, 6] = COUNTS, 9
    value = {"model": "x", "labels": list(EMOTIONS), "confusion": whole.tolist()}
    path = written(tmp_path / "evaluation.json", json.dumps(value))
    got = found(path, "--bootstrap", 0)
    assert (got["emotions"], got["source"]["kind"]) == (list(SIX), "confusion")
    assert got["source"]["per_emotion"]["fear"] == COUNTS[2].sum()


def test_an_order_of_points_is_found_and_its_overlaps_are_of_the_plane(tmp_path: Path) -> None:
    points, labels = points_of()
    path = written(tmp_path / "a.json", json.dumps({"labels": labels, "points": points.tolist()}))
    got = found(path, "--bootstrap", 20, "--expected", ",".join(SIX))
    assert (got["source"]["kind"], got["source"]["faces"]) == ("embeddings", 60)
    assert got["expected"]["exchanges"] == 0
    assert got["bootstrap"]["share"] == got["bootstrap"]["expected_share"] == 1
    assert set(got["measures"]) == {"euclidean", "cosine"}


def test_votes_of_a_dataset_are_peoples_map(dataset: Path) -> None:
    got = found(dataset, "--split", "public", "--bootstrap", 0)
    faces = voted_faces()
    counted = dict.fromkeys(SIX, 0)
    for label, split, votes in zip(faces.labels, faces.splits, faces.votes, strict=True):
        among = sum(int(votes[column]) for column in ferplus_columns()[:6])
        if split == 1 and label < 6 and 2 * among >= votes.sum() and among:
            counted[EMOTIONS[label]] += 1
    assert got["source"]["kind"] == "votes"
    assert got["source"]["name"] == "people's votes on faces.parquet (public)"
    assert got["source"]["per_emotion"] == counted


def test_a_classifier_is_mapped_by_its_probabilities_among_the_emotions(dataset: Path, network: Path) -> None:
    got = found(dataset, "--model", network, "--bootstrap", 0)
    faces = voted_faces()
    kept = faces.labels < 6
    among = reference(faces.images[kept])[0][:, :6]
    among /= among.sum(axis=1, keepdims=True)
    wanted = np.stack([among[faces.labels[kept] == label].mean(axis=0) for label in range(6)])
    assert np.allclose(got["responses"], wanted, atol=1e-5)
    assert got["source"]["name"] == "tiny.onnx on faces.parquet"


def test_a_network_and_people_are_compared_on_the_very_same_faces(dataset: Path, network: Path) -> None:
    got = found(dataset, "--model", network, "--against", "votes", "--bootstrap", 0)
    people = found(dataset, "--bootstrap", 0)
    assert got["source"]["per_emotion"] == people["source"]["per_emotion"]
    assert got["source"]["faces"] < (voted_faces().labels < 6).sum()
    assert got["against"]["name"] == "people's votes on faces.parquet"
    assert got["against"]["mantel"]["relabellings"] == 720
    with_people_first = found(
        dataset, "--against", dataset, "--against-model", network, "--bootstrap", 0
    )["against"]  # fmt: skip
    assert with_people_first["name"] == "tiny.onnx on faces.parquet"


def test_a_network_that_maps_faces_is_mapped_by_its_points(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    write_network(tmp_path / "run" / "model.onnx", kind="embedding", dimensions=9)
    got = found(dataset, "--model", tmp_path / "run", "--bootstrap", 0)
    faces = voted_faces()
    blocks = faces.images.astype(float).reshape(-1, 3, 16, 3, 16).mean(axis=(2, 4)).reshape(-1, 9)
    middles = np.stack([blocks[faces.labels == label].mean(axis=0) for label in range(6)])
    apart = np.sqrt(((middles[:, None] - middles[None]) ** 2).sum(axis=-1))
    assert got["source"]["kind"] == "embeddings"
    assert got["source"]["name"] == "run on faces.parquet"
    assert np.allclose(got["dissimilarity"]["matrix"], apart, rtol=1e-4, atol=1e-3)


def test_two_networks_are_compared_on_the_same_faces(dataset: Path, network: Path, tmp_path: Path) -> None:
    other = write_network(tmp_path / "other.onnx", kind="embedding", dimensions=9)
    got = found(dataset, "--split", "public", "--model", network, "--against-model", other, "--bootstrap", 0)
    assert got["source"]["name"] == "tiny.onnx on faces.parquet (public)"
    assert got["against"]["name"] == "other.onnx on faces.parquet (public)"


def test_two_splits_are_compared(dataset: Path) -> None:
    got = found(dataset, "--split", "training", "--against-split", "public", "--bootstrap", 0)
    assert got["source"]["name"] == "people's votes on faces.parquet (training)"
    assert got["against"]["name"] == "people's votes on faces.parquet (public)"


def test_any_two_sources_can_be_compared(dataset: Path, tmp_path: Path) -> None:
    path = table_csv(tmp_path / "study.csv", list(SIX), list(SIX), COUNTS)
    got = found(dataset, "--against", path, "--bootstrap", 0)
    assert (got["against"]["name"], got["against"]["emotions"]) == ("study.csv", list(SIX))


def test_emotions_may_be_chosen_by_any_name(tmp_path: Path) -> None:
    names = [*SIX, "neutral"]
    whole = np.ones((7, 7), int)
    whole[:6, :6] += COUNTS
    path = table_csv(tmp_path / "study.csv", names, names, whole)
    got = found(path, "--emotions", "joy,sadness, Fear,neutral", "--bootstrap", 0)
    assert got["emotions"] == ["happy", "sad", "fear", "neutral"]
    assert got["chance"] == pytest.approx(1 / 3)
    assert got["expected"] is None


def test_a_source_of_fewer_emotions_is_held_to_their_part_of_the_expected_order(tmp_path: Path) -> None:
    path = table_csv(tmp_path / "x.csv", list(SIX[:4]), list(SIX[:4]), COUNTS[:4, :4])
    got = found(path, "--bootstrap", 0)
    assert got["emotions"] == list(SIX[:4])
    part = canonical([name for name in EXPECTED if name in SIX[:4]])
    assert got["expected"]["order"] == list(part)


def test_in_words_every_part_is_there(tmp_path: Path) -> None:
    from mien.report.circumplex_words import arrows, parts

    path = table_csv(tmp_path / "study.csv", list(SIX), list(SIX), COUNTS)
    said = " ".join(in_process(path, "--against", path, "--bootstrap", 20).split())
    values = found(path, "--against", path, "--bootstrap", 20)
    assert arrows(values["order"]) in said
    for part in parts(values):
        for sentence in (part.heading, *part.sentences, part.caption):
            assert " ".join(sentence.split()) in said


def test_copies_are_left_out(tmp_path: Path) -> None:
    faces = voted_faces(420)
    images, public = faces.images.copy(), np.flatnonzero(faces.splits == 1)
    images[public[:30]] = images[:30]  # Copies of training faces,
    images[60:70] = images[50:60]  # and repeats within training.
    faces = replace(faces, images=images)
    data.write(faces, tmp_path / "faces.parquet", "parquet")
    repeats = np.isin(np.arange(len(faces)), [*public[:30], *range(60, 70)])
    for split in ("public", "training"):
        asked = (
            "circumplex",
            tmp_path / "faces.parquet",
            "--split",
            split,
            "--bootstrap",
            0,
            "--json",
            "--without-copies",
        )
        done = mien(*asked)
        assert done.returncode == 0, done.stderr
        expected = responses.votes(faces.select(~repeats).split(split))
        assert json.loads(done.stdout)["source"]["faces"] == len(expected.labels)
        assert len(expected.labels) < len(responses.votes(faces.split(split)).labels)


def test_a_figure_and_a_page_are_written(tmp_path: Path) -> None:
    path = table_csv(tmp_path / "study.csv", list(SIX), list(SIX), COUNTS)
    said = in_process(
        path, "--against", path, "--bootstrap", 5, "--out", tmp_path / "a" / "map.png",
        "--report", tmp_path / "map.html",
    )  # fmt: skip
    assert (tmp_path / "a" / "map.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "map.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert page.count("<svg") == 2
    assert "map.png" in said
    assert "map.html" in said


def test_help_names_every_measure_and_imports_nothing_heavy() -> None:
    done = CliRunner().invoke(application.app, ["circumplex", "--help"], env={"COLUMNS": "200"})
    assert all(name in done.output for name in MEASURES)
    assert ",".join(EXPECTED) in done.output
    heavy = ("numpy", "scipy", "sklearn", "matplotlib", "onnxruntime", "torch", "rich.table")
    code = (
        "import sys; sys.argv = ['mien', 'circumplex', '--help']\n"
        "from mien.cli.app import main\n"
        "try: main()\n"
        f"except SystemExit: print([name for name in {heavy[:-1]} if name in sys.modules])"
    )
    done_there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done_there.stdout.splitlines()[-1] == "[]"


def _matrix(text: str, name: str = "x.csv") -> Callable[[Path], Path]:
    return lambda folder: written(folder / name, text)


def _binary(folder: Path) -> Path:
    (folder / "x.bin").write_bytes(bytes(range(256)))
    return folder / "x.bin"


ROWS = [",".join([name, *map(str, row)]) for name, row in zip(SIX, COUNTS.tolist(), strict=True)]
HEAD = ",".join(["", *SIX])
EQUAL = json.dumps({"labels": [*SIX, *SIX], "points": [[1.5, 2.0]] * 12})
EMPTY = [*ROWS[:4], "sad,0,0,0,0,0,0", ROWS[5]]

WRONG: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "no such file": (lambda folder: folder / "none.csv", ("no such file or folder", "none.csv")),
    "an empty file": (_matrix(""), ("x.csv is empty",)),
    "one endless line": (_matrix("x" * 200_000 + ",y"), ("does not read as CSV",)),
    "not text": (_binary, ("is no source of a map",)),
    "not square": (_matrix("\n".join([HEAD, *ROWS[:5]])), ("not square: 5 rows and 6 columns",)),
    "not square in JSON": (
        _matrix(json.dumps({"labels": list(SIX), "confusion": COUNTS[:5].tolist()}), "x.json"),
        ("5 × 6", "expected a square one"),
    ),
    "ragged": (_matrix("\n".join([HEAD, *ROWS[:5], "surprise,1,2"])), ("line 7 has 2 numbers: expected 6",)),
    "unknown name": (_matrix("\n".join([HEAD, *ROWS[:5], "contempt,1,2,3,4,5,6"])), ("'contempt'", "line 7")),
    "rows and columns that disagree": (
        _matrix("\n".join([HEAD, *ROWS[:5], ROWS[5].replace("surprise", "neutral")])),
        ("rows and columns of x.csv disagree", "'neutral'"),
    ),
    "an empty row": (_matrix("\n".join([HEAD, *EMPTY])), ("row of sad of x.csv is empty",)),
    "no number": (_matrix("\n".join([HEAD, *ROWS[:5], "surprise,1,2,3,4,5,many"])), ("'many' is no number",)),
    "a negative entry": (_matrix("\n".join([HEAD, *ROWS[:5], "surprise,1,2,3,4,5,-6"])), ("-6", "≥ 0")),
    "one emotion": (_matrix(",joy\nhappy,5"), ("only happy of x.csv", "at least 2")),
    "two emotions": (_matrix(",sad,happy\nsad,4,1\nhappy,2,5"), ("2 emotions (happy, sad)", "needs 3 to 8")),
    "none of the six": (_matrix(",neutral\nneutral,5"), ("x.csv has none of the six emotions",)),
    "twice the same": (_matrix(",sad,sad\nsad,4,1\nsad,2,5"), ("'sad' is named twice",)),
    "all embeddings equal": (_matrix(EQUAL, "x.json"), ("all 12 embeddings of x.json are equal",)),
    "points without labels": (
        _matrix('[{"label": null, "point": [1, 2]}]', "x.json"), ("no point of x.json has a label",),
    ),
    "ragged points": (
        _matrix('{"labels": ["happy", "sad"], "points": [[1, 2], [1]]}', "x.json"), ("rows of one length",),
    ),
    "damaged JSON": (_matrix('{"labels": [', "x.json"), ("does not parse as JSON",)),
    "strange JSON": (_matrix('{"answer": 42}', "x.json"), ("JSON of no known kind", '"confusion"')),
}  # fmt: skip
"""A source and what the line says of it."""


OPTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "measure": (("--measure", "euclid"), ("unknown measure 'euclid': did you mean 'euclidean'?",)),
    "emotion": (("--emotions", "happy,sad,feer"), ("unknown emotion 'feer': did you mean 'fear'?",)),
    "emotion twice": (("--emotions", "happy,joy,sad"), ("'happy' is named twice",)),
    "emotion that is not there": (("--emotions", "happy,sad,neutral"), ("no row of neutral in x.csv",)),
    "too few": (("--emotions", "happy,sad"), ("2 emotions (happy, sad)", "needs 3 to 8")),
    "only one": (("--emotions", "happy"), ("only happy of x.csv", "at least 2")),
    "expected": (("--expected", "happy,sad"), ("--expected lacks angry, disgust, fear, surprise",)),
    "expected name": (("--expected", "happy,sadd"), ("unknown emotion 'sadd': did you mean 'sad'?",)),
    "split": (("--split", "public"), ("x.csv knows no splits",)),
    "network for a matrix": (("--model", "conv_net"), ("x.csv is no dataset of faces",)),
    "votes without a network": (("--against", "votes"), ("name the network with --model",)),
    "figure": (("--out", "map.jpg"), ("'map.jpg': expected a name that ends in .png",)),
    "page": (("--report", "map.txt"), ("'map.txt': expected a name that ends in .html",)),
    "bootstrap": (("--bootstrap", "-1"), ("--bootstrap",)),
}
"""Options beside a good matrix, and what the line says of them."""

OF_DATASETS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "split": (("--split", "publik"), ("unknown split 'publik'", "training, public, private")),
    "empty split": (("--split", "private"), ("no 'private' faces", "training, public")),
    "no votes": ((), ("no face of faces.parquet has votes", "FER+ votes")),
    "no votes beside a network": (
        ("--model", "conv_net", "--against", "votes"), ("no face of faces.parquet has votes",),
    ),
    "network": (("--model", "conv_nett"), ("unknown network 'conv_nett'",)),
    "votes and another split": (
        ("--model", "conv_net", "--against", "votes", "--against-split", "public"), ("takes no other split",),
    ),
}  # fmt: skip


def assert_one_line(code: object, out: str, err: str, *said: str) -> None:
    assert (code, out) == (2, ""), err
    assert err.startswith("mien: ")
    assert err.count("\n") == 1
    for text in said:
        assert text in err


def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[object, str, str]:
    monkeypatch.setattr(sys, "argv", ["mien", "circumplex", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        application.main()
    said = capsys.readouterr()
    return stopped.value.code, said.out, said.err


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    return table_csv(tmp_path / "x.csv", list(SIX), list(SIX), COUNTS)


@pytest.fixture(scope="module")
def unvoted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("unvoted") / "faces.parquet"
    data.write(face_batch(70), path, "parquet")
    return path


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_source_is_one_line(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write, said = WRONG[case]
    assert_one_line(*refused(monkeypatch, capsys, write(tmp_path)), *said)


@pytest.mark.parametrize("case", OPTIONS)
def test_a_wrong_option_is_one_line(
    case: str, matrix: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options, said = OPTIONS[case]
    assert_one_line(*refused(monkeypatch, capsys, matrix, *options), *said)


@pytest.mark.parametrize("case", OF_DATASETS)
def test_what_a_dataset_lacks_is_one_line(
    case: str, unvoted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options, said = OF_DATASETS[case]
    assert_one_line(*refused(monkeypatch, capsys, unvoted, *options), *said)


@pytest.mark.parametrize(
    "case", ["not square", "an empty row", "one emotion", "two emotions", "all embeddings equal"]
)
def test_a_process_of_its_own_refuses_a_wrong_source(case: str, tmp_path: Path) -> None:
    write, said = WRONG[case]
    done = mien("circumplex", write(tmp_path), "--json")
    assert_one_line(done.returncode, done.stdout, done.stderr, *said)


@pytest.mark.parametrize("case", ["measure", "emotion", "only one"])
def test_a_process_of_its_own_refuses_a_wrong_option(case: str, matrix: Path) -> None:
    options, said = OPTIONS[case]
    done = mien("circumplex", matrix, *options)
    assert_one_line(done.returncode, done.stdout, done.stderr, *said)


@pytest.mark.parametrize("case", ["split", "no votes"])
def test_a_process_of_its_own_refuses_what_a_dataset_lacks(case: str, unvoted: Path) -> None:
    options, said = OF_DATASETS[case]
    done = mien("circumplex", unvoted, *options)
    assert_one_line(done.returncode, done.stdout, done.stderr, *said)


def test_without_the_analysis_extra_one_line_says_what_to_install(
    matrix: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mien.cli import extras

    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "sklearn" else object())
    assert_one_line(*refused(monkeypatch, capsys, matrix), "needs sklearn", "mien[analysis]")


@pytest.mark.slow
def test_peoples_map_of_fer2013(data_folder: Path) -> None:
    done = mien(
        "circumplex", data_folder / "fer2013" / "fer2013-training.parquet", "--json", "--bootstrap", 100
    )
    assert (done.returncode, done.stderr) == (0, "")
    got = json.loads(done.stdout)
    assert got["order"] == ["happy", "surprise", "fear", "sad", "disgust", "angry"]
    assert got["metric"]["order"] == got["order"]
    assert got["chance"] == pytest.approx(1 / 60)
    assert got["bootstrap"]["resamples"] == 100
    assert got["bootstrap"]["share"] > 0.95
    assert (got["expected"]["exchanges"], got["expected"]["chance"]) == (1, pytest.approx(7 / 60))
