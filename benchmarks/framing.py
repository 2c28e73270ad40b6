"""How well the crops that detectors give match FER-2013's own, and what that costs in accuracy.

A FER-2013 face is enlarged and laid on a larger canvas (its border repeated outward), a detector looks for
it there, and the box that it gives is compared with the square where the face lies.

    python benchmarks/framing.py fit --data fer2013-training.parquet
    python benchmarks/framing.py accuracy --data fer2013-public.parquet --out framing.json

`fit` measures each detector's framing constants (`Framing.scale` and `Framing.shift`, medians over Training
faces). `accuracy` reads PublicTest faces as given, through each detector, and, where it finds none, not at
all: `accuracy_on_found` compares with `as_given_on_found`, the same faces without the detour.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from mien import ledger, storage
from mien.data import read
from mien.faces import FaceBatch
from mien.inference.detectors import Detection, Detector, Framing, available, make_detector
from mien.inference.framing import Square, cut, square_of
from mien.inference.lookup import DEFAULT_MODEL
from mien.inference.predictor import Predictor

SIZES = (144, 192, 240, 288)
"""Sides, in pixels, to which faces are enlarged; each face takes one of them in turn."""

MARGIN = 40
"""Pixels of canvas on each side, before the enlargement, of a 48-pixel face."""


class Placed(NamedTuple):
    """A face on its canvas (H, W, 3) uint8, and the square where it lies."""

    canvas: np.ndarray
    truth: Square


def place(face: np.ndarray, side: int) -> Placed:
    """A grey face (48, 48) enlarged to `side` pixels on a canvas that repeats its border outward."""
    enlarged = side / face.shape[0]
    padded = np.pad(face, MARGIN, mode="edge")
    grey = cv2.resize(padded, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC)
    return Placed(np.repeat(grey[:, :, None], 3, axis=2), (MARGIN * enlarged, MARGIN * enlarged, float(side)))


def placed_faces(batch: FaceBatch) -> Iterator[Placed]:
    """Every face of the batch on its canvas."""
    for number, face in enumerate(batch.images):
        yield place(face, SIZES[number % len(SIZES)])


def overlap(a: Square, b: Square) -> float:
    """Intersection over union of two squares."""
    shared = math.prod(max(0.0, min(a[i] + a[2], b[i] + b[2]) - max(a[i], b[i])) for i in (0, 1))
    return shared / (a[2] ** 2 + b[2] ** 2 - shared)


def the_face(found: list[Detection], truth: Square) -> Detection | None:
    """The detection on the face: the best overlap of those whose middle lies near the face's middle."""
    middle = truth[0] + truth[2] / 2, truth[1] + truth[2] / 2

    def near(each: Detection) -> bool:
        x, y, width, height = each.box
        away = max(abs(x + width / 2 - middle[0]), abs(y + height / 2 - middle[1]))
        return away < truth[2] / 3 and 0.5 < truth[2] / math.sqrt(width * height) < 2

    plain = Framing(1.0, 0.0)
    return max(filter(near, found), key=lambda each: overlap(square_of(each.box, plain), truth), default=None)


def fit(detector: Detector, batch: FaceBatch) -> dict[str, Any]:
    """The framing constants that the faces found ask for, and how well they then match."""
    scales, shifts, sideways, pairs = [], [], [], []
    for canvas, truth in placed_faces(batch):
        found = the_face(detector.detect(canvas), truth)
        if found is None:
            continue
        x, y, width, height = found.box
        size = math.sqrt(width * height)
        scales.append(truth[2] / size)
        shifts.append((truth[1] + truth[2] / 2 - y - height / 2) / size)
        sideways.append((truth[0] + truth[2] / 2 - x - width / 2) / size)
        pairs.append((found.box, truth))
    framing = Framing(float(np.median(scales)), float(np.median(shifts)))
    matches = {
        name: float(np.mean([overlap(square_of(box, each), truth) for box, truth in pairs]))
        for name, each in (("plain", Framing(1.0, 0.0)), ("shipped", detector.framing), ("fitted", framing))
    }
    return {
        "faces": len(batch),
        "found": len(pairs) / len(batch),
        "scale": framing.scale,
        "scale_p10_p90": np.percentile(scales, [10, 90]).tolist(),
        "shift": framing.shift,
        "shift_p10_p90": np.percentile(shifts, [10, 90]).tolist(),
        "sideways": float(np.median(sideways)),
        "iou": matches,
    }


def accuracy(detector: Detector, batch: FaceBatch, predictor: Predictor, given: np.ndarray) -> dict[str, Any]:
    """Accuracy through the detector beside accuracy as given, (N,) bool which faces are read rightly so."""
    size = predictor.card.input_size
    crops, found, false_alarms, seconds = [], np.zeros(len(batch), bool), 0, 0.0
    for number, (canvas, truth) in enumerate(placed_faces(batch)):
        begun = time.perf_counter()
        detections = detector.detect(canvas)
        seconds += time.perf_counter() - begun
        face = the_face(detections, truth)
        false_alarms += len(detections) - (face is not None)
        if face is not None:
            found[number] = True
            crops.append(cut(canvas, square_of(face.box, detector.framing), size))
    read_as = predictor.classify(np.array(crops, np.uint8).reshape(-1, size, size)).probabilities.argmax(
        axis=1
    )
    right = read_as == batch.labels[found]
    return {
        "found": float(found.mean()),
        "false_alarms": false_alarms,
        "accuracy_on_found": float(right.mean()),
        "as_given_on_found": float(given[found].mean()),
        "accuracy_of_all": float(right.sum() / len(batch)),
        "ms_a_picture": 1000 * seconds / len(batch),
    }


def main() -> None:
    """Runs what the command line asks for and prints it as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("fit", "accuracy"))
    parser.add_argument("--data", type=Path, required=True, help="FER-2013 in any form that mien reads")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="network, for accuracy")
    parser.add_argument("--detector", action="append", help="by default every one that is there")
    parser.add_argument("--faces", type=int, help="a random subset of that many faces")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    batch = read(arguments.data).split("training" if arguments.what == "fit" else "public")
    if arguments.faces and arguments.faces < len(batch):
        chosen = np.random.default_rng(arguments.seed).choice(len(batch), arguments.faces, replace=False)
        batch = batch.select(np.sort(chosen))
    detectors = [make_detector(name) for name in arguments.detector or available()]
    figures: dict[str, Any] = {"what": arguments.what, "faces": len(batch), "seed": arguments.seed}
    figures |= ledger.made_by()
    figures["canvas"] = {"sizes": SIZES, "margin_of_48": MARGIN, "border": "repeated"}
    if arguments.what == "fit":
        figures["detectors"] = {each.name: fit(each, batch) for each in detectors}
    else:
        predictor = Predictor(arguments.model)
        given = predictor.classify(batch.images).probabilities.argmax(axis=1) == batch.labels
        figures["model"] = predictor.card.name
        figures["as_given"] = float(given.mean())
        figures["detectors"] = {each.name: accuracy(each, batch, predictor, given) for each in detectors}
    print(json.dumps(figures, indent=2))
    if arguments.out:
        storage.write_json(arguments.out, figures)


if __name__ == "__main__":
    main()
