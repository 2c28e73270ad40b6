"""Eval1 and Eval2 against an obvious, slow implementation: loops over pixels, one face, float64."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mien.errors import ImageError, ModelError
from mien.evaluation.calibration import Scaling, softmax
from mien.evaluation.decision import Decision, energy
from mien.evaluation.protocols import PROTOCOLS, Crops, Protocol, find
from mien.labels import EMOTIONS
from mien.models import architecture
from mien.models.multi_crop import MultiCrop, mean_logits
from mien.models.network import Classifier, Outputs
from mien.models.normalisation import ImageThenPixel, Scale

SIDE = 42


class Linear(Classifier):
    """One linear layer over a crop; it keeps every crop that it is shown."""

    def __init__(self, body_size: int = SIDE, scale: float | None = None) -> None:
        normalise = ImageThenPixel(48) if scale is None else Scale(scale)
        super().__init__(EMOTIONS, normalise=normalise, body_size=body_size)
        self.head = nn.Linear(body_size**2, len(EMOTIONS))
        nn.init.normal_(self.head.weight, std=0.05)
        self.shown: list[Tensor] = []

    def body(self, faces: Tensor) -> Outputs:
        self.shown.append(faces.clone())
        flat = faces.flatten(1)
        return Outputs(self.head(flat), flat, faces)


def pictures(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 48, 48), dtype=np.uint8)


def network(averages: str = "probabilities", **options: object) -> Linear:
    torch.manual_seed(3)
    made = Linear(**options)  # type: ignore[arg-type]
    made.averages = averages  # type: ignore[assignment]
    made.normalise.fit(pictures(20, seed=9))
    made.decide(Decision(Scaling.of_temperature(1.7, 7)))
    return made


def slow_normalised(made: Linear, picture: np.ndarray) -> np.ndarray:
    """System A's two steps on one picture, in float64."""
    values = picture.astype(np.float64)
    values = (values - values.mean()) / values.std() * 3.125
    mean, deviation = made.normalise.mean[0, 0].double(), made.normalise.deviation[0, 0].double()
    return (values - mean.numpy()) / deviation.numpy()


def slow_canvas(face: np.ndarray, size: int, degrees: float) -> np.ndarray:
    """A face rescaled to size × size, then turned anticlockwise about its centre, pixel by pixel.

    Pixel (r, c) is the square from (r, c) to (r + 1, c + 1): its centre lies half a pixel further.
    """
    side, angle = len(face), math.radians(degrees)
    canvas = np.zeros((size, size))
    for row, column in product(range(size), repeat=2):
        right, down = column + 0.5 - size / 2, row + 0.5 - size / 2
        # Turned back clockwise, where the screen's vertical axis points down.
        right, down = (
            math.cos(angle) * right - math.sin(angle) * down,
            math.sin(angle) * right + math.cos(angle) * down,
        )
        x = right * side / size + side / 2 - 0.5
        y = down * side / size + side / 2 - 0.5
        for r, c in product((math.floor(y), math.floor(y) + 1), (math.floor(x), math.floor(x) + 1)):
            if 0 <= r < side and 0 <= c < side:
                canvas[row, column] += (1 - abs(y - r)) * (1 - abs(x - c)) * face[r, c]
    return canvas


def slow_eval2(face: np.ndarray) -> list[np.ndarray]:
    crops = []
    for size in (48, 50, 52, 54):
        for step in range(-4, 5):
            canvas = slow_canvas(face, size, 11.25 * step)
            end = size - SIDE
            for top, left in product((0, end // 2, end), repeat=2):
                crops.append(canvas[top : top + SIDE, left : left + SIDE])
    return crops + [crop[:, ::-1] for crop in crops]


def slow_logits(made: Linear, crops: list[np.ndarray]) -> np.ndarray:
    weight = made.head.weight.detach().double().numpy()
    bias = made.head.bias.detach().double().numpy()
    return np.stack([weight @ crop.reshape(-1) + bias for crop in crops])


@pytest.mark.parametrize("averages", ["probabilities", "scores"])
def test_eval2_is_the_mean_over_648_crops_each_as_the_slow_implementation_cuts_it(averages: str) -> None:
    made, picture = network(averages), pictures(1)
    probabilities, logits = MultiCrop(made, find("eval2"), device="cpu")(picture)
    crops = slow_eval2(slow_normalised(made, picture[0]))
    shown = torch.cat(made.shown)
    assert shown.shape == (648, 1, SIDE, SIDE)
    assert len(crops) == 648
    for ours, slow in zip(shown[:, 0].double().numpy(), crops, strict=True):
        np.testing.assert_allclose(ours, slow, atol=1e-4)
    each = slow_logits(made, crops)
    heights = np.log(np.exp(each).sum(axis=1))
    expected = (
        each.mean(axis=0) if averages == "scores" else np.log(softmax(each).mean(axis=0)) + heights.mean()
    )
    np.testing.assert_allclose(logits[0], expected, atol=1e-4)
    np.testing.assert_allclose(probabilities, softmax(expected[None], 1.7), atol=1e-5)


def test_eval2s_crops_differ_from_each_other() -> None:
    made = network()
    MultiCrop(made, find("eval2"), device="cpu")(pictures(1))
    # Else the test above would not notice an angle or a place that stands twice.
    assert len({crop.numpy().tobytes() for crop in torch.cat(made.shown)}) == 648


def test_eval1_is_ten_plain_cuts() -> None:
    made, picture = network(), pictures(1)
    _, logits = MultiCrop(made, find("eval1"), device="cpu")(picture)
    face = made.normalise(torch.from_numpy(picture)[:, None].float())[0, 0]
    corners = [face[top : top + 42, left : left + 42] for top in (0, 6) for left in (0, 6)]
    five = [*corners, face[3:45, 3:45]]
    expected = torch.stack(five + [crop.flip(1) for crop in five])
    shown = torch.cat(made.shown)
    assert torch.equal(shown[:, 0], expected)
    each = slow_logits(made, [crop.double().numpy() for crop in expected])
    height = np.log(np.exp(each).sum(axis=1)).mean()
    np.testing.assert_allclose(logits[0], np.log(softmax(each).mean(axis=0)) + height, atol=1e-5)


def test_scores_and_probabilities_are_averaged_each_in_their_own_way() -> None:
    # One crop is sure of the first class, two lean to the second: the mean probability and the mean score
    # disagree about who wins.
    each = np.array([[[9.0, 0.0, -3.0], [0.0, 2.0, -3.0], [0.0, 2.0, -3.0]]])
    scores = mean_logits(torch.from_numpy(each), "scores").numpy()
    np.testing.assert_allclose(scores, each.mean(axis=1), rtol=1e-12)
    logs = mean_logits(torch.from_numpy(each), "probabilities").numpy()
    slow = sum(softmax(each[:, crop]) for crop in range(3)) / 3
    np.testing.assert_allclose(softmax(logs), slow, rtol=1e-12)
    heights = np.log(np.exp(each).sum(axis=2))
    np.testing.assert_allclose(np.log(np.exp(logs).sum(axis=1)), heights.mean(axis=1), rtol=1e-12)
    assert scores.argmax() == 0
    assert logs.argmax() == slow.argmax() == 1


def test_probabilities_too_small_for_a_number_have_a_logarithm() -> None:
    logs = mean_logits(torch.tensor([[[0.0, -5000.0], [0.0, -5000.0]]]), "probabilities")
    np.testing.assert_allclose(logs.numpy(), [[0.0, -5000.0]])


def test_a_face_and_its_mirror_are_read_alike() -> None:
    # Angles, places and mirrors are symmetric; so is a normalisation without a mean image.
    made, picture = network(scale=0.01), pictures(2)
    for name in ("eval1", "eval2"):
        classify = MultiCrop(made, find(name), device="cpu")
        _, logits = classify(picture)
        _, mirrored = classify(picture[:, :, ::-1].copy())
        np.testing.assert_allclose(logits, mirrored, atol=1e-5)
        assert abs(logits[0] - logits[1]).max() > 1e-2


@pytest.mark.parametrize("name", ["eval1", "eval2"])
def test_faces_in_a_batch_are_read_as_each_alone(name: str) -> None:
    made, faces = network(), pictures(300 if name == "eval1" else 6)
    classify = MultiCrop(made, find(name), device="cpu")
    together, alone = classify(faces), [classify(faces[at : at + 1]) for at in range(len(faces))]
    for position in (0, 1):
        rows = np.concatenate([each[position] for each in alone])
        np.testing.assert_allclose(together[position], rows, atol=1e-5)
    probabilities, logits = classify(faces[:0])
    assert probabilities.shape == logits.shape == (0, 7)


def test_what_was_fitted_to_single_pictures_is_applied_to_means_of_crops() -> None:
    made, faces = network(), pictures(40)
    scaling = Scaling((0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 1.7), (-1.0, -0.5, 0.0, 0.0, 0.2, 0.5, 1.0))
    made.decide(Decision(scaling, 0.3, coverage=0.8, share=0.9, limit=0.0))
    p, logits = MultiCrop(made, find("eval1"), device="cpu")(faces)
    np.testing.assert_allclose(p, scaling(logits), rtol=1e-12)
    # Means stand as high as what they are made of, so that a limit for the one means something for the other.
    alone = torch.cat([made(torch.from_numpy(faces)[:, None].float()).logits]).detach().numpy()
    assert abs(np.mean(energy(logits)) - np.mean(energy(alone))) < 0.1 * np.std(energy(alone)) + 0.1


def test_what_the_registry_holds() -> None:
    counts = {name: None if each.crops is None else len(each.crops) for name, each in PROTOCOLS.items()}
    assert counts == {"single": None, "eval1": 10, "eval2": 648}
    crops = PROTOCOLS["eval2"].crops
    assert crops is not None
    assert crops.angles == (-45, -33.75, -22.5, -11.25, 0, 11.25, 22.5, 33.75, 45)
    assert [PROTOCOLS[name].faces_at_once for name in counts] == [256, 259, 4]


def test_a_crop_larger_than_the_picture_is_refused() -> None:
    small = Protocol("small", "a face made smaller", Crops(sizes=(40, 48), angles=(0.0,), places=((0, 0),)))
    with pytest.raises(ModelError, match=r"Linear sees 42×42 pixels: small cannot cut that from faces of 40"):
        MultiCrop(network(), small, device="cpu")


def test_a_network_that_sees_whole_faces_has_eval2_and_no_eval1() -> None:
    made = network(body_size=48)
    with pytest.raises(ModelError, match=r"whole faces of 48×48: eval1 .* use --protocol single"):
        MultiCrop(made, find("eval1"), device="cpu")
    MultiCrop(made, find("eval2"), device="cpu")(pictures(1))
    assert torch.cat(made.shown).shape == (648, 1, 48, 48)


def test_what_is_wrong_is_said_in_one_line() -> None:
    with pytest.raises(ModelError, match="unknown precision 'bf16': expected 32-true or bf16-mixed"):
        MultiCrop(network(), find("eval1"), precision="bf16", device="cpu")
    with pytest.raises(ModelError, match="single shows no crops"):
        MultiCrop(network(), find("single"), device="cpu")
    with pytest.raises(ImageError, match=r"uint8 \(2, 40, 40\): expected uint8 \(N, 48, 48\)"):
        MultiCrop(network(), find("eval1"), device="cpu")(np.zeros((2, 40, 40), np.uint8))


def test_bf16_changes_the_layers_alone() -> None:
    torch.manual_seed(0)
    made = architecture("bkvgg8").build({"crop": 16})
    made.normalise.fit(pictures(20))
    exact = MultiCrop(made, find("eval1"), device="cpu")(pictures(6))[0]
    rounded = MultiCrop(made, find("eval1"), precision="bf16-mixed", device="cpu")(pictures(6))[0]
    assert 0 < abs(exact - rounded).max() < 0.02
