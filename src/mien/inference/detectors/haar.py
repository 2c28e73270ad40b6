"""Viola and Jones's cascade as OpenCV ships it: no file to bring, upright frontal faces only."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import cv2.data
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.inference.detectors.base import Detection, Framing, arrange

CASCADE = "haarcascade_frontalface_alt2.xml"
SCALE_STEP = 1.1
NEIGHBOURS = 3
SMALLEST = 24
"""Smallest face looked for, in pixels of the picture as searched."""

LONGEST = 1024
"""Pictures with a longer side are searched at this size: the time grows with the pixels."""


class Haar:
    """Source: Viola & Jones 2001; Lienhart & Maydt 2002; the tree-based cascade in OpenCV's own files.

    score: n / (n + NEIGHBOURS) for a face that n windows agree on, so 0.5 at the least; no probability.
    """

    name = "haar"
    framing = Framing(scale=1.036, shift=0.006)

    def __init__(self) -> None:
        path = Path(cv2.data.haarcascades) / CASCADE
        self._cascade = cv2.CascadeClassifier(str(path))
        self._lock = threading.Lock()
        if self._cascade.empty():
            raise ModelError(f"OpenCV's cascade {path} is not there: install opencv-python-headless 4.10…4.x")

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The upright frontal faces of an RGB picture (H, W, 3) uint8, ordered by `arrange`."""
        height, width = image.shape[:2]
        shrink = min(1.0, LONGEST / max(height, width))
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if shrink < 1:
            size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        # The cascade keeps the picture it searches in itself.
        with self._lock:
            boxes, windows = self._cascade.detectMultiScale2(
                grey, scaleFactor=SCALE_STEP, minNeighbors=NEIGHBOURS, minSize=(SMALLEST, SMALLEST)
            )
        found = [
            Detection(
                (float(x) / shrink, float(y) / shrink, float(w) / shrink, float(h) / shrink),
                int(agreeing) / (int(agreeing) + NEIGHBOURS),
            )
            for (x, y, w, h), agreeing in zip(boxes, windows, strict=True)
        ]
        return arrange(found, width, height)
