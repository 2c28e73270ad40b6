"""Reads the expression on a photograph: the portrait of Eileen Collins that scikit-image ships (NASA)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image
from skimage import data

FOLDER = Path("demo")


def mien(*arguments: str) -> int:
    """Runs the mien command of this environment and returns its exit code."""
    return subprocess.run([sys.executable, "-m", "mien", *arguments], check=False).returncode


def main() -> None:
    """Fetches the face detector once, writes the photograph, reads it, draws what was read."""
    FOLDER.mkdir(exist_ok=True)
    photograph = FOLDER / "astronaut.png"
    Image.fromarray(data.astronaut()).save(photograph)
    if mien("fetch", "blazeface"):
        print("going on with OpenCV's own detector")
    sys.exit(mien("predict", str(photograph), "--out", str(FOLDER / "annotated")))


if __name__ == "__main__":
    main()
