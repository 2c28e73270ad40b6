"""MediaPipe's face mesh, 468 points of one face, run by OpenCV's dnn; where it looks in a picture is here."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien import fetching
from mien.errors import ImageError, ModelError
from mien.inference.framing import Square, centre_square

Floats = NDArray[np.float32]
View = NDArray[np.float64]
"""(2, 3): the affine map from pixels of a picture to pixels of the network's input."""

FETCHABLE = "facemesh"
INPUT = 192
POINTS = 468

MARGIN = 0.15
"""Around FER-2013's square, on every side: of 0 to 0.4 the one with which most faces were found."""

ALIGNED = 1.5
"""A look that follows another takes the square around its points times this, as MediaPipe's tracking does."""

_EYES = ((33, 133), (362, 263))
"""The corners of the right eye and of the left one."""


@dataclass(frozen=True, slots=True, eq=False)
class MeshReading:
    """One face as the network sees it, and what it makes of the same face in a mirror.

    points: (468, 3) float32 in pixels of the picture, the centre of the first at 0: x to the right, y down,
    z away from the viewer, in the same unit, 0 at the head's middle by the network's own estimate.
    mirrored: (468, 3) float32, likewise, read in the mirror and turned back: a point of the right side lies
    where `points` has its counterpart on the left.
    score: 0…1, the lower of the network's two for a face being there.
    """

    points: Floats
    mirrored: Floats
    score: float


class Mesh:
    """Source: Kartynnik et al. 2019, Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs.

    One object may serve several threads.
    model: the network's file; None takes the one that `mien fetch facemesh` brought.
    Raises: ModelError when it is not there, or is another.
    """

    def __init__(self, model: Path | None = None) -> None:
        if model is None and not fetching.is_present(FETCHABLE):
            raise ModelError(
                f"landmarks need the network {FETCHABLE}, which is not here: run 'mien fetch {FETCHABLE}'"
            )
        path = fetching.file_of(FETCHABLE) if model is None else model
        wrong = f"{path} is not the face mesh: remove it and run 'mien fetch {FETCHABLE}'"
        try:
            self._net = cv2.dnn.readNetFromTFLite(str(path))
            self._outputs = self._net.getUnconnectedOutLayersNames()
            self._lock = threading.Lock()
            first, _ = self._forward(np.zeros((1, 3, INPUT, INPUT), np.float32))
        except (cv2.error, ValueError) as error:
            raise ModelError(wrong) from error
        if first.shape != (POINTS, 3):
            raise ModelError(wrong)

    def read(self, image: NDArray[np.uint8], square: Square | None = None, tilt: float = 0.0) -> MeshReading:
        """The mesh of the one face in a square of a picture.

        The first look is at the square and its margin, the second at the face where the first saw it, upright
        and at MediaPipe's size; the last two, aligned once more, are at the face and its mirror image.
        image: (H, W, 3) RGB or (H, W) grey, uint8. Small faces are enlarged (bicubic), large ones shrunk
        without aliasing; beyond the picture's edge its outermost pixels are repeated.
        square: (x, y, side) in pixels, such as FER-2013 would have cut out; None: the largest in the middle.
        tilt: degrees by which the face is thought to lean clockwise in the picture.
        Raises: ImageError when the picture has another shape or type, or no pixel.
        """
        _check(image)
        square = centre_square(image.shape[1], image.shape[0]) if square is None else square
        region, shrink, corner = _region(image, square)
        x, y, side = (square[0] - corner[0]) * shrink, (square[1] - corner[1]) * shrink, square[2] * shrink
        # Pixels are squares around their centres: the middle of the first whole pixel is 0.
        centre = np.array([x, y]) + (side - 1) / 2
        view = _view(centre, side * (1 + 2 * MARGIN), math.radians(tilt))
        for _ in range(2):
            points, _score = self._look(region, view, mirrored=False)
            view = aligned(points)
        points, seen = self._look(region, view, mirrored=False)
        mirrored, seen_mirrored = self._look(region, view, mirrored=True)
        whole = np.array([*(np.array(corner) + (1 / shrink - 1) / 2), 0.0])
        found, reflected = ((each / shrink + whole).astype(np.float32) for each in (points, mirrored))
        return MeshReading(found, reflected, min(seen, seen_mirrored))

    def _look(
        self, image: NDArray[np.uint8], view: View, mirrored: bool
    ) -> tuple[NDArray[np.float64], float]:
        """Points (468, 3) in pixels of the picture, and the score, of what a view shows."""
        seen = cv2.warpAffine(
            image, view, (INPUT, INPUT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        pixels = np.atleast_3d(seen).astype(np.float32).transpose(2, 0, 1) / 255
        pixels = np.broadcast_to(pixels, (3, INPUT, INPUT))
        points, score = self._forward(np.ascontiguousarray(pixels[None, :, :, :: -1 if mirrored else 1]))
        if mirrored:
            points[:, 0] = INPUT - 1 - points[:, 0]
        back = cv2.invertAffineTransform(view)
        points[:, :2] = points[:, :2] @ back[:, :2].T + back[:, 2]
        points[:, 2] *= math.sqrt(abs(np.linalg.det(back[:, :2])))
        return points, score

    def _forward(self, pixels: Floats) -> tuple[NDArray[np.float64], float]:
        # A net holds its input and its buffers: one forward pass at a time.
        with self._lock:
            self._net.setInput(pixels)
            outputs = [np.array(output, np.float64) for output in self._net.forward(self._outputs)]
        # Told apart by their size, for OpenCV does not promise the order of the outputs.
        logit, points = sorted(outputs, key=lambda output: int(output.size))
        return points.reshape(-1, 3), 1 / (1 + math.exp(-min(max(logit.item(), -100.0), 100.0)))


def aligned(points: NDArray[np.floating]) -> View:
    """The view of a face whose points (468, 3) are known: upright by its eyes, the points' box in its middle.

    Source: MediaPipe, face_landmark_landmarks_to_roi: the square on the box's longer side, times `ALIGNED`.
    """
    right, left = (points[list(corners), :2].mean(axis=0) for corners in _EYES)
    tilt = math.atan2(left[1] - right[1], left[0] - right[0])
    turn = _turn(tilt)
    upright = points[:, :2] @ turn.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    return _view((low + high) / 2 @ turn, float((high - low).max()) * ALIGNED, tilt)


def _view(centre: NDArray[np.floating], side: float, tilt: float) -> View:
    """The view of a square around a centre, leaning clockwise by a tilt in radians."""
    turn = _turn(tilt) * (INPUT / max(side, 1e-6))
    return np.column_stack([turn, (INPUT - 1) / 2 - turn @ centre])


def _turn(tilt: float) -> NDArray[np.float64]:
    cosine, sine = math.cos(tilt), math.sin(tilt)
    return np.array([[cosine, sine], [-sine, cosine]])


def _region(image: NDArray[np.uint8], square: Square) -> tuple[NDArray[np.uint8], float, tuple[int, int]]:
    """What lies around a square, shrunk where it has far more pixels than the network; the share that a side
    keeps, and the region's corner (x, y) in the picture."""
    height, width = image.shape[:2]
    x, y, side = square
    left, top = max(math.floor(x - side), 0), max(math.floor(y - side), 0)
    right, bottom = min(math.ceil(x + 2 * side), width), min(math.ceil(y + 2 * side), height)
    if left >= right or top >= bottom:
        raise ImageError(f"the square {square} lies outside the picture of {width}×{height} pixels")
    region = image[top:bottom, left:right]
    times = int(side // INPUT)
    if times < 2:
        return region, 1.0, (left, top)
    # Whole blocks alone, so that every side keeps the same share.
    high, wide = (max(length // times, 1) for length in region.shape[:2])
    whole = np.ascontiguousarray(region[: high * times, : wide * times])
    shrunk = cv2.resize(whole, (wide, high), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.uint8), 1 / times, (left, top)


def _check(image: NDArray[np.uint8]) -> None:
    grey_or_rgb = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if image.dtype != np.uint8 or not grey_or_rgb or not image.size:
        raise ImageError(f"a picture of {image.dtype} {image.shape}: expected uint8, RGB (H, W, 3) or grey")
