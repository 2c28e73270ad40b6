"""Test protocols from the command line and in a run: measured, printed, kept, and refused in one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien import data, ledger
from mien.cli import app as application
from mien.errors import ModelError
from mien.evaluation import protocols
from mien.experiments.run import Order, train
from mien.models.multi_crop import MultiCrop
from mien.models.onnx_file import restore
from mien.training.recipe import load
from synthetic import face_batch

TINY = (
    "model.name='bkvgg8'", "model.crop=16", "augment.crop='centre'", "augment.resize=[48, 48]",
    "train.epochs=1", "train.batch_size=64", "train.precision='bf16-mixed'",
    "test.protocols=['single', 'eval1', 'eval2']", "test.limit={eval2 = 3}",
)  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 public faces, of which three are copies of training faces."""
    batch = face_batch(120)
    public, training = np.flatnonzero(batch.splits == 1), np.flatnonzero(batch.splits == 0)
    batch.images[public[:3]] = batch.images[training[:3]]
    path = tmp_path_factory.mktemp("data") / "faces.parquet"
    data.write(batch, path, "parquet")
    return path


@pytest.fixture(scope="module")
def finished(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "bkvgg8"
    train(Order(load("a/bkvgg12", overrides=TINY), dataset, folder, budget="smoke"))
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run beside a ledger that holds it: `run` and `results`."""
    shutil.copytree(finished, tmp_path / "run")
    ledger.write(read(finished / "result.json"), tmp_path / "results")
    return tmp_path / "run"


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def mien(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command in this process."""
    monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        application.main()
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def without_stamp(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key not in {"measured", "model", "dataset"}}


def test_a_finished_run_holds_its_recipes_protocols(finished: Path, dataset: Path) -> None:
    entry = read(finished / "result.json")
    assert set(entry["figures"]) == {"public"}
    assert entry["figures"]["public"]["protocol"] == "single"
    assert set(entry["protocols"]) == {"eval1", "eval2"}
    eval1, eval2 = (entry["protocols"][name]["public"] for name in ("eval1", "eval2"))
    assert (eval1["protocol"], eval1["n"], eval1["limit"]) == ("eval1", 40, None)
    assert (eval2["protocol"], eval2["n"], eval2["limit"]) == ("eval2", 3, 3)
    assert eval2["sample"] == {"faces": 3, "of": 40, "seed": 0}
    assert eval1["without_copies"]["copies"] == 3
    assert eval1["measured"]["precision"] == entry["recipe_as_run"]["train"]["precision"] == "bf16-mixed"
    assert eval1["measured"]["machine"]["torch"]
    # What was measured is the exported file, under the protocol.
    faces = data.read(dataset).split("public")
    network = restore(finished / "model.onnx")
    answers, _ = MultiCrop(network, protocols.find("eval1"), precision="bf16-mixed")(faces.images)
    assert eval1["accuracy"] == (answers.argmax(1) == faces.labels).mean()


def test_the_card_carries_the_protocols_figures(finished: Path) -> None:
    entry, card = read(finished / "result.json"), read(finished / "model.json")
    for name in ("eval1", "eval2"):
        full, short = (each["protocols"][name]["public"] for each in (entry, card))
        for key, value in short.items():
            part = {each: full[key][each] for each in value} if key == "without_copies" else full[key]
            assert value == part, key
        assert {"n", "accuracy", "accuracy_ci95", "limit"} <= set(short)
    assert card["figures"]["public"]["accuracy"] == entry["figures"]["public"]["accuracy"]


def test_the_report_shows_them_beside_the_papers(finished: Path) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8")
    eval2 = read(finished / "result.json")["protocols"]["eval2"]["public"]
    assert "Accuracy under eval1" in page
    shown = page[page.index("Accuracy under eval2") :][:400]
    assert f"{100 * eval2['accuracy']:.1f}%" in shown
    assert "3 faces, 95% interval" in shown
    assert "the paper&#x27;s 71.0%" in shown


def test_the_last_epoch_stands_beside_the_best(finished: Path) -> None:
    entry = read(finished / "result.json")
    assert entry["selected_on"]["last"] == entry["history"][-1]["validation_accuracy"]
    assert read(finished / "model.json")["selected_on"] == entry["selected_on"]


def test_the_command_measures_what_the_run_measured(
    finished: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = mien(
        monkeypatch, capsys, "evaluate", finished, "--data", dataset, "--split", "public",
        "--protocol", "eval2", "--limit", 3, "--precision", "bf16-mixed", "--json",
    )  # fmt: skip
    assert (code, err) == (0, "")
    held = read(finished / "result.json")["protocols"]["eval2"]["public"]
    assert without_stamp(json.loads(out)) == without_stamp(held)


def test_another_seed_draws_other_faces(
    finished: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("evaluate", finished, "--data", dataset, "--split", "public", "--limit", 20)
    found = [
        json.loads(mien(monkeypatch, capsys, *common, "--seed", seed, "--json")[1]) for seed in (0, 0, 1)
    ]
    assert [each["sample"]["seed"] for each in found] == [0, 0, 1]
    assert [each["n"] for each in found] == [20] * 3
    confusions = [each["confusion"] for each in found]
    assert confusions[0] == confusions[1] != confusions[2]
    code, out, _ = mien(monkeypatch, capsys, *common)
    assert code == 0
    assert "20 of 40 faces, drawn with seed 0" in out


def test_figures_are_added_to_the_run_its_card_and_the_ledger(
    run: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = run.parent / "results"
    (held,) = results.glob("*.json")
    before, described = read(held), read(run / "model.json")
    code, out, err = mien(
        monkeypatch, capsys, "evaluate", run, "--data", dataset, "--split", "training", "--protocol", "eval1",
        "--limit", 10, "--json", "--ledger", results,
    )  # fmt: skip
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["measured"]["precision"] == "32-true"
    for path in (held, run / "result.json"):
        entry = read(path)
        assert entry["protocols"]["eval1"].pop("training") == found
        assert entry == before
    card = read(run / "model.json")
    added = card["protocols"]["eval1"].pop("training")
    assert (added["accuracy"], added["limit"]) == (found["accuracy"], 10)
    assert card == described


def test_single_figures_are_added_where_single_figures_stand(
    run: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = run.parent / "results"
    code, _, err = mien(
        monkeypatch, capsys, "evaluate", run, "--data", dataset, "--split", "training", "--ledger", results
    )
    assert (code, err) == (0, "")
    (held,) = ledger.entries(results)
    assert set(held["figures"]) == {"public", "training"}
    assert held["figures"]["training"]["n"] == 80
    assert "single" not in held["protocols"]


def _of_another_run(run: Path) -> None:
    entry = read(run / "result.json")
    ledger.write({**entry, "budget": {**entry["budget"], "seconds": -1.0}}, run.parent / "results")


def _not_in_the_ledger(run: Path) -> None:
    next((run.parent / "results").glob("*.json")).unlink()


def _another_network(run: Path) -> None:
    path = run / "model.json"
    path.write_text(path.read_text().replace(read(path)["sha256"], "0" * 64))


def _unfinished(run: Path) -> None:
    (run / "result.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "options", "message"),
    [
        (_of_another_run, (), "is of another run than"),
        (_not_in_the_ledger, (), "no entry"),
        (_another_network, (), "is not the network that model.json describes"),
        (_unfinished, (), "holds no result.json"),
        (None, ("--protocol", "single", "--limit", 5), "--limit 5: figures of single pictures"),
    ],
)
def test_a_ledger_takes_figures_of_its_own_runs_alone(
    spoil: Any,
    options: tuple[object, ...],
    message: str,
    run: Path,
    dataset: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if spoil is not None:
        spoil(run)
    results = run.parent / "results"
    before = {path: path.read_bytes() for path in run.parent.rglob("*.json")}
    monkeypatch.setattr(data, "read", lambda *_, **__: pytest.fail("read the data before the ledger"))
    code, out, err = mien(
        monkeypatch, capsys, "evaluate", run, "--data", dataset, "--split", "public", "--protocol", "eval1",
        "--ledger", results, *options,
    )  # fmt: skip
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in run.parent.rglob("*.json")} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--protocol", "eval3"), "unknown protocol 'eval3': expected one of: single"),
        (("--protocol", "eval1", "--precision", "bf16"), "unknown precision 'bf16': expected 32-true or"),
        (("--precision", "bf16-mixed"), "--precision is of eval1 and eval2"),
        (("--limit", "0"), "--limit"),
    ],
)
def test_wrong_words_cost_one_line(
    options: tuple[str, ...],
    message: str,
    finished: Path,
    dataset: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = mien(
        monkeypatch, capsys, "evaluate", finished, "--data", dataset, "--split", "public", *options
    )
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_an_interrupt_leaves_nothing(
    run: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(MultiCrop, "__call__", interrupted)
    results = run.parent / "results"
    before = {path: path.read_bytes() for path in run.parent.rglob("*.json")}
    code, out, err = mien(
        monkeypatch, capsys, "evaluate", run, "--data", dataset, "--split", "public", "--protocol", "eval2",
        "--ledger", results, "--out", run.parent / "figures.json",
    )  # fmt: skip
    assert (code, out, err) == (130, "", "mien: interrupted\n")
    assert {path: path.read_bytes() for path in run.parent.rglob("*.json")} == before


def test_a_network_that_sees_whole_faces_has_no_eval1(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = mien(
        monkeypatch, capsys, "evaluate", "conv_net", "--data", dataset, "--split", "public",
        "--protocol", "eval1",
    )  # fmt: skip
    assert (code, out) == (2, "")
    assert "conv_net sees whole faces of 48×48: eval1" in err


def test_a_recipe_whose_protocol_does_not_fit_is_refused_before_it_trains(
    dataset: Path, tmp_path: Path
) -> None:
    recipe = load("c/final", overrides=("test.protocols=['eval1']",))
    with pytest.raises(ModelError, match="conv_net sees whole faces of 48×48: eval1"):
        train(Order(recipe, dataset, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def _mien_without_torch(*arguments: object) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.modules['torch'] = None; from mien.cli.app import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_without_torch_crops_are_refused_and_single_pictures_are_read(finished: Path, dataset: Path) -> None:
    common = ("evaluate", finished, "--data", dataset, "--split", "public")
    crops = _mien_without_torch(*common, "--protocol", "eval1")
    assert (crops.returncode, crops.stdout) == (2, "")
    assert crops.stderr == "mien: this command needs torch: install it with pip install 'mien[train]'\n"
    single = _mien_without_torch(*common, "--limit", 5, "--json")
    assert single.returncode == 0, single.stderr
    assert json.loads(single.stdout)["n"] == 5
