"""Fixtures that many tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mien.faces import FaceBatch


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The development data: `MIEN_DATA`, else `../shared/data`; skips where there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MIEN_DATA") or beside)
    if not (folder / "fer2013").is_dir():
        pytest.skip(f"no FER-2013 data at {folder}: set MIEN_DATA")
    return folder


@pytest.fixture(scope="session")
def fer2013(data_folder: Path) -> FaceBatch:
    """FER-2013's training and public splits, as read from the development data."""
    from mien.data import read

    return read(data_folder / "fer2013")
