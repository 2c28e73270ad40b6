"""The gallery and the tables of the circumplex: drawn from the ledger, and held to it."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mien import ledger
from mien.evaluation.maps.circumplex import EXPECTED, analyse
from mien.evaluation.maps.quality import quality
from mien.evaluation.maps.responses import Embeddings, Responses
from mien.labels import SIX
from mien.papers.map_runs import ANOTHER_TRUNK, AS_PUBLISHED, BALANCED, MAIN, SYNTHETIC
from mien.papers.sources import Sources
from mien.training import recipe
from synthetic import face_batch

pytest.importorskip("matplotlib")

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "benchmarks")]

import circumplex_tables  # noqa: E402
import gallery  # noqa: E402

SWAPPED = ("happy", "surprise", "fear", "sad", "disgust", "angry")


def circle(order: Sequence[str], seed: int, faces: int = 12, spread: float = 0.15) -> tuple[Any, Any]:
    """Points (N, 2) and labels (N,) in `SIX` of faces around a circle in an order, a cloud an emotion."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(6), faces)
    angles = np.array([2 * np.pi * order.index(name) / 6 for name in SIX]) + rng.normal(0, 0.05, 6)
    middles = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return middles[labels] + rng.normal(0, spread, (len(labels), 2)), labels


def people() -> Responses:
    """Vote shares: mostly for a face's own emotion, and for its neighbours in `SWAPPED`."""
    rng, labels = np.random.default_rng(5), np.repeat(np.arange(6), 8)
    places = np.array([SWAPPED.index(name) for name in SIX])
    apart = np.abs(places[labels][:, None] - places)
    apart = np.minimum(apart, 6 - apart)
    shares = rng.dirichlet(np.ones(6), len(labels)) * 0.1 + np.choose(apart, [0.6, 0.12, 0.03, 0.0])
    return Responses(SIX, shares / shares.sum(axis=1, keepdims=True), labels, "votes", "people")


def entry(recipe: str, seed: int, order: Sequence[str] = EXPECTED) -> dict[str, Any]:
    """A ledger entry of a map of synthetic points, with the parts that the gallery reads."""
    points, labels = circle(order, seed)
    known, of_known = circle(order, seed, faces=20)
    names = [SIX[label] for label in labels]
    found = analyse(Embeddings(SIX, points, labels, "map"), against=people(), resamples=20)
    return {
        "recipe": recipe,
        "seed": seed,
        "budget": {"name": "full", "epochs": 18, "best_epoch": 12, "seconds": 1.0},
        "maps": {
            "public": {
                "n": len(labels),
                "quality": quality(points, labels, SIX, reference=(known, of_known)).to_dict(),
                "circumplex": found.to_dict(),
                "labels": names,
                "points": points.tolist(),
            }
        },
        "snapshots": [
            {"stage": stage, "epoch": epoch, "split": "training", "labels": names, "points": points.tolist()}
            for stage, epoch in (("", 0), ("", 4), ("selected", 12))
        ],
    }


def measured() -> dict[str, Any]:
    """What `benchmarks/three_maps.py` would write of synthetic faces."""
    votes = people()
    by_pixels = {}
    for seed, name in enumerate(("pca", "mds")):
        points, labels = circle(SWAPPED, 40 + seed, spread=0.6)
        by_pixels[name] = {
            "quality": quality(points, labels, SIX).to_dict(),
            "circumplex": analyse(
                Embeddings(SIX, points, labels, name), against=votes, resamples=20
            ).to_dict(),
        }
    alone = analyse(votes, resamples=20).to_dict()
    beside = analyse(votes, against=votes, resamples=20).to_dict()
    return {
        "split": "public",
        "faces": {split: dict.fromkeys(SIX, 12) for split in ("training", "public", "voted")},
        "people": {"public": alone, "training": beside},
        "classifier": {"model": "conv_net", "public": beside, "voted": beside},
        "pixels": by_pixels,
        "runs": [{"recipe": MAIN, "seed": 0, "voted": beside}],
    }


@cache
def recipes() -> list[recipe.Recipe]:
    """The project's own."""
    return [recipe.load(name) for name in recipe.names()]


ORDERS = {0: EXPECTED, 1: EXPECTED, 2: SWAPPED}


@pytest.fixture(scope="module")
def entries() -> list[dict[str, Any]]:
    """Three seeds, one of them in another order, a run of each other recipe, and one on other faces."""
    seeds = [entry(MAIN, seed, order) for seed, order in ORDERS.items()]
    apart = entry(SYNTHETIC, 0)
    apart["maps"]["private"] = apart["maps"].pop("public")
    return [*seeds, entry(BALANCED, 0, SWAPPED), entry(ANOTHER_TRUNK, 0), apart]


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory, entries: list[dict[str, Any]]) -> Path:
    """A folder with the results and the gallery that was drawn from them; see `results` and `drawn`."""
    once = tmp_path_factory.mktemp("once")
    folder = once / "results"
    for each in entries:
        ledger.write(each, folder)
    short = {**deepcopy(entries[0]), "budget": {**entries[0]["budget"], "name": "cpu"}}
    ledger.write(short, folder)
    (folder / "measurements").mkdir()
    (folder / gallery.MEASURED).write_text(json.dumps(measured()))
    gallery.draw_all(gallery.Ledger.read(folder), once / "gallery")
    return once


@pytest.fixture
def results(once: Path, tmp_path: Path) -> Path:
    """A results folder with these runs, and one under another budget that no picture shows."""
    return Path(shutil.copytree(once / "results", tmp_path / "results"))


@pytest.fixture
def drawn(once: Path, tmp_path: Path) -> Path:
    """The gallery of those results."""
    return Path(shutil.copytree(once / "gallery", tmp_path / "gallery"))


@settings(deadline=None, max_examples=30)
@given(angle=st.floats(0, 6.28), mirror=st.booleans(), size=st.floats(0.01, 100))
def test_maps_that_differ_by_turn_mirror_and_size_lie_upon_each_other(
    angle: float, mirror: bool, size: float
) -> None:
    points = np.random.default_rng(3).normal(size=(6, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    other = size * (points * [-1 if mirror else 1, 1]) @ turn + [7.0, -2.0]
    one, two = ({"points": dict(zip(SIX, each.tolist(), strict=True))} for each in (points, other))
    reference = gallery._standard(one)
    laid = gallery._laid_on(two, reference)
    for name in SIX:
        assert laid[name] == pytest.approx(reference[name], abs=1e-9)


def test_faces_of_two_runs_that_differ_by_a_turn_come_to_lie_alike(entries: list[dict[str, Any]]) -> None:
    found = entries[0]["maps"]["public"]
    reference = gallery._standard(found["circumplex"]["metric"])
    turned = {**found, "points": (3.0 * np.array(found["points"])[:, ::-1] + 1).tolist()}
    assert gallery._comparable(turned, reference) == pytest.approx(gallery._comparable(found, reference))


def test_what_was_drawn_agrees_with_its_ledger(results: Path, drawn: Path) -> None:
    assert gallery.stale(gallery.Ledger.read(results), drawn) == []
    assert {path.name for path in drawn.iterdir()} == {*gallery.PICTURES, gallery.SOURCES}


def test_drawing_again_gives_the_same_bytes(results: Path, drawn: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    gallery.draw_all(gallery.Ledger.read(results), again)
    for path in drawn.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_layout_of_an_entry_s_file_and_what_is_not_drawn_make_no_picture_stale(
    results: Path, drawn: Path
) -> None:
    path = results / "d-fer2013.full.seed0.json"
    held = json.loads(path.read_text())
    path.write_text(json.dumps({"note": "not drawn", **dict(reversed(held.items()))}))
    assert gallery.stale(gallery.Ledger.read(results), drawn) == []


def _wrong(results: Path, drawn: Path) -> set[str]:
    return {line.split()[0] for line in gallery.stale(gallery.Ledger.read(results), drawn)}


def test_a_changed_entry_names_the_pictures_drawn_from_it(results: Path, drawn: Path) -> None:
    path = results / "d-fer2013.full.seed1.json"
    held = json.loads(path.read_text())
    held["maps"]["public"]["points"][0][0] += 0.001
    path.write_text(json.dumps(held))
    assert _wrong(results, drawn) == {"runs.png"}
    held["maps"]["public"]["circumplex"]["metric"]["points"]["happy"][0] += 0.001
    path.write_text(json.dumps(held))
    assert _wrong(results, drawn) == {"runs.png", "three-maps.png"}


def test_a_new_seed_names_the_pictures_that_lack_it(results: Path, drawn: Path) -> None:
    ledger.write(entry(MAIN, 3), results)
    assert _wrong(results, drawn) == {"runs.png", "three-maps.png"}


def test_pictures_that_are_missing_or_not_those_drawn_are_named(results: Path, drawn: Path) -> None:
    (drawn / "faces.png").unlink()
    (drawn / "training.gif").write_bytes(b"GIF89a")
    assert _wrong(results, drawn) == {"faces.png", "training.gif"}
    (drawn / gallery.SOURCES).unlink()
    assert _wrong(results, drawn) == {gallery.SOURCES}


def test_the_animation_shows_every_snapshot(drawn: Path, entries: list[dict[str, Any]]) -> None:
    picture = Image.open(drawn / "training.gif")
    # Two of these synthetic snapshots differ in their titles alone, which is enough for a frame each.
    assert getattr(picture, "n_frames", 1) == len(entries[0]["snapshots"])
    assert picture.info["loop"] == 0


def rows(table: str) -> list[list[str]]:
    """A Markdown table's cells, without its heads."""
    lines = [line.strip("|\n ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    assert {len(line) for line in lines} == {len(lines[0])}, table
    return lines[2:]


@pytest.fixture
def held(entries: list[dict[str, Any]]) -> circumplex_tables.Results:
    """The runs as the tables take them."""
    return circumplex_tables.Results.of(Sources(recipes(), entries), measured())


def test_orders_are_counted_over_seeds(held: circumplex_tables.Results) -> None:
    people_row, classifier, siamese, balanced, trunk, *pixels = rows(circumplex_tables.maps(held))
    assert rows(circumplex_tables.summary(held)) == [people_row, classifier, siamese, *pixels]
    assert people_row[1] == ", ".join(SWAPPED)
    assert people_row[2] == "1 (7 of 60)"
    assert classifier[3].startswith("1.00 (0.0014)")
    assert siamese[0] == "siamese, all pairs, 3 seeds"
    assert siamese[1] == f"{', '.join(EXPECTED)} (2 of 3)"
    assert siamese[2] == "0 (2×), 1 (1×)"
    assert balanced[1] == ", ".join(SWAPPED)
    assert trunk[2] == "0 (1 of 60)"


def test_runs_on_other_faces_have_no_place_beside_these(entries: list[dict[str, Any]]) -> None:
    other = {**entries[0], "recipe": AS_PUBLISHED}
    other["maps"] = {"public": {**other["maps"]["public"], "n": 50}}
    found = circumplex_tables.Results.of(Sources(recipes(), [*entries, other]), measured())
    assert list(found.runs) == [MAIN, BALANCED, ANOTHER_TRUNK]


@pytest.mark.parametrize("name", list(circumplex_tables.BLOCKS))
def test_every_table_is_a_table_and_finite(held: circumplex_tables.Results, name: str) -> None:
    cells = [cell for row in rows(circumplex_tables.BLOCKS[name](held)) for cell in row]
    assert cells
    assert all(cells)
    assert not any("nan" in cell or "inf" in cell for cell in cells)


def test_figures_of_a_table_are_the_entries_own(
    held: circumplex_tables.Results, entries: list[dict[str, Any]]
) -> None:
    stored = [each["maps"]["public"]["quality"] for each in entries[:3]]
    happy = next(row for row in rows(circumplex_tables.emotions(held)) if row[0] == "happy")
    tight = [each["tightness"]["per_emotion"]["happy"] for each in stored]
    assert happy[1:3] == ["12", f"{np.mean(tight):.2f} ({min(tight):.2f} to {max(tight):.2f})"]
    pair = next(row for row in rows(circumplex_tables.pairs(held)) if row[0] == "fear – surprise")
    parted = [each["separability"]["pairs"]["fear|surprise"]["balanced_accuracy"] for each in stored]
    assert pair[1] == f"{np.mean(parted):.2f} ({min(parted):.2f} to {max(parted):.2f})"
    joined = next(
        row for row in rows(circumplex_tables.orders(held)) if row[0] == "siamese, all pairs, seed 0"
    )
    assert joined[1:3] == [", ".join(EXPECTED), "0 (1 of 60)"]


def test_a_map_agrees_with_itself_wholly(entries: list[dict[str, Any]]) -> None:
    twice = [entries[0], {**entries[0], "seed": 1}]
    table = circumplex_tables.runs(circumplex_tables.Results.of(Sources(recipes(), twice), measured()))
    assert rows(table)[0] == ["siamese, all pairs: two seeds", "1", "1.00", "1.00", "1.00", "0.0014"]


def test_pages_ask_for_tables_and_pictures_that_there_are() -> None:
    page = (ROOT / "docs" / "circumplex.md").read_text(encoding="utf-8")
    asked = re.findall(r"<!-- circumplex (\w+) -->", page)
    assert set(asked) == set(circumplex_tables.BLOCKS) - {"summary"}
    networks = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\(gallery/([\w.-]+)\)", page + networks)) == set(gallery.PICTURES)


@pytest.mark.slow
def test_three_maps_measures_the_faces_of_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import three_maps

    from mien.data import parquet
    from mien.labels import ferplus_columns

    monkeypatch.setattr(three_maps, "RESAMPLES", 20)
    faces = face_batch(420)
    faces.votes[np.arange(420), np.array(ferplus_columns())[faces.labels]] = 7
    faces.votes[np.arange(420), np.array(ferplus_columns())[np.roll(faces.labels, 1)]] += 3
    test = np.flatnonzero((faces.splits == 1) & (faces.labels == 0))
    faces.images[test[0]] = faces.images[0]  # A copy of a training face is left out of everything.
    faces.votes[test[1]] = 0
    faces.votes[test[1], 0] = 10  # Neutral to everybody: no place on people's map.
    parquet.write(faces, tmp_path / "faces.parquet")
    found = json.loads(json.dumps(three_maps.measure(tmp_path / "faces.parquet"), allow_nan=False))
    assert found["faces"]["training"] == dict.fromkeys(SIX, 40)
    assert found["faces"]["public"] == {**dict.fromkeys(SIX, 20), SIX[0]: 19}
    assert found["faces"]["voted"] == {**dict.fromkeys(SIX, 20), SIX[0]: 18}
    assert found["people"]["public"]["source"]["per_emotion"] == found["faces"]["voted"]
    assert found["people"]["training"]["source"]["faces"] == 240
    assert found["classifier"]["public"]["source"]["per_emotion"] == found["faces"]["public"]
    assert found["classifier"]["voted"]["source"]["per_emotion"] == found["faces"]["voted"]
    assert (
        found["pixels"]["pca"]["circumplex"]["against"]["name"] == "people's votes on faces.parquet (public)"
    )
    assert found["runs"] == []
