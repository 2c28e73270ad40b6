"""System D's tables and figures in `mien reproduce`, from made-up maps whose orders and figures are known."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial import procrustes
from typer.testing import CliRunner, Result

from map_entries import map_entry
from mien import data, ledger
from mien.cli.app import app
from mien.errors import DataError, ModelError, RecipeError
from mien.evaluation.maps.circular_order import EXPECTED
from mien.evaluation.maps.quality import Rate
from mien.experiments import table_runs
from mien.labels import EMOTIONS, SIX
from mien.papers import map_claims, pair_table
from mien.papers.map_claims import CLAIMS, Judged, Runs, verdict
from mien.papers.map_runs import MapRun
from mien.papers.published import draw_figure
from mien.papers.sources import Sources
from mien.papers.tables import placed
from mien.papers.verdicts import FAILS, HOLDS, NEVER_RUN, PARTLY
from mien.training import recipe as known
from synthetic import face_batch

RECIPES = [known.load(name) for name in known.names()]
ALL = [recipe.name for recipe, _ in placed("D/maps", RECIPES)]
JUDGES = {claim.name: claim.judge for claim in CLAIMS}

SWAPPED = ("happy", "surprise", "fear", "sad", "disgust", "angry")
"""One exchange from the expected order, as FER+'s votes have it."""

JOINED = ("happy", "fear", "surprise", "sad", "angry", "disgust")
FAR = ("happy", "sad", "surprise", "angry", "fear", "disgust")

IMAGES = {"angry": 87, "disgust": 82, "fear": 80, "happy": 127, "sad": 84, "surprise": 44}

TABLE_1 = """
Angry 3741 7134 6960 11049 7308 3828
Disgust 3321 6560 10414 6888 3608
Fear 3160 10160 6720 3520
Happy 8001 10668 5588
Sad 3486 3696
Surprise 946
"""
"""As the paper prints it, copied by hand."""


def mien(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["reproduce", *map(str, arguments)])


def stored(folder: Path, *entries: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    for each in entries:
        ledger.write(each, folder)
    return folder


def lines(*arguments: object) -> list[str]:
    done = mien(*arguments)
    assert done.exit_code == 0, done.output
    return [line.strip() for line in done.stdout.splitlines()]


def run(recipe: str = "d/fer2013", seed: int = 0, **more: Any) -> MapRun:
    return MapRun.of(map_entry(recipe, seed, **more))


def judged(name: str, *main: MapRun, **others: list[MapRun]) -> list[Judged]:
    return list(JUDGES[name](Runs(list(main), **others)))


def verdicts(name: str, *main: MapRun, **others: list[MapRun]) -> list[str]:
    return [each.verdict for each in judged(name, *main, **others)]


def pairs_one_by_one(labels: list[str]) -> Counter[tuple[str, str]]:
    return Counter(tuple(sorted(pair)) for pair in combinations(labels, 2))


def test_table_1_is_the_papers() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mien", "reproduce", "D/table-1"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    printed = [line.split() for line in done.stdout.splitlines()]
    for row in TABLE_1.split("\n")[1:-1]:
        name, *cells = row.split()
        line = next(words for words in printed if words and words[0] == name.lower())
        assert line[1] == str(IMAGES[name.lower()])
        assert [int(cell.replace(",", "")) for cell in line[2:]] == [int(cell) for cell in cells]
    assert "126,756 pairs" in done.stdout
    assert "21 of its 21 cells" in done.stdout
    assert "87 angry, 82 disgust, 80 fear, 127 happy, 84 sad, 44 surprise" in done.stdout


def test_table_1_counts_every_pair() -> None:
    found = json.loads(mien("D/table-1", "--json").stdout)["paper"]
    expected = pairs_one_by_one([name for name, count in IMAGES.items() for _ in range(count)])
    assert {(row, column): n for row, cells in found["table"].items() for column, n in cells.items()} == dict(
        expected
    )
    assert found["faces"] == IMAGES
    assert found["total"] == found["total_printed"] == sum(expected.values()) == 126_756
    assert found["cells_as_printed"] == found["cells"] == 21


@given(st.integers(min_value=2, max_value=10**7))
def test_pictures_implied_by_their_pairs(n: int) -> None:
    assert pair_table.implied(n * (n - 1) // 2) == n


def test_a_datasets_pairs_stand_beside(tmp_path: Path) -> None:
    batch = face_batch(140)
    data.write(batch, tmp_path / "faces.parquet", "parquet")
    found = json.loads(mien("D/table-1", "--data", tmp_path / "faces.parquet", "--json").stdout)["data"]
    training = [EMOTIONS[label] for label in batch.split("training").labels]
    expected = pairs_one_by_one([name for name in training if name != "neutral"])
    assert {(row, column): n for row, cells in found["table"].items() for column, n in cells.items()} == dict(
        expected
    )
    assert (found["split"], found["total"]) == ("training", sum(expected.values()))
    shown = lines("D/table-1", "--data", tmp_path / "faces.parquet")
    assert any(line.startswith("training faces of faces.parquet: ") for line in shown)
    assert not any("--data PATH" in line for line in shown)


def test_maps_without_a_run(tmp_path: Path) -> None:
    shown = lines("D/maps", "--ledger", tmp_path)
    assert f"never run: {', '.join(ALL)}" in shown
    assert ALL[0] == "d/nimstim"
    assert any("stand-in" in line for line in shown)
    assert any("mien fetch alexnet" in line for line in shown)
    found = json.loads(mien("D/maps", "--ledger", tmp_path, "--json").stdout)
    assert found["runs"] == found["over_seeds"] == []
    assert found["never_run"] == ALL


def test_a_line_a_recipe_and_seed(tmp_path: Path) -> None:
    entries = [
        map_entry("d/fer2013", 0),
        map_entry("d/fer2013", 1, order=SWAPPED),
        map_entry("d/fer2013", 2, order=FAR, people=None),
        map_entry("d/fer2013", 0, budget="full"),
        map_entry("d/fer2013-balanced", 0),
    ]
    folder = stored(tmp_path, *entries)
    shown = lines("D/maps", "--ledger", folder)
    body = shown[2 : 2 + len(entries)]
    assert [line.split()[2:5] for line in body] == [
        ["0", "full", "7"], ["0", "cpu", "7"], ["1", "cpu", "7"], ["2", "cpu", "7"], ["0", "cpu", "7"],
    ]  # fmt: skip
    assert [line.startswith("all pairs ") for line in body] == [True] * 4 + [False]
    held = entries[1]["maps"]["public"]
    near, against = held["quality"]["neighbours"]["reference"], held["circumplex"]["against"]
    words = body[2].split()
    assert words[7:9] == [f"{near['accuracy']:.4f}", "({:.4f}–{:.4f})".format(*near["ci95"])]
    assert words[9] == f"{held['quality']['silhouette']['mean']:.3f}"
    orders = shown[4 + len(entries) : 4 + 2 * len(entries)]
    words = orders[2].split()
    assert words[3:9] == ["ha", "sp", "fe", "sa", "di", "an"]
    assert words[9:14] == ["1", "(0.117)", "no,", "1", "order"]
    assert words[14] == f"{against['mantel']['r']:.3f}"
    assert float(words[16]) == pytest.approx(against["procrustes"]["disparity"], abs=5e-4)
    assert orders[3].split()[-2:] == ["–"] * 2
    missing = [name for name in ALL if name not in ("d/fer2013", "d/fer2013-balanced")]
    assert f"never run: {', '.join(missing)}" in shown


def test_what_seeds_say_together(tmp_path: Path) -> None:
    orders = [EXPECTED, SWAPPED, SWAPPED, FAR]
    entries = [map_entry("d/fer2013", seed, order=order) for seed, order in enumerate(orders)]
    folder = stored(tmp_path, *entries)
    found = json.loads(mien("D/maps", "--ledger", folder, "--json").stdout)
    (over,) = found["over_seeds"]
    assert over["seeds"] == [0, 1, 2, 3]
    assert over["orders"][0] == {"order": list(SWAPPED), "share": 0.5}
    assert sorted(each["share"] for each in over["orders"]) == [0.25, 0.25, 0.5]
    assert (over["expected_share"], over["within_one_share"]) == (0.25, 0.75)
    accuracies = [
        each["maps"]["public"]["quality"]["neighbours"]["reference"]["accuracy"] for each in entries
    ]
    assert over["neighbours"] == {
        "mean": pytest.approx(np.mean(accuracies)), "least": min(accuracies), "most": max(accuracies),
    }  # fmt: skip
    rs = [each["maps"]["public"]["circumplex"]["against"]["mantel"] for each in entries]
    assert over["mantel_r"]["mean"] == pytest.approx(np.mean([mantel["r"] for mantel in rs]))
    assert over["mantel_agrees_share"] == sum(mantel["p"] <= 0.05 for mantel in rs) / 4
    assert [each["order"] for each in found["runs"]] == [list(order) for order in orders]
    shown = lines("D/maps", "--ledger", folder)
    (summary,) = (line for line in shown if line.startswith("all pairs  cpu     4 "))
    assert summary.split()[4:10] == ["1", "of", "4", "3", "of", "4"]
    counted = [
        line.split()[3:] for line in shown if line.startswith("all pairs") and line.split()[2] == "cpu"
    ]
    assert ["ha", "sp", "fe", "sa", "di", "an", "2", "of", "4", "1"] in counted


def test_verdicts_over_seeds() -> None:
    def many(*names: str) -> list[Judged]:
        return [Judged((0,), name, {}) for name in names]

    assert verdict([]) == NEVER_RUN
    for name in (HOLDS, PARTLY, FAILS):
        assert verdict(many(name, name)) == name
    assert (
        verdict(many(HOLDS, FAILS)) == verdict(many(HOLDS, PARTLY)) == verdict(many(PARTLY, FAILS)) == PARTLY
    )


def test_orders_are_judged() -> None:
    runs = [run(seed=seed, order=order) for seed, order in enumerate((EXPECTED, JOINED, SWAPPED, FAR))]
    assert verdicts("circular order", *runs) == [HOLDS, FAILS, FAILS, FAILS]
    assert verdicts("order, fear and surprise joined", *runs) == [HOLDS, HOLDS, FAILS, FAILS]
    assert [each.figures["exchanges"] for each in judged("circular order", *runs[:3])] == [0, 1, 1]
    assert [each.seeds for each in judged("circular order", *runs)] == [(0,), (1,), (2,), (3,)]


def test_tightness_is_judged() -> None:
    tight, loose = run(spread={"happy": 0.02}), run(spread={"happy": 0.5})
    assert verdicts("happy tightest", tight, loose) == [HOLDS, FAILS]
    figures = judged("happy tightest", tight)[0].figures
    assert figures["tightest"] == "happy"
    assert figures["happy"] == tight.quality.tightness["happy"]
    others = [value for name, value in tight.quality.tightness.items() if name != "happy"]
    assert figures["tightest of the others"] == min(others)


def rated(value: float) -> MapRun:
    """A run in which every line parts as much."""
    made, rate = run(), Rate(value, (value, value))
    same = {
        "against_others": dict.fromkeys(made.quality.against_others, rate),
        "pairs": dict.fromkeys(made.quality.pairs, rate),
    }
    return replace(made, quality=replace(made.quality, **same))


@pytest.mark.parametrize(
    ("value", "happy", "fear", "disgust"),
    [
        (0.95, HOLDS, FAILS, FAILS),
        (0.9499, PARTLY, PARTLY, HOLDS),
        (0.75, PARTLY, PARTLY, HOLDS),
        (0.7499, FAILS, HOLDS, FAILS),
        (0.5, FAILS, HOLDS, FAILS),
    ],
)
def test_lines_are_judged(value: float, happy: str, fear: str, disgust: str) -> None:
    made = rated(value)
    assert verdicts("happy linearly separable", made) == [happy]
    assert verdicts("fear and surprise not separable", made) == [fear]
    assert verdicts("disgust and anger barely", made) == [disgust]


def test_each_line_is_read_where_it_stands() -> None:
    wide = dict.fromkeys(("angry", "disgust"), 1.5)
    assert verdicts("fear and surprise not separable", run(spread=wide, faces=40)) == [FAILS]
    assert (
        judged("disgust and anger barely", run(spread=wide, faces=40))[0].figures["angry from disgust"] < 0.75
    )
    wide = dict.fromkeys(("fear", "surprise"), 3.0)
    (found,) = judged("fear and surprise not separable", run(spread=wide, faces=40))
    assert (found.verdict, found.figures["place among 15 pairs"]) == (HOLDS, 1)


def measured(seed: int, accuracy: float, half: float, silhouette: float) -> MapRun:
    made = run(seed=seed)
    assert made.quality.reference is not None
    near = replace(made.quality.reference, accuracy=accuracy, ci95=(accuracy - half, accuracy + half))
    return replace(made, quality=replace(made.quality, reference=near, silhouette=silhouette))


@pytest.mark.parametrize(
    ("accuracy", "silhouette", "expected"),
    [
        (0.60, 0.2, HOLDS),  # Intervals 0.58…0.62 and 0.48…0.52.
        (0.53, 0.2, PARTLY),  # Both higher, the intervals overlap.
        (0.60, 0.0, FAILS),
        (0.45, 0.2, FAILS),
        (0.45, 0.0, FAILS),
        (0.50, 0.1, FAILS),
    ],
)
def test_all_pairs_against_balanced_ones(accuracy: float, silhouette: float, expected: str) -> None:
    balanced = [measured(3, 0.5, 0.02, 0.1), measured(4, 0.9, 0.02, 0.9)]
    name = "all pairs beat balanced pairs"
    (found,) = judged(name, measured(3, accuracy, 0.02, silhouette), balanced=balanced)
    assert (found.seeds, found.verdict) == ((3, 3), expected)
    assert (found.figures["neighbours"], found.figures["balanced"]) == (accuracy, 0.5)
    assert judged(name, measured(5, accuracy, 0.02, silhouette), balanced=balanced) == []


def test_other_trunks_against_this_one() -> None:
    name = "other trunks, the same map"
    mine, same, far = run(), run("d/fer2013-deep", 1), run("d/fer2013-deep", 2, order=FAR)
    found = judged(name, mine, another_trunk=[same, far])
    assert [each.seeds for each in found] == [(0, 1), (0, 2)]
    assert [each.verdict for each in found] == [HOLDS, FAILS]
    places = [np.array([each.found["metric"]["points"][emotion] for emotion in SIX]) for each in (mine, same)]
    assert found[0].figures["disparity"] == pytest.approx(procrustes(*places)[2])
    matrices = [np.array(each.found["dissimilarity"]["matrix"]) for each in (mine, same)]
    above = np.triu_indices(6, 1)
    expected = np.corrcoef(matrices[0][above], matrices[1][above])[0, 1]
    assert found[0].figures["Mantel r"] == pytest.approx(expected)
    reordered = replace(same, found={**same.found, "order": list(FAR)})
    assert verdicts(name, mine, another_trunk=[reordered]) == [PARTLY], "the same distances alone"


def test_people_are_judged() -> None:
    alike, unlike, unasked = run(), run(people=FAR), run(people=None)
    assert verdicts("people's map", alike, unlike, unasked) == [HOLDS, FAILS]


def test_claims_without_a_run(tmp_path: Path) -> None:
    shown = lines("D/claims", "--ledger", tmp_path)
    for claim in CLAIMS:
        assert any(line.startswith(claim.name) and line.endswith("never run") for line in shown)
    (missing,) = (line for line in shown if line.startswith("never run: "))
    assert set(missing.removeprefix("never run: ").split(", ")) == set(ALL)
    assert any("d/nimstim needs NimStim" in line for line in shown)
    assert "to run them: mien reproduce D/maps --run --budget cpu --data PATH" in shown


def test_claims_of_the_ledgers_runs(tmp_path: Path) -> None:
    folder = stored(
        tmp_path,
        map_entry("d/fer2013", 0, spread={"happy": 0.02}),
        map_entry("d/fer2013", 1, order=SWAPPED, people=SWAPPED, spread={"happy": 0.02}),
        map_entry("d/fer2013", 0, order=FAR, budget="smoke"),
        map_entry("d/fer2013-balanced", 0, budget="smoke"),
        map_entry("d/fer2013-deep", 0),
        map_entry("d/fer2013-deep", 1, faces=14),
    )
    found = json.loads(mien("D/claims", "--ledger", folder, "--json").stdout)
    (ours,) = found["recipes"]
    assert (ours["recipe"], ours["budget"], ours["seeds"]) == ("d/fer2013", "cpu", [0, 1])
    claims = {each["claim"]: each for each in ours["claims"]}
    assert {name: each["verdict"] for name, each in claims.items()} == {
        "circular order": PARTLY,
        "order, fear and surprise joined": PARTLY,
        "happy tightest": HOLDS,
        "happy linearly separable": PARTLY,
        "fear and surprise not separable": FAILS,
        "disgust and anger barely": FAILS,
        "all pairs beat balanced pairs": NEVER_RUN,
        "other trunks, the same map": PARTLY,
        "people's map": HOLDS,
    }
    assert [each["seeds"] for each in claims["other trunks, the same map"]["runs"]] == [[0, 0], [1, 0]]
    assert [each["seeds"] for each in claims["other trunks, the same map"]["beside"]["runs"]] == [[0, 1]]
    assert found["never_run"] == ["d/fer2013-even", "d/nimstim", "d/facekit"]
    assert "stand-in" in found["data"]
    shown = lines("D/claims", "--ledger", folder)
    (line,) = (each for each in shown if each.startswith("circular order  "))
    assert "holds 1 of 2, does not hold 1 of 2" in line
    assert "exchanges 0.500 (0 to 1)" in line


def test_the_papers_own_data_is_judged_apart(tmp_path: Path) -> None:
    folder = stored(tmp_path, map_entry("d/nimstim", spread={"fear": 3.0, "surprise": 3.0}))
    found = json.loads(mien("D/claims", "--ledger", folder, "--json").stdout)
    ours, papers = found["recipes"]
    assert (ours["recipe"], papers["recipe"]) == ("d/fer2013", "d/nimstim")
    assert {each["verdict"] for each in ours["claims"]} == {NEVER_RUN}
    assert papers["claims"][4]["verdict"] == HOLDS
    assert papers["claims"][6]["verdict"] == NEVER_RUN
    assert not any("d/nimstim needs" in line for line in lines("D/claims", "--ledger", folder))


def test_runs_of_are_of_the_largest_budget_by_seed() -> None:
    runs = [
        map_entry("d/fer2013", 2), map_entry("d/fer2013", 0, budget="smoke"), map_entry("d/fer2013", 1),
        map_entry("d/fer2013-deep", 0, budget="full"),
    ]  # fmt: skip
    found = Sources(RECIPES, runs).runs_of("d/fer2013")
    assert [(each["seed"], each["budget"]["name"]) for each in found] == [(1, "cpu"), (2, "cpu")]
    assert Sources(RECIPES, runs).runs_of("d/nimstim") == []


@pytest.mark.parametrize(
    ("name", "panels"), [("D/figures", 4), ("D/figure-3", 2), ("D/figure-5", 1), ("D/figure-6", 1)]
)
def test_figures_of_a_run(name: str, panels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    from mien.papers import published

    def kept(figure: Any) -> bytes:
        drawn.append(figure)
        return b"png"

    monkeypatch.setattr(published, "png", kept)
    entry = map_entry("d/fer2013", 1)
    draw_figure(name, Sources(RECIPES, [map_entry("d/fer2013", 2, order=FAR), entry]), tmp_path / "f.png")
    (figure,) = drawn
    shown = [axes for axes in figure.axes if axes.axison]
    assert len(shown) == panels
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in shown}) == 1, "all with the same axes"
    maps = {
        **{f"snapshot {n}": each["points"] for n, each in enumerate(entry["snapshots"])},
        "public": entry["maps"]["public"]["points"],
    }
    wanted = {
        "D/figures": list(maps), "D/figure-3": ["snapshot 0", "snapshot 1"], "D/figure-5": ["snapshot 2"],
        "D/figure-6": ["public"],
    }[name]  # fmt: skip
    for axes, key in zip(shown, wanted, strict=True):
        found = np.asarray(axes.collections[0].get_offsets())
        assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, maps[key]))


def test_a_training_is_animated(tmp_path: Path) -> None:
    entry = map_entry("d/fer2013")
    # A stage may keep fewer faces of an emotion.
    for key in ("labels", "points"):
        entry["snapshots"][0][key] = entry["snapshots"][0][key][1:]
    folder, out = stored(tmp_path / "ledger", entry), tmp_path / "f.gif"
    told = lines("D/figures", "--ledger", folder, "--out", out)
    assert told[0].endswith("f.gif")
    assert told[1:] == ["never run: d/nimstim"]
    with Image.open(out) as moving:
        assert (moving.format, getattr(moving, "n_frames", 1)) == ("GIF", 3)
    with pytest.raises(DataError, match=r"expected a name that ends in \.png$"):
        draw_figure("D/figure-6", Sources(RECIPES, [entry]), tmp_path / "g.gif")
    with pytest.raises(DataError, match=r"ends in \.png or \.gif$"):
        draw_figure("D/figures", Sources(RECIPES, [entry]), tmp_path / "g.pdf")


def test_figures_without_a_run(tmp_path: Path) -> None:
    for ending in (".png", ".gif"):
        with pytest.raises(DataError) as caught:
            draw_figure("D/figures", Sources(RECIPES, []), tmp_path / f"f{ending}")
        assert str(caught.value) == (
            "d/nimstim, d/fer2013 are not in the ledger: mien reproduce D/maps --run --budget cpu --data PATH"
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["D/figure-7", "D/figure-8"])
def test_figures_of_answers_need_faces(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="name the dataset with --data"):
        draw_figure(name, Sources(RECIPES, []), tmp_path / "f.png")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["D/figure-7", "D/figure-8"])
def test_figures_of_answers(name: str, data_folder: Path, tmp_path: Path) -> None:
    with Image.open(
        draw_figure(name, Sources(RECIPES, [], data_folder / "fer2013"), tmp_path / "f.png").file
    ) as picture:
        assert min(picture.size) > 500
        assert np.asarray(picture.convert("L")).std() > 5


def run_by(monkeypatch: pytest.MonkeyPatch, unsuited: dict[str, Exception]) -> list[str]:
    """Puts made-up runs in place of training; returns the recipes asked for, as they come."""
    asked: list[str] = []

    def made(names: list[str], *, budget: str, **_: Any) -> list[dict[str, Any]]:
        asked.extend(names)
        for name in names:
            if name in unsuited:
                raise unsuited[name]
        return [map_entry(name, budget=budget) for name in names]

    monkeypatch.setattr(table_runs, "run_recipes", made)
    return asked


def test_recipes_whose_data_is_not_there_stop_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = run_by(monkeypatch, {"d/nimstim": ModelError("'alexnet' is not here: bring it")})
    old = stored(tmp_path / "ledger", map_entry("d/fer2013", budget="smoke", order=FAR))
    done = mien("D/maps", "--run", "--data", tmp_path, "--ledger", old, "--json")
    assert done.exit_code == 0, done.output
    assert asked == ALL
    assert done.stderr.splitlines() == ["d/nimstim: not run: 'alexnet' is not here: bring it"]
    found = json.loads(done.stdout)
    assert [each["recipe"] for each in found["runs"]] == asked[1:]
    assert found["runs"][0]["order"] == list(EXPECTED), "the fresh run takes the place of its elder"
    assert found["never_run"] == ["d/nimstim"]


def test_data_that_suits_no_recipe_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_by(monkeypatch, {name: DataError(f"no faces for {name}") for name in ALL})
    done = mien("D/maps", "--run", "--data", tmp_path)
    assert str(done.exception) == "no faces for d/nimstim"
    assert str(mien("D/maps", "--run").exception) == "--run needs --data: the dataset to train on"


def test_a_run_that_fails_when_begun_is_no_missing_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = run_by(monkeypatch, {"d/fer2013": DataError("2 faces of disgust on the map")})
    (tmp_path / "runs" / "smoke" / "d-fer2013").mkdir(parents=True)
    done = mien("D/maps", "--run", "--data", tmp_path, "--runs", tmp_path / "runs")
    assert str(done.exception) == "2 faces of disgust on the map"
    assert asked == ["d/nimstim", "d/fer2013"]


def test_a_wrong_recipe_stops_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = run_by(monkeypatch, {"d/fer2013": RecipeError("wrong")})
    assert str(mien("D/maps", "--run", "--data", tmp_path).exception) == "wrong"
    assert asked == ["d/nimstim", "d/fer2013"]


@pytest.mark.slow
def test_maps_are_run_at_the_smoke_budget(tmp_path: Path) -> None:
    batch = face_batch(140)
    votes = np.random.default_rng(3).multinomial(10, np.full(10, 0.1), len(batch)).astype(np.uint8)
    data.write(replace(batch, votes=votes), tmp_path / "faces.parquet", "parquet")
    done = subprocess.run(
        [
            sys.executable, "-m", "mien", "reproduce", "D/maps", "--run", "--budget", "smoke", "--json",
            "--data", tmp_path / "faces.parquet", "--runs", tmp_path / "runs",
            "--ledger", tmp_path / "ledger",
        ],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # One wants AlexNet's weights, the other faces to test on.
    lacking = ["d/nimstim", "d/facekit"]
    assert [each["recipe"] for each in found["runs"]] == [name for name in ALL if name not in lacking]
    assert all((each["budget"], each["epochs"]) == ("smoke", 2) for each in found["runs"])
    unsuited = [line for line in done.stderr.splitlines() if "not run" in line]
    assert [line.partition(": not run: ")[0] for line in unsuited] == lacking
    assert not (tmp_path / "ledger").exists(), "a smoke run says that a recipe runs, and no more"


def test_the_rules_name_the_constants() -> None:
    rules = " ".join(claim.rule for claim in map_claims.CLAIMS)
    assert "0.95" in rules
    assert "0.75" in rules
    assert "0.05" in rules
