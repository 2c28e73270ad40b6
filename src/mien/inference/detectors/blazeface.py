"""BlazeFace, the dense full-range model, run by OpenCV's dnn; anchors, decoding and suppression are here."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.inference.detectors.base import Detection, Framing, arrange

Floats = NDArray[np.float32]
Tile = tuple[int, int, int, int]
"""(x, y, width, height) in pixels of the picture."""

INPUT = 192
STRIDE = 4
CELLS = INPUT // STRIDE
VALUES = 16
"""A cell's box (centre x and y, width, height), then six key points (x, y), in pixels of the input."""

FINER_LOOKS = 2
TILE_OVERLAP = 0.21
FINER = 1 / (2 - TILE_OVERLAP)
"""Two tiles and their overlap span the side of the coarser look."""

SMALLEST_TILE = 256
THRESHOLD = 0.5
FINER_THRESHOLD = 0.65
"""Higher than for the whole picture, for many looks have many chances to be wrong."""
OVERLAP = 0.3


class BlazeFace:
    """Source: Bazarevsky et al. 2019, BlazeFace (anchors, tie resolution); MediaPipe's full-range model card.

    The full-range model has one anchor a cell of a 48×48 grid over its 192×192 input. It looks at the whole
    picture and then at `tiles`, so that small faces in a large picture are found too.
    score: the sigmoid of the network's own logit.
    """

    name = "blazeface"
    framing = Framing(scale=1.162, shift=-0.038)

    def __init__(self, model: Path) -> None:
        try:
            self._net = cv2.dnn.readNetFromTFLite(str(model))
        except cv2.error as error:
            raise ModelError(
                f"{model} is not the BlazeFace model: remove it and run 'mien fetch blazeface'"
            ) from error
        self._outputs = self._net.getUnconnectedOutLayersNames()
        self._lock = threading.Lock()

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces of an RGB picture (H, W, 3) uint8, ordered by `arrange`."""
        height, width = image.shape[:2]
        whole, *finer = tiles(width, height)
        parts = [self._look(image, whole, THRESHOLD)]
        parts += [self._look(image, tile, FINER_THRESHOLD) for tile in finer]
        boxes, scores = merge(
            np.concatenate([each[0] for each in parts]), np.concatenate([each[1] for each in parts])
        )
        found = [
            Detection((float(x0), float(y0), float(x1 - x0), float(y1 - y0)), float(score))
            for (x0, y0, x1, y1), score in zip(boxes, scores, strict=True)
        ]
        return arrange(found, width, height)

    def _look(self, image: NDArray[np.uint8], tile: Tile, threshold: float) -> tuple[Floats, Floats]:
        """Boxes (M, 4), corners in the picture, and scores (M,) of the faces that lie whole in a tile."""
        x, y, wide, high = tile
        pixels, scale, left, top = letterbox(image[y : y + high, x : x + wide])
        # A net holds its input and its buffers: one forward pass at a time.
        with self._lock:
            self._net.setInput(pixels)
            outputs = [np.array(output, np.float32) for output in self._net.forward(self._outputs)]
        # Told apart by their size, for OpenCV does not promise the order of the outputs.
        logits, values = sorted(outputs, key=lambda output: int(output.size))
        boxes, scores = decode(logits.reshape(CELLS**2), values.reshape(CELLS**2, VALUES), threshold)
        boxes = (boxes - np.array([left, top, left, top], np.float32)) / scale
        boxes += np.array([x, y, x, y], np.float32)
        whole = ~cut_off(boxes, tile, image.shape[1], image.shape[0])
        return boxes[whole], scores[whole]


def tiles(width: int, height: int) -> list[Tile]:
    """Where to look: the whole picture, then overlapping squares, finer twice where it has the pixels.

    The network sees faces from about a twelfth of its input's side on. What is smaller in the whole picture
    is large enough in a tile, and tiles overlap by more than the largest face that the coarser look misses.
    """
    found = [(0, 0, width, height)]
    side = float(max(width, height))
    for _ in range(FINER_LOOKS):
        side *= FINER
        if side < SMALLEST_TILE:
            break
        whole = round(side)
        found += [
            (x, y, min(whole, width), min(whole, height))
            for y in _starts(height, whole)
            for x in _starts(width, whole)
        ]
    return found


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    count = math.ceil((length - side) / (side * (1 - TILE_OVERLAP)) - 1e-2) + 1
    return [round(start) for start in np.linspace(0, length - side, count)]


def cut_off(boxes: Floats, tile: Tile, width: int, height: int) -> NDArray[np.bool_]:
    """(M,) bool: boxes over an edge of the tile that is no edge of the picture; another look has them."""
    x, y, wide, high = tile
    over = [
        (boxes[:, 0] < x) & (x > 0),
        (boxes[:, 1] < y) & (y > 0),
        (boxes[:, 2] > x + wide) & (x + wide < width),
        (boxes[:, 3] > y + high) & (y + high < height),
    ]
    return np.any(over, axis=0)


def letterbox(image: NDArray[np.uint8]) -> tuple[Floats, float, int, int]:
    """The picture centred in the network's square input, black around it, its sides in proportion.

    Shape: image (H, W, 3) uint8; returns (1, 3, 192, 192) float32 in −1…1, then the scale and the left
    and top margins in pixels of the input: x in the input = x in the picture · scale + left.
    """
    height, width = image.shape[:2]
    scale = INPUT / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (INPUT - size[0]) // 2, (INPUT - size[1]) // 2
    canvas = np.zeros((INPUT, INPUT, 3), np.float32)
    canvas[top : top + size[1], left : left + size[0]] = small
    return np.ascontiguousarray((canvas / 127.5 - 1.0).transpose(2, 0, 1)[None]), scale, left, top


def decode(logits: Floats, values: Floats, threshold: float) -> tuple[Floats, Floats]:
    """The boxes of the cells whose score reaches the threshold.

    A cell's anchor is its centre; the network gives the box's centre relative to it.
    Shape: logits (2304,), values (2304, 16), cells in rows from the top left; returns corners
    (M, 4) x0 y0 x1 y1 in pixels of the input and scores (M,) in 0…1.
    """
    scores = 1.0 / (1.0 + np.exp(-np.clip(logits, -100.0, 100.0)))
    cells = np.flatnonzero(scores >= threshold)
    anchors = np.stack([cells % CELLS, cells // CELLS], axis=1) * STRIDE + STRIDE / 2  # (M, 2) x, y
    centres = anchors + values[cells, :2]
    halves = np.maximum(values[cells, 2:4], 0.0) / 2
    boxes = np.concatenate([centres - halves, centres + halves], axis=1)
    return boxes.astype(np.float32), scores[cells].astype(np.float32)


def overlap(box: Floats, boxes: Floats) -> Floats:
    """Intersection over union of a box (4,) with several (M, 4), given by corners; 0 where both are empty."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    union = np.prod(box[2:] - box[:2]) + areas - shared
    ratio: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ratio


def merge(boxes: Floats, scores: Floats, at_least: float = OVERLAP) -> tuple[Floats, Floats]:
    """BlazeFace's tie resolution: overlapping boxes become their mean, weighted by score.

    From the best box on, all that are left and overlap it by more than `at_least` join it; the group's score
    is the best one's.
    Source: Bazarevsky et al. 2019, section 'Post-processing'.
    Shape: boxes (M, 4) corners, scores (M,); returns (K, 4) and (K,), best first.
    """
    left = np.argsort(-scores, kind="stable")
    merged, best = [], []
    while len(left):
        first = left[0]
        together = overlap(boxes[first], boxes[left]) > at_least
        together[0] = True
        group = left[together]
        weights = scores[group][:, None]
        merged.append((boxes[group] * weights).sum(axis=0) / weights.sum())
        best.append(scores[first])
        left = left[~together]
    return np.array(merged, np.float32).reshape(-1, 4), np.array(best, np.float32)
