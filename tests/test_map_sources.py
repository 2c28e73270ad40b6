"""Sources of maps in files: every kind read as it was meant, whatever its order, names and marks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mien.errors import DataError
from mien.evaluation.maps import responses
from mien.inference import map_files
from mien.labels import EMOTIONS, SIX, SYNONYMS
from mien.storage import packaged
from studies import COUNTS, points_of, table_csv, written


def make(path: Path, emotions: tuple[str, ...] = SIX, split: str | None = None) -> responses.Source:
    return map_files.open_source(path, split).make(emotions)


def test_a_matrix_in_csv_is_read_whatever_its_order_and_its_names(tmp_path: Path) -> None:
    other = {name: synonym for synonym, name in SYNONYMS.items()}
    rows, columns = [3, 5, 2, 4, 1, 0], [1, 0, 5, 4, 3, 2]
    path = table_csv(
        tmp_path / "study.csv",
        [other.get(SIX[i], SIX[i]).upper() for i in rows],
        [SIX[i] for i in columns],
        COUNTS[np.ix_(rows, columns)],
    )
    assert (np.asarray(make(path).counts) == COUNTS).all()  # type: ignore[union-attr]


def test_percentages_may_carry_their_sign_and_are_no_counts(tmp_path: Path) -> None:
    lines = [
        ",".join([name, *(f"{value / 2:g}%" for value in row)])
        for name, row in zip(SIX, COUNTS.tolist(), strict=True)
    ]
    source = make(written(tmp_path / "x.csv", "\n".join([",".join(["truth", *SIX]), *lines])))
    assert isinstance(source, responses.Confusion)
    assert not source.counted
    assert np.allclose(source.counts, COUNTS / 2)


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_spreadsheets_decimal_commas_are_read(tmp_path: Path, mark: str) -> None:
    lines = [
        mark.join([name, *(f"{value / 4:g}".replace(".", ",") for value in row)])
        for name, row in zip(SIX, COUNTS.tolist(), strict=True)
    ]
    text = "\ufeff" + "\r\n".join([mark.join(["", *SIX]), "", *lines])
    source = make(written(tmp_path / "x.csv", text))
    assert (source.counts == COUNTS / 4).all()  # type: ignore[union-attr]


def test_whether_entries_count_faces_shows_before_columns_are_dropped(tmp_path: Path) -> None:
    names = [*SIX, "neutral"]
    percent = np.zeros((7, 7), int)
    percent[:6, :6] = COUNTS / 4
    percent[:, 6] = 100 - percent.sum(axis=1)
    source = make(table_csv(tmp_path / "x.csv", names, names, percent))
    assert isinstance(source, responses.Confusion)
    assert not source.counted


def test_a_ledger_entry_is_read_by_split(tmp_path: Path) -> None:
    figures = {"labels": list(SIX), "confusion": COUNTS.tolist()}
    other = {"labels": list(SIX), "confusion": (COUNTS + 1).tolist()}
    value = {"recipe": "c/x", "figures": {"public": figures, "private": other}}
    path = written(tmp_path / "entry.json", json.dumps(value))
    assert (make(path, split="private").counts == COUNTS + 1).all()  # type: ignore[union-attr]
    with pytest.raises(DataError, match=r"public, private: choose with --split"):
        make(path)
    with pytest.raises(DataError, match="did you mean 'public'"):
        make(path, split="publik")


def test_every_classifier_in_the_ledger_can_be_mapped() -> None:
    mapped = 0
    for path in sorted(packaged("results").glob("*.json")):
        for split, figures in (json.loads(path.read_text(encoding="utf-8")).get("figures") or {}).items():
            if len(figures["confusion"]) == len(EMOTIONS):
                source = make(path, split=split)
                stored = np.array(figures["confusion"])[:6, :6]
                assert (source.counts == stored).all(), path  # type: ignore[union-attr]
                mapped += 1
    assert mapped


def test_points_are_the_same_in_every_kind_of_file(tmp_path: Path) -> None:
    points, labels = points_of()
    pairs = list(zip(points.tolist(), labels, strict=True))
    map_of = {"labels": labels, "points": points.tolist()}
    faces = [{"source": "a.png", "label": name, "point": point} for point, name in pairs]
    files = [
        written(tmp_path / "a.json", json.dumps(map_of)),
        written(tmp_path / "b.json", json.dumps([*faces, {"source": "?", "label": None, "point": [9, 9]}])),
        written(tmp_path / "c.json", json.dumps({"name": "siamese", "map": {"split": "public", **map_of}})),
        written(tmp_path / "d.json", json.dumps({"recipe": "d/x", "maps": {"public": {"n": 60, **map_of}}})),
        written(tmp_path / "e.csv", "label,x,y\n" + "".join(f"{name},{x},{y}\n" for (x, y), name in pairs)),
    ]
    for path in files:
        source = make(path)
        assert isinstance(source, responses.Embeddings)
        assert (source.points == points).all()
        assert [source.emotions[i] for i in source.labels] == labels
