"""Teachers: several are averaged, and one that sees what is shown judges exactly that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mien.errors import DataError, ModelError, RecipeError
from mien.losses import distillation
from mien.models import Network, architecture
from mien.models.onnx_file import export
from mien.training.tasks.registry import Materials, task_kind
from mien.training.teachers import Teachers, stored_probabilities
from mien.transforms import Augmentation
from synthetic import face_batch

LABELS = tuple(architecture("conv_net").build().labels)


def small(seed: int, name: str = "conv_net", **options: object) -> Network:
    torch.manual_seed(seed)
    given = {"filters": [4, 4], "hidden": 5, **options} if name == "conv_net" else options
    network = architecture(name).build(given).eval()
    network.normalise.fit(face_batch(30).images)
    return network


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("teachers")
    paths = [folder / f"{seed}.onnx" for seed in (1, 2)]
    for seed, path in zip((1, 2), paths, strict=True):
        export(small(seed), path, name="t")
    return paths


def mean_of(paths: list[Path], normalised: torch.Tensor) -> torch.Tensor:
    told = [small(seed).body(normalised).logits.double().softmax(1) for seed in range(1, len(paths) + 1)]
    return torch.stack(told).mean(0)


def test_teachers_that_see_what_is_shown(exported: list[Path], tmp_path: Path) -> None:
    network = small(3)
    teachers = Teachers([str(path) for path in exported], network, tmp_path, "32-true")
    shown = torch.randn(6, 1, 48, 48)
    found = teachers.probabilities(shown)
    torch.testing.assert_close(found.double(), mean_of(exported, shown).detach(), rtol=1e-4, atol=1e-6)
    # What a resumed run learns from stays in its folder, whatever becomes of the first files.
    again = Teachers(["gone.onnx", "gone.onnx"], network, tmp_path, "32-true")
    assert torch.equal(again.probabilities(shown), found)


def test_the_loss_is_equation_1_on_the_augmented_faces(exported: list[Path], tmp_path: Path) -> None:
    kind = task_kind("distillation")
    options = kind.validated({"teacher": [str(path) for path in exported], "sees": "same", "alpha": 0.3})
    faces = face_batch(30)
    augmentation = Augmentation(mirror=0.5, rotate=10, erase=0.5)
    network = small(3)
    task = kind.build(options, Materials(network, faces, faces, augmentation, 0, tmp_path))
    rows = torch.arange(9)
    loss, _ = task.loss(network, rows, 2)
    shown = augmentation(
        network.normalise(torch.from_numpy(faces.images[:9])[:, None].float()), size=48, seed=0, epoch=2,
        rows=rows,
    )  # fmt: skip
    logits = network.body(shown).logits.double()
    expected = distillation(logits, torch.from_numpy(faces.labels[:9]), mean_of(exported, shown), alpha=0.3)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
    # The network that is saved has no part of it.
    assert not isinstance(task.teacher, nn.Module)


def test_stored_probabilities_are_the_teachers_mean(exported: list[Path], tmp_path: Path) -> None:
    faces = face_batch(30)
    named = [str(path) for path in exported]
    found = stored_probabilities(named, faces, LABELS, tmp_path)
    normalised = small(1).normalise(torch.from_numpy(faces.images)[:, None].float())
    np.testing.assert_allclose(found, mean_of(exported, normalised).detach(), atol=1e-5)
    assert np.array_equal(stored_probabilities(["gone"], faces, LABELS, tmp_path), found)
    with pytest.raises(DataError, match=r"expected \(20, 7\)"):
        stored_probabilities(named, faces.select(np.arange(30) < 20), LABELS, tmp_path)


@pytest.mark.parametrize(
    "network",
    [small(4, "bkvgg8"), small(4, "residual_net", normalisation="each_picture")],
    ids=["crop", "normal"],
)
def test_a_teacher_of_other_faces_cannot_see_the_same(
    network: Network, exported: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=r"task\.sees to 'face'"):
        Teachers([str(exported[0])], network, tmp_path, "32-true")
    assert not list(tmp_path.iterdir())


def test_no_teacher_is_kept_where_one_of_them_is_refused(exported: list[Path], tmp_path: Path) -> None:
    (tmp_path / "told.npy").write_bytes(b"")
    with pytest.raises(ModelError, match=r"told\.npy is no network"):
        Teachers([str(exported[0]), str(tmp_path / "told.npy")], small(3), tmp_path / "run", "32-true")
    assert not (tmp_path / "run").exists()


def test_a_missing_teacher_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no finished run"):
        Teachers(["recipe:mien/m"], small(3), tmp_path / "run", "32-true")
