"""The contrastive loss and its task, against loops over pairs in float64."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mien import data
from mien.errors import DataError, RecipeError
from mien.faces import FaceBatch
from mien.labels import EMOTIONS
from mien.losses import all_pairs, contrastive, pairs_of
from mien.models import architecture
from mien.training import checkpoint
from mien.training.loop import Loop
from mien.training.recipe import NamedSection, TrainSection
from mien.training.tasks import contrastive as task_module
from mien.training.tasks.contrastive import Contrastive, ContrastiveOptions, snapshot
from mien.training.tasks.registry import Materials
from mien.transforms import Augmentation, even, stratified
from synthetic import face_batch

TINY = {"filters": (8, 16), "convolutions": 1, "hidden": (32, 16), "dropout": 0.0}


def pair_loss(distance: float, differs: bool, margin: float) -> float:
    """Hadsell, Chopra & LeCun's loss on one pair."""
    return max(0.0, margin - distance) ** 2 / 2 if differs else distance**2 / 2


def by_pairs(places: np.ndarray, labels: np.ndarray, margin: float) -> tuple[float, np.ndarray]:
    """Mean loss over all pairs and its gradient, derived by hand: pair by pair in float64."""
    total, gradient = 0.0, np.zeros_like(places)
    pairs = list(combinations(range(len(places)), 2))
    for i, j in pairs:
        apart = places[i] - places[j]
        distance = float(np.sqrt((apart**2).sum()))
        differs = labels[i] != labels[j]
        total += pair_loss(distance, differs, margin)
        pull = apart if not differs else -max(0.0, margin - distance) * apart / distance
        gradient[i] += pull
        gradient[j] -= pull
    return total / len(pairs), gradient / len(pairs)


def made_up(n: int, seed: int, dimensions: int = 2) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(0, 0.6, (n, dimensions))), torch.from_numpy(rng.integers(0, 4, n))


@pytest.mark.parametrize(
    ("n", "dimensions", "margin"), [(2, 2, 1.0), (3, 1, 0.5), (30, 2, 1.0), (25, 5, 2.0)]
)
def test_all_pairs_equal_the_loop_over_pairs(n: int, dimensions: int, margin: float) -> None:
    places, labels = made_up(n, 3, dimensions)
    places.requires_grad_()
    value = all_pairs(places, labels, margin=margin)
    value.backward()
    expected, gradient = by_pairs(places.detach().numpy(), labels.numpy(), margin)
    assert abs(value.item() - expected) < 1e-10
    assert places.grad is not None
    np.testing.assert_allclose(places.grad.numpy(), gradient, rtol=0, atol=1e-10)


def test_weights_learn_as_from_two_passes_a_pair() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(48, 2)).double()
    faces = torch.randn(12, 1, 6, 6, dtype=torch.float64)
    labels = torch.arange(12) % 4
    all_pairs(network(faces), labels).backward()
    found = [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]

    network.zero_grad()
    pairs = list(combinations(range(12), 2))
    for i, j in pairs:
        distance = (network(faces[i : i + 1]) - network(faces[j : j + 1])).square().sum().sqrt()
        alike = distance.square() / 2
        unlike = (1 - distance).clamp_min(0).square() / 2
        ((alike if labels[i] == labels[j] else unlike) / len(pairs)).backward()
    expected = [parameter.grad for parameter in network.parameters()]
    assert len(found) == len(expected) == 4
    for mine, theirs in zip(found, expected, strict=True):
        assert theirs is not None
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-10)
    # The last bias moves the whole map and no distance; the others learn.
    assert [bool(mine.abs().max() > 1e-3) for mine in found] == [True, True, True, False]


def test_the_loss_by_hand() -> None:
    # Like faces 0.6 apart, unlike ones at 0.6, at the margin and beyond it.
    distance = torch.tensor([0.6, 0.6, 1.0, 2.0], dtype=torch.float64)
    differs = torch.tensor([False, True, True, True])
    assert contrastive(distance, differs).item() == pytest.approx((0.18 + 0.08 + 0 + 0) / 4, abs=1e-15)
    # Eq. 1 as printed, with the half inside the square, would give 0.04 for the second pair.
    assert contrastive(distance[1:2], differs[1:2]).item() == pytest.approx(0.08, abs=1e-15)
    assert contrastive(distance[3:], differs[3:], margin=3).item() == pytest.approx(0.5)


def test_gradients_by_differences() -> None:
    places, labels = made_up(7, 5)
    kept = torch.arange(21) % 3 != 0
    assert torch.autograd.gradcheck(lambda x: all_pairs(x, labels), places.requires_grad_())
    assert torch.autograd.gradcheck(lambda x: all_pairs(x, labels, kept=kept), places)


@pytest.mark.parametrize("labels", [[0, 0, 1], [0, 1, 2]])
def test_faces_at_one_place_have_finite_gradients(labels: list[int]) -> None:
    places = torch.tensor([[0.2, 0.1], [0.2, 0.1], [0.2, 0.1]], requires_grad=True)
    value = all_pairs(places, torch.tensor(labels))
    value.backward()
    assert value.item() == pytest.approx(
        sum(0.5 for i, j in ((0, 1), (0, 2), (1, 2)) if labels[i] != labels[j]) / 3
    )
    assert places.grad is not None
    assert torch.equal(places.grad, torch.zeros(3, 2))


def test_kept_pairs_alone_count() -> None:
    places, labels = made_up(6, 8)
    kept = torch.zeros(15, dtype=torch.bool)
    kept[[2, 7]] = True
    pairs = pairs_of(6).T[kept].tolist()
    assert pairs == [[0, 3], [1, 4]]
    expected = np.mean(
        [
            pair_loss(float((places[i] - places[j]).norm()), bool(labels[i] != labels[j]), 1.0)
            for i, j in pairs
        ]
    )
    assert all_pairs(places, labels, kept=kept).item() == pytest.approx(expected, abs=1e-14)


def test_pairs_come_in_the_order_of_their_distances() -> None:
    places, _ = made_up(9, 1)
    first, second = pairs_of(9)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == list(combinations(range(9), 2))
    torch.testing.assert_close(nn.functional.pdist(places), (places[first] - places[second]).norm(dim=1))


def test_wrong_shapes_and_margins() -> None:
    distance, differs = torch.ones(3), torch.ones(3, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"distance \(3,\) and differs \(2,\): expected both \(P,\)"):
        contrastive(distance, differs[:2])
    with pytest.raises(ValueError, match="P ≥ 1"):
        contrastive(distance[:0], differs[:0])
    with pytest.raises(ValueError, match=r"expected both \(P,\)"):
        contrastive(distance[None], differs[None])
    for margin in (0.0, -1.0):
        with pytest.raises(ValueError, match=f"margin {margin}: expected a positive number"):
            contrastive(distance, differs, margin=margin)
    with pytest.raises(ValueError, match="1 faces: expected at least two"):
        all_pairs(torch.zeros(1, 2), torch.zeros(1))
    with pytest.raises(ValueError, match="P ≥ 1"):
        all_pairs(torch.zeros(2, 2), torch.zeros(2), kept=torch.zeros(1, dtype=torch.bool))


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=7),
    seed=st.integers(0, 2**31),
    epoch=st.integers(0, 1000),
    batch=st.integers(1, 64),
)
def test_any_run_of_faces_has_each_label_in_proportion(
    counts: list[int], seed: int, epoch: int, batch: int
) -> None:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    n = len(labels)
    order = stratified(seed, epoch, labels)
    assert sorted(order.tolist()) == list(range(n))
    batch = min(batch, n)
    # The runs of a label's faces lie evenly: between two places at a distance w there are n_l·w of them, less
    # than one more or fewer. Summed over L labels, a run of B faces spans B/n, less than L/n more or less.
    for start in range(n - batch + 1):
        found = torch.bincount(labels[order[start : start + batch]], minlength=len(counts))
        for label, count in enumerate(counts):
            away = abs(float(found[label]) - batch * count / n)
            assert away < 1 + len(counts) * count / n


def test_equally_many_faces_a_label_are_never_two_away() -> None:
    labels = torch.arange(600) % 6
    order = stratified(0, 3, labels)
    for start in range(600 - 32 + 1):
        found = torch.bincount(labels[order[start : start + 32]], minlength=6)
        assert (found - 32 / 6).abs().max() < 2
    # What it is for: a plain shuffle is further away.
    plain = torch.randperm(600, generator=torch.Generator().manual_seed(0))
    shuffled = [torch.bincount(labels[part], minlength=6) for part in plain.split(32)]
    assert (
        max(
            float((found - len(part) / 6).abs().max())
            for found, part in zip(shuffled, plain.split(32), strict=True)
        )
        > 2
    )


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=7),
    seed=st.integers(0, 2**31),
    epoch=st.integers(0, 1000),
    batch=st.integers(1, 64),
)
def test_even_orders_have_every_label_equally_often(
    counts: list[int], seed: int, epoch: int, batch: int
) -> None:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    n = len(labels)
    order = even(seed, epoch, labels)
    assert order.shape == (n,)
    found = torch.bincount(labels[order], minlength=len(counts))
    assert int(found.max() - found.min()) <= 1
    # A rare label's faces come again, none twice more often than another.
    for label, count in enumerate(counts):
        times = torch.bincount(order, minlength=n)[labels == label]
        assert int(times.sum()) == int(found[label])
        assert int(times.max()) == -(-int(found[label]) // count)
        assert int(times.min()) == int(found[label]) // count
    batch = min(batch, n)
    for start in range(n - batch + 1):
        seen = torch.bincount(labels[order[start : start + batch]], minlength=len(counts))
        assert (seen - batch * found / n).abs().max() < 1 + len(counts) * float(found.max()) / n


@pytest.mark.parametrize("make", [stratified, even])
def test_the_order_is_keyed_by_seed_and_epoch_alone(make: Callable[[int, int, Tensor], Tensor]) -> None:
    labels = torch.arange(70) % 7
    order = make(1, 2, labels)
    torch.rand(5)
    assert torch.equal(make(1, 2, labels), order)
    assert not torch.equal(make(1, 3, labels), order)
    assert not torch.equal(make(2, 2, labels), order)
    # Within a label, too, the order changes from epoch to epoch.
    of_one = [[row for row in make(1, epoch, labels).tolist() if row % 7 == 0] for epoch in (2, 3)]
    assert of_one[0] != of_one[1]


def make_task(run: Path, faces: FaceBatch | None = None, seed: int = 0, **options: object) -> Contrastive:
    faces = face_batch(210) if faces is None else faces
    torch.manual_seed(seed)
    network = architecture("siamese_conv").build(TINY)
    train, validation = faces.select(faces.splits == 0), faces.select(faces.splits == 1)
    network.normalise.fit(train.images)
    materials = Materials(network, train, validation, Augmentation(), seed, run)  # type: ignore[arg-type]
    return Contrastive(ContrastiveOptions.model_validate(options), materials)


@pytest.mark.parametrize(("split", "name"), [(0, "training"), (1, "validation")])
def test_an_emotion_without_a_pair_is_refused(split: int, name: str, tmp_path: Path) -> None:
    faces = face_batch(70)
    sad = np.flatnonzero((faces.labels == EMOTIONS.index("sad")) & (faces.splits == split))
    fewer = faces.select(np.setdiff1d(np.arange(len(faces)), sad[1:]))
    with pytest.raises(DataError, match=f"1 {name} faces of sad: expected at least 2"):
        make_task(tmp_path, fewer)


def train_section(**changes: object) -> TrainSection:
    values: dict[str, object] = {
        "epochs": 8, "batch_size": 35, "lr": 0.1, "channels_last": False,
        "optimiser": NamedSection.model_validate({"name": "sgd", "momentum": 0.9}),
        "select": "validation_loss", "select_mode": "min", **changes,
    }  # fmt: skip
    return TrainSection.model_validate(values)


def test_a_step_is_the_loss_over_all_pairs_of_its_faces(tmp_path: Path) -> None:
    task = make_task(tmp_path)
    task.network.eval()
    rows = torch.tensor([3, 100, 17, 44, 9, 58])
    value, _ = task.loss(task.network, rows, epoch=0)
    with torch.no_grad():
        places = task.network(task.images[rows].float()).embedding
    expected, _ = by_pairs(places.double().numpy(), task.labels[rows].numpy(), 1.0)
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_validation_equals_the_loop_over_all_pairs_of_the_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(tmp_path, margin=0.7)
    found = task.validate(task.network)
    with torch.no_grad():
        places = task.network.eval()(task.validation_images.float()).embedding.double().numpy()
    labels = task.validation_labels.numpy()
    expected, _ = by_pairs(places, labels, 0.7)
    distances = np.sqrt(((places[:, None] - places) ** 2).sum(-1))
    np.fill_diagonal(distances, np.inf)
    alike = np.mean(labels[distances.argmin(1)] == labels)
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    assert found["nearest_alike"] == pytest.approx(alike, abs=1e-12)
    monkeypatch.setattr(task_module, "_PAIRS_AT_ONCE", 3 * len(labels))
    in_blocks = task.validate(task.network)
    assert in_blocks == pytest.approx(found, rel=1e-6)


def test_validation_with_even_batches_weighs_emotions_equally(tmp_path: Path) -> None:
    faces = face_batch(210)
    # Of the validation faces of one emotion two are left.
    rare = np.flatnonzero((faces.splits == 1) & (faces.labels == 2))[2:]
    faces = faces.select(~np.isin(np.arange(len(faces)), rare))
    task = make_task(tmp_path, faces, batches="even")
    found = task.validate(task.network)
    with torch.no_grad():
        places = task.network.eval()(task.validation_images.float()).embedding.double()
    labels = task.validation_labels.tolist()
    counts = Counter(labels)
    assert sorted(counts.values())[:2] == [2, 10]
    total = weight = 0.0
    for i, j in combinations(range(len(labels)), 2):
        share = 1 / (counts[labels[i]] * counts[labels[j]])
        total += share * pair_loss(float((places[i] - places[j]).norm()), labels[i] != labels[j], 1.0)
        weight += share
    assert found["loss"] == pytest.approx(total / weight, rel=1e-5)
    assert found["loss"] != pytest.approx(by_pairs(places.numpy(), np.array(labels), 1.0)[0], rel=1e-3)


def test_validation_with_balanced_pairs_weighs_them_as_training_does(tmp_path: Path) -> None:
    task = make_task(tmp_path, pairs="balanced")
    found = task.validate(task.network)
    with torch.no_grad():
        places = task.network.eval()(task.validation_images.float()).embedding.double()
    labels = task.validation_labels.tolist()
    counts = Counter(task.labels.tolist()).values()
    alike = sum(n * (n - 1) for n in counts)
    share = alike / (sum(counts) * (sum(counts) - 1) - alike)
    total = weight = 0.0
    for i, j in combinations(range(len(labels)), 2):
        counted = share if labels[i] != labels[j] else 1.0
        total += counted * pair_loss(float((places[i] - places[j]).norm()), labels[i] != labels[j], 1.0)
        weight += counted
    assert found["loss"] == pytest.approx(total / weight, rel=1e-5)


@pytest.mark.parametrize(("options", "batch"), [({}, 139), ({"pairs": "balanced"}, 2)])
def test_an_epoch_may_end_without_a_pair(options: dict[str, object], batch: int, tmp_path: Path) -> None:
    task = make_task(tmp_path, **options)
    assert task.size == 140
    state = Loop(task, train_section(epochs=1, batch_size=batch, lr=1e-3), tmp_path, "x").fit()
    assert np.isfinite(state.history[0]["train_loss"])
    value, _ = task.loss(task.network, torch.tensor([5]), epoch=0)
    assert value.item() == 0
    value.backward()


def test_the_balanced_pairs_are_the_same_in_whatever_batch(tmp_path: Path) -> None:
    task = make_task(tmp_path, pairs="balanced")
    n = task.size
    whole = torch.zeros(n, n, dtype=torch.bool)
    first, second = pairs_of(n)
    whole[first, second] = whole[second, first] = task.kept(torch.arange(n))
    generator = torch.Generator().manual_seed(3)
    for size in (2, 9, 40):
        rows = torch.randperm(n, generator=generator)[:size]
        first, second = rows[pairs_of(size)]
        assert torch.equal(task.kept(rows), whole[first, second])
    other = make_task(tmp_path, seed=1, pairs="balanced")
    assert not torch.equal(task.kept(torch.arange(n)), other.kept(torch.arange(n)))


def test_the_balanced_pairs_are_all_like_ones_and_as_many_unlike(tmp_path: Path) -> None:
    task = make_task(tmp_path, face_batch(420), pairs="balanced")
    first, second = pairs_of(task.size)
    kept = task.kept(torch.arange(task.size))
    like = task.labels[first] == task.labels[second]
    assert kept[like].all()
    # 280 faces, 40 a class: 7·780 like pairs, and as many of the 33,600 unlike ones, within four deviations.
    alike, unlike = 7 * 780, 39_060 - 7 * 780
    assert (int(like.sum()), int((~like).sum())) == (alike, unlike)
    share = alike / unlike
    assert abs(int(kept[~like].sum()) - alike) < 4 * (unlike * share * (1 - share)) ** 0.5
    # No two classes are favoured, nor early faces over late ones.
    drawn = Counter(
        tuple(sorted(pair)) for pair in task.labels[torch.stack([first, second])[:, kept & ~like]].T.tolist()
    )
    assert len(drawn) == 21
    each = 1600 * share
    assert all(abs(count - each) < 4.5 * (each * (1 - share)) ** 0.5 for count in drawn.values())
    early = kept[~like & (first < 80)].double().mean().item()
    late = kept[~like & (first >= 80)].double().mean().item()
    assert abs(early - late) < 0.02


def test_a_balanced_step_is_the_loss_over_the_pairs_in_the_set(tmp_path: Path) -> None:
    task = make_task(tmp_path, pairs="balanced")
    task.network.eval()
    rows = torch.arange(0, 60)
    value, _ = task.loss(task.network, rows, epoch=0)
    with torch.no_grad():
        places = task.network(task.images[rows].float()).embedding.double()
    kept = task.kept(rows)
    assert 0 < int(kept.sum()) < len(kept)
    losses = [
        pair_loss(
            float((places[i] - places[j]).norm()), bool(task.labels[rows[i]] != task.labels[rows[j]]), 1.0
        )
        for i, j in pairs_of(60).T[kept].tolist()
    ]
    assert value.item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_parts_of_a_batch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"train.accumulate 2: the loss is on all pairs of a batch"
    ) as caught:
        Loop(make_task(tmp_path), train_section(accumulate=2), tmp_path, "x")
    assert "\n" not in str(caught.value)


def test_training_parts_the_classes_and_keeps_maps(tmp_path: Path) -> None:
    task = make_task(tmp_path, snapshots=[0, 3, 8], snapshot_faces=5)
    before = task.validate(task.network)
    state = Loop(task, train_section(), tmp_path, "x").fit()
    after = task.validate(task.network)
    assert state.epoch == 8
    # A seventh of the nearest faces are alike by chance.
    assert before["nearest_alike"] < 0.6
    assert after["nearest_alike"] > 0.9
    assert after["loss"] < 0.5 * before["loss"]

    kept = sorted(path.name for path in (tmp_path / "maps").iterdir())
    assert kept == ["epoch-00000.json", "epoch-00003.json", "epoch-00008.json"]
    first, last = (json.loads(snapshot(tmp_path, epoch).read_text()) for epoch in (0, 8))
    assert (first["epoch"], first["split"]) == (0, "training")
    assert Counter(first["labels"]) == dict.fromkeys(EMOTIONS, 5)
    assert first["labels"] == last["labels"]
    assert np.array(first["points"]).shape == (35, 2)
    assert first["points"] != last["points"]


def command(dataset: Path, run: Path, *extra: str) -> list[str]:
    chosen = (
        "train.epochs=3", "train.batch_size=16", "train.checkpoint_s=0.02", "train.precision=32-true",
        "frozen.epochs=2", "train.lr=0.005", "model.dropout=0.3", "model.hidden=[64,16]",
        "task.snapshots=[0,2]", "task.pairs=balanced",
    )  # fmt: skip
    sets = [part for override in chosen for part in ("--set", override)]
    return [
        sys.executable, "-m", "mien", "train", "d/fer2013",
        "--data", str(dataset), "--out", str(run), *sets, *extra,
    ]  # fmt: skip


def outcome(run: Path) -> dict[str, bytes]:
    """What a finished run learned and drew, byte by byte."""
    found = {}
    for path in (run / "best.safetensors", run / "checkpoints" / "last.safetensors"):
        tensors, _ = checkpoint.load(path)
        found |= {f"{path.name}:{name}": tensor.numpy().tobytes() for name, tensor in tensors.items()}
    maps = sorted(run.rglob("epoch-*.json"))
    assert maps
    return found | {str(path.relative_to(run)): path.read_bytes() for path in maps}


def kill_after(process: subprocess.Popen[bytes], last: Path, writes: int) -> None:
    """Sends -9 once the file has been replaced `writes` times."""
    seen: set[int] = set()
    while process.poll() is None and len(seen) < writes:
        if last.exists():
            seen.add(last.stat().st_mtime_ns)
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_killed_in_either_stage_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    dataset = tmp_path / "faces.parquet"
    data.write(face_batch(420), dataset, "parquet")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(dataset, whole), check=True, env=environment, capture_output=True)
    for last, writes in (("frozen/checkpoints", 2), ("checkpoints", 2)):
        process = subprocess.Popen(
            command(dataset, broken, "--resume"),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        kill_after(process, broken / last / "last.safetensors", writes)
        assert process.returncode == -signal.SIGKILL
        assert not (broken / "result.json").exists()
    done = subprocess.run(
        command(dataset, broken, "--resume"), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert outcome(broken) == outcome(whole)
    assert (broken / "model.onnx").read_bytes() == (whole / "model.onnx").read_bytes()
