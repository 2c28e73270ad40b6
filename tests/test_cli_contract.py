"""The command line is a contract: it holds for every command there is, and for those still to come."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from mien import __version__, data
from mien.cli import app as application
from mien.training import recipe as known
from synthetic import face_batch


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))


EVERY = dict(commands(typer.main.get_command(application.app)))
LEAVES = [path for path, command in EVERY.items() if not hasattr(command, "commands")]


def mien(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mien", *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def assert_one_line(done: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.startswith("mien: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    for text in said:
        assert text in done.stderr


def in_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `main()`: a process without its start."""
    monkeypatch.setattr(sys, "argv", ["mien", *arguments])
    with pytest.raises(SystemExit) as stopped:
        application.main()
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(application.app, [*path, "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert "Usage:" in done.output


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_help_has_an_example_that_is_its_own(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(application.app, [*path, "--help"], env={"COLUMNS": "200"})
    assert f"Example: mien {' '.join(path)}" in done.output


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_option_of_an_example_exists(path: tuple[str, ...]) -> None:
    command = EVERY[path]
    example = next(line for line in command.help.splitlines() if line.strip().startswith("Example:"))
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    used = {word.partition("=")[0] for word in example.split() if word.startswith("-")}
    assert used <= options


def test_mien_alone_shows_what_one_can_do() -> None:
    done = mien()
    assert "Usage:" in done.stdout + done.stderr
    for path in EVERY:
        if len(path) == 1:
            assert path[0] in done.stdout + done.stderr


def test_help_of_the_whole_is_whole() -> None:
    done = mien("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(path[0] in done.stdout for path in EVERY)


def test_version() -> None:
    done = mien("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"mien {__version__}\n", "")


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "command": (("predcit",), "predcit"),
    "option": (("recipes", "--jsom"), "--jsom"),
    "value": (("bench", "--batch-size", "many"), "--batch-size"),
    "missing": (("train", "c/final"), "--data"),
    "model": (("models", "conv_nett"), "unknown network 'conv_nett': did you mean 'conv_net'?"),
    "recipe": (("recipes", "c/fina"), "did you mean 'c/final'?"),
    "bench": (("bench", "conv_nett"), "did you mean 'conv_net'?"),
    "table": (("reproduce", "C/result"), "did you mean 'C/results'?"),
    "figure": (("reproduce", "C/figure-9"), "unknown table or figure 'C/figure-9'"),
    "setting": (
        ("train", "c/final", "--data", "x", "--out", "y", "--set", "train.epoch=3"),
        "unknown key 'train.epoch': did you mean 'epochs'?",
    ),
    "setting without value": (
        ("train", "c/final", "--data", "x", "--out", "y", "--set", "epochs"),
        "override 'epochs': expected key=value",
    ),
    "value of a setting": (
        ("train", "c/final", "--data", "x", "--out", "y", "--set", "train.epochs=many"),
        "train.epochs",
    ),
    "budget": (("train", "c/final", "--data", "x", "--out", "y", "--budget", "big"), "smoke, cpu, full"),
    "dataset": (("train", "c/final", "--data", "absent.csv", "--out", "y"), "absent.csv"),
    "network to start from": (
        ("train", "c/final", "--data", "absent.csv", "--out", "y", "--from", "nobody"), "absent.csv"
    ),
    "ledger": (("reproduce", "C/results", "--ledger", "absent"), "no ledger at absent"),
    "run without data": (("reproduce", "C/results", "--run"), "--run needs --data"),
    "run of a figure": (("reproduce", "C/figure-4", "--run"), "run C/results and repeat it without --run"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_wrong_words_cost_one_line(
    what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, message = WRONG[what]
    code, out, err = in_process(monkeypatch, capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("mien: ")
    assert err.count("\n") == 1
    assert message in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [("predcit",), ("recipes", "--jsom"), ("models", "nobody")])
def test_wrong_words_in_a_real_process(arguments: tuple[str, ...]) -> None:
    assert_one_line(mien(*arguments), 2, arguments[-1])


@pytest.mark.parametrize(("name", "parameters"), [("conv_net", 417_575), ("conv_baseline", 1_844_839)])
def test_models_give_exact_parameter_counts(name: str, parameters: int) -> None:
    done = mien("models", name, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["name"] == name
    assert found["parameters"] == found["architecture"]["parameters"] == parameters


@pytest.mark.parametrize(
    "arguments",
    [("models",), ("recipes",), ("recipes", "c/final"), ("reproduce",), ("reproduce", "C/results")],
    ids=" ".join,
)
def test_json_is_alone_on_standard_output(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = in_process(monkeypatch, capsys, *arguments, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)


def test_a_printed_recipe_is_a_recipe_file(tmp_path: Path) -> None:
    done = mien("recipes", "c/distilled")
    (tmp_path / "mine.toml").write_text(done.stdout)
    assert tomllib.loads(done.stdout)["name"] == "c/distilled"
    assert known.load(str(tmp_path / "mine.toml")) == known.load("c/distilled")


def test_every_recipe_is_listed_whole_where_output_is_piped() -> None:
    lines = mien("recipes").stdout.splitlines()
    for name in known.names():
        assert any(name in line and known.load(name).summary in line for line in lines), name


@pytest.mark.slow
def test_bench_as_json() -> None:
    done = mien("bench", "conv_net", "--seconds", "0.2", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    speed = found["networks"][0]
    # 3×3 convolutions at 48, 24, 12 and 6 pixels, two affine layers: by hand.
    convolutions = 48**2 * 9 * 32 + 24**2 * 9 * 32 * 64 + 12**2 * 9 * 64 * 96 + 6**2 * 9 * 96 * 128
    assert speed["multiply_adds"] == convolutions + 1152 * 200 + 200 * 7
    assert speed["parameters"] == 417_575
    assert speed["eval2_faces_min"] is None
    assert 0 <= speed["share_outside_network"] < 1
    rate = found["matrix_rate_gflop_s"]["32-true"] * 1e9
    share = speed["train_images_s"] * speed["multiply_adds"] * 6 / rate
    assert speed["share_of_matrix_rate"] == pytest.approx(share, rel=0.01)
    assert set(speed["inference_images_s"]) == {"1", "64"}
    assert all(images > 0 for images in speed["inference_images_s"].values())


@pytest.mark.slow
def test_bench_measures_a_recipe_as_it_trains() -> None:
    done = mien(
        "bench", "a/bkvgg8", "--seconds", "0.1", "--batch-size", "32", "--precision", "32-true", "--json"
    )
    assert done.returncode == 0, done.stderr
    speed = json.loads(done.stdout)["networks"][0]
    assert (speed["subject"], speed["network"], speed["batch_size"]) == ("a/bkvgg8", "bkvgg8", 32)
    assert speed["eval2_faces_min"] > 0
    assert 0 < speed["share_outside_network"] < 1


def broken(name: str | None = None, json_output: bool = False) -> None:
    raise ZeroDivisionError("of the\ninside")


def test_the_unexpected_costs_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(known, "names", broken)
    code, out, err = in_process(monkeypatch, capsys, "recipes")
    assert (code, out) == (1, "")
    assert err == "mien: unexpected ZeroDivisionError: of the inside; --debug shows where, for a report\n"


def test_debug_shows_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "names", broken)
    monkeypatch.setattr(sys, "argv", ["mien", "--debug", "recipes"])
    with pytest.raises(ZeroDivisionError):
        application.main()


def test_debug_shows_a_persons_mistake_too() -> None:
    done = mien("--debug", "models", "nobody")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ModelError" in done.stderr


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m mien recipes --json | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout == "["
    assert done.stderr == ""


def test_training_prints_its_entry_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data.write(face_batch(70), tmp_path / "faces.parquet", "parquet")
    run = tmp_path / "run"
    code, out, err = in_process(
        monkeypatch, capsys,
        "train", "c/final", "--data", str(tmp_path / "faces.parquet"), "--out", str(run), "--json",
        "--set", "train.epochs=1", "--set", "model.filters=[2]", "--set", "model.hidden=4",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out) == json.loads((run / "result.json").read_text())
    code, out, err = in_process(
        monkeypatch, capsys,
        "train", "c/final", "--data", str(tmp_path / "faces.parquet"), "--out", str(run),
    )  # fmt: skip
    assert (code, out) == (2, "")
    assert "is not empty: add --resume" in err
