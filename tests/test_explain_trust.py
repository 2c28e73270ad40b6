"""Random weights, deletion and insertion, and the whole measurement with its tables and picture."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("captum")

import torch
from scipy.stats import spearmanr

from explain_network import LABELS, SIZE, images, logits, network, regions
from mien.errors import DataError
from mien.explain import emotions, measure, perturbation, randomisation
from mien.explain.methods import METHODS
from mien.labels import EMOTIONS
from mien.report.explain_averages import averages
from mien.report.explain_tables import findings, read, trust
from mien.report.explain_tables import regions as region_table
from mien.report.style import png
from synthetic import face_batch


def test_rank_correlations_are_scipys() -> None:
    rng = np.random.default_rng(0)
    maps, others = rng.random((3, 6, 6)), rng.random((3, 6, 6)).round(1)
    others[2] = 1
    found = randomisation.rank_correlations(maps, others)
    for number in range(2):
        expected = spearmanr(maps[number].ravel(), others[number].ravel()).statistic
        assert found[number] == pytest.approx(expected)
    assert found[2] == 0


def test_structural_similarity_is_scikit_images() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    rng = np.random.default_rng(1)
    maps, others = rng.normal(size=(3, 24, 24)), rng.normal(size=(3, 24, 24))
    others[1] += maps[1]
    others[2] = 7
    found = randomisation.similarities(maps, others)
    for number in range(2):
        pair = [(each - each.min()) / np.ptp(each) for each in (maps[number], others[number])]
        _, everywhere = metrics.structural_similarity(
            *pair, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, full=True
        )
        assert found[number] == pytest.approx(everywhere.mean())
    assert found[2] == 0
    assert randomisation.similarities(maps, maps) == pytest.approx(np.ones(3))


def test_layers_are_in_the_order_in_which_they_are_run() -> None:
    found = randomisation.layers(network(), images(2))
    assert [name for name, _ in found] == ["first", "second", "head"]
    assert [len(modules) for _, modules in found] == [2, 1, 1]


def test_the_cascade_goes_from_the_last_layer_to_the_first() -> None:
    net, faces = network(), images(6)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    stages = list(randomisation.cascade(net, faces, seed=4))
    assert [name for name, _, _ in stages] == ["head", "second", "first"]
    assert stages[-1][1] == 1.0
    first, last = stages[0][2], stages[-1][2]
    assert torch.equal(first.second.weight, net.second.weight)
    assert not torch.equal(first.head.weight, net.head.weight)
    for name, value in last.named_parameters():
        assert torch.equal(value.flatten().sort().values, before[name].flatten().sort().values)
    assert not torch.equal(last.first.weight, net.first.weight)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    again = list(randomisation.cascade(net, faces, seed=4))[-1][2]
    assert all(torch.equal(a, b) for a, b in zip(last.parameters(), again.parameters(), strict=True))
    seen = last.first(torch.as_tensor(faces.astype(float))[:, None] / 255)
    assert last.norm.running_mean.numpy() == pytest.approx(seen.mean(dim=(0, 2, 3)).numpy())
    assert not last.training
    assert not last.norm.training


@pytest.mark.parametrize("fill", perturbation.FILLS)
def test_curves_are_those_of_a_loop(fill: str) -> None:
    net, faces, targets = network(), images(2), np.array([1, 2])
    order = perturbation.random_order(faces, 0)
    found = perturbation.curves(net, faces, targets, order, fill)
    blocks = [(y, x) for y in range(0, SIZE, perturbation.BLOCK) for x in range(0, SIZE, perturbation.BLOCK)]
    ends = np.rint(np.linspace(0, len(blocks), perturbation.STEPS + 1)).astype(int)
    for n in range(2):
        face = faces[n].astype(np.float64)
        grey = np.full_like(face, face.mean())
        start, goal = (face, grey) if fill == "deletion" else (perturbation.blurred(faces)[n], face)
        for step, end in enumerate(ends):
            shown = start.copy()
            for block in order[n, :end]:
                y, x = blocks[block]
                part = np.s_[y : y + perturbation.BLOCK, x : x + perturbation.BLOCK]
                shown[part] = goal[part]
            scores = np.exp(logits(net, shown[None])[0])
            assert found[n, step] == pytest.approx(scores[targets[n]] / scores.sum())


def test_orders_are_permutations_by_the_mean_of_squares() -> None:
    maps = np.random.default_rng(2).random((3, SIZE, SIZE))
    maps[1] = 0
    order = perturbation.order_of(maps, 0)
    means = perturbation.block_means(maps)
    assert means[0, 1] == pytest.approx(maps[0, :4, 4:8].mean())
    assert means[0, -1] == pytest.approx(maps[0, 16:, 16:].mean())
    assert (np.sort(order, axis=1) == np.arange(25)).all()
    assert (np.diff(means[0][order[0]]) <= 0).all()
    assert (order == perturbation.order_of(maps, 0)).all()
    assert (order[1] != perturbation.order_of(maps, 1)[1]).any()
    centre = perturbation.centre_order(regions(1), 0)
    assert centre[0, 0] in {7, 12, 17}
    assert set(centre[0, -4:]) <= {0, 1, 3, 4, 5, 9, 15, 19, 20, 21, 23, 24}


def test_area_is_by_trapezia() -> None:
    line = np.linspace(1, 0, perturbation.STEPS + 1)[None]
    assert perturbation.area(line) == pytest.approx([0.5])
    assert perturbation.area(line**2) == pytest.approx(np.trapezoid(line**2, dx=1 / perturbation.STEPS))


@pytest.mark.parametrize(
    ("last", "floor", "expected"),
    [
        ([0.05, 0.01, 0.1], [0.2, 0.1, 0.3], "passes"),
        ([0.4, 0.35, 0.45], [0.2, 0.1, 0.3], "partly"),
        ([0.8, 0.7, 0.9], [0.2, 0.1, 0.3], "fails"),
        ([-0.4, -0.5, -0.3], [-0.6, -0.7, -0.5], "passes"),
        ([0.1, None, None], [0.2, 0.1, 0.3], "partly"),
    ],
)
def test_the_verdict_on_random_weights(last: list, floor: list, expected: str) -> None:
    assert measure.sanity(last, floor) == expected


@pytest.mark.slow
def test_everything_is_measured_tabled_and_drawn(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "landmarker", lambda: None)
    monkeypatch.setattr(emotions, "LEAST", 4)
    net, batch = network(), face_batch(120, size=SIZE)
    read_as = logits(net, batch.images).argmax(axis=1)
    labels = np.array([EMOTIONS.index(LABELS[number]) for number in read_as])
    labels[:5] = EMOTIONS.index("fear")  # Of no emotion that the network knows.
    batch = replace(batch, labels=labels)
    faces, about = measure.choose(net, batch, 6, seed=1)
    assert about["of"] == 115
    assert sum(about["per_emotion"].values()) == len(faces) == about["all"]
    assert max(about["per_emotion"].values()) <= 6
    assert (logits(net, faces.images).argmax(axis=1) == faces.targets).all()
    notes: list[str] = []
    found = measure.measure(net, faces, 5, 0, notes.append)
    found = json.loads(json.dumps(found, allow_nan=False))
    assert set(found["methods"]) == set(METHODS)
    assert len(notes) == 1 + 2 * len(METHODS)
    again = measure.measure(net, faces, 5, 0, notes.append)
    assert json.loads(json.dumps(again)) == found
    whole = {"command": "mien explanations measure small", "model": "small", "faces": about, **found}
    path = tmp_path / "explain-small.json"
    path.write_text(json.dumps(whole))
    held = read(path)
    assert trust(held).count("\n|") == 1 + 1 + len(METHODS) + 2
    assert "`grad_cam`" in findings(held)
    assert "| angry | " in region_table(held)
    assert png(averages(held))[:4] == b"\x89PNG"


@pytest.mark.parametrize("text", ["{}", "[]", '{"methods": {}, "blind": {}, "faces": {}}'])
def test_what_holds_no_explanations_is_refused(text: str, tmp_path) -> None:
    path = tmp_path / "explain-small.json"
    path.write_text(text)
    with pytest.raises(DataError, match="holds no explanations"):
        read(path)


def test_a_dataset_of_which_nothing_is_read_right_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    net, batch = network(), face_batch(30, size=SIZE)
    wrong = (logits(net, batch.images).argmax(axis=1) + 1) % len(LABELS)
    labels = np.array([EMOTIONS.index(LABELS[number]) for number in wrong])
    with pytest.raises(DataError, match="nothing to explain"):
        measure.choose(net, replace(batch, labels=labels), 6, seed=1)
    with pytest.raises(DataError, match="expected 18×18"):
        measure.choose(net, face_batch(7), 6, seed=1)
