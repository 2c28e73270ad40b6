"""Reads the expression on a photograph: the portrait of Eileen Collins that scikit-image ships (NASA)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image
from skimage import data

FOLDER = Path("demo")


def mien(*arguments: str) -> None:
    """Runs the mien command of this environment."""
    subprocess.run([sys.executable, "-m", "mien", *arguments], check=True)


def main() -> None:
    """Fetches the face detector once, writes the photograph, reads it, draws what was read."""
    FOLDER.mkdir(exist_ok=True)
    photograph = FOLDER / "astronaut.png"
    Image.fromarray(data.astronaut()).save(photograph)
    mien("fetch", "blazeface")
    mien("predict", str(photograph), "--out", str(FOLDER / "annotated"))


if __name__ == "__main__":
    main()
