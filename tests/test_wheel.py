"""The wheel in an empty environment: what `pip install mien` gives reads a face, with no framework."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from mien import data, storage
from synthetic import face_batch
from tiny_network import write_embedder, write_network

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = sorted(path.stem for path in (ROOT / "src" / "mien" / "weights").glob("*.onnx"))


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, cwd=cwd)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("mien-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an empty environment with the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("environment")
    python = folder / "bin" / "python"
    done = run(sys.executable, "-m", "venv", folder, cwd=folder)
    assert done.returncode == 0, done.stderr
    done = run(python, "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    assert done.returncode == 0, done.stderr
    return python


def test_everything_is_inside(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, endings in (("recipes", ["toml"]), ("results", ["json"]), ("weights", ["onnx", "json"])):
        lies = storage.packaged(folder)
        for ending in endings:
            for path in lies.rglob(f"*.{ending}"):
                assert f"mien/{folder}/{path.relative_to(lies).as_posix()}" in names
    assert any(name.startswith("mien/recipes/") for name in names)
    assert not [name for name in names if "test" in name or name.endswith(".pyc")]


def test_no_framework_comes_along(installed: Path, tmp_path: Path) -> None:
    listed = json.loads(run(installed, "-m", "pip", "list", "--format", "json", cwd=tmp_path).stdout)
    names = {package["name"].lower() for package in listed}
    assert "mien" in names
    assert not names & {"torch", "scipy", "matplotlib", "scikit-learn", "pyarrow", "onnx"}


def test_a_photograph_is_read(installed: Path, tmp_path: Path) -> None:
    if not SHIPPED:
        pytest.skip("no network is shipped yet: weights/conv_net.onnx is absent")
    from skimage.data import astronaut

    Image.fromarray(astronaut()).save(tmp_path / "astronaut.png")
    done = run(installed.parent / "mien", "predict", "astronaut.png", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (face,) = json.loads(done.stdout)
    assert face["source"] == "astronaut.png"
    assert sum(face["emotions"].values()) == pytest.approx(1, abs=1e-3)
    assert face["label"] == max(face["emotions"], key=face["emotions"].__getitem__)
    x, y, width, height = face["box"]
    # Her face, in the picture's 512 × 512 pixels.
    assert x < 225 < x + width
    assert y < 115 < y + height


def test_a_face_is_placed_on_a_map(installed: Path, tmp_path: Path) -> None:
    model = write_embedder(tmp_path / "tiny.onnx")
    Image.fromarray(face_batch(1).images[0]).save(tmp_path / "face.png")
    asked = ("embed", "face.png", "--crop", "--model", model, "--json")
    done = run(installed, "-m", "mien", *asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (face,) = json.loads(done.stdout)
    assert len(face["point"]) == 2


def test_the_networks_are_there(installed: Path, tmp_path: Path) -> None:
    done = run(installed, "-m", "mien", "models", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [network["name"] for network in json.loads(done.stdout)] == SHIPPED


@pytest.mark.parametrize(
    ("extra", "arguments"),
    [
        ("train", ("train", "c/final", "--data", "faces.parquet", "--out", "run")),
        ("train", ("search", "c/search", "--data", "faces.parquet", "--out", "run")),
        ("analysis", ("recipes",)),
        ("analysis", ("reproduce", "C/results")),
        ("analysis", ("circumplex", "votes.parquet")),
        ("train", ("bench",)),
    ],
)
def test_commands_say_what_is_missing(
    extra: str, arguments: tuple[str, ...], installed: Path, tmp_path: Path
) -> None:
    done = run(installed, "-m", "mien", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("\n") == 1
    assert f"pip install 'mien[{extra}]'" in done.stderr
    assert not list(tmp_path.iterdir())


def test_evaluation_says_what_is_missing(installed: Path, tmp_path: Path) -> None:
    model = write_network(tmp_path / "tiny.onnx")
    data.write(face_batch(14), tmp_path / "faces.parquet", "parquet")
    done = run(
        installed,
        "-m",
        "mien",
        "evaluate",
        model,
        "--data",
        "faces.parquet",
        "--split",
        "public",
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("\n") == 1
    assert "pip install 'mien[analysis]'" in done.stderr
