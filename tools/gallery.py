"""Draws the pictures of docs/gallery/ from the ledger: `python tools/gallery.py`.

Beside the pictures, `sources.json` says what each was drawn from. --check compares that with the ledger and
draws nothing: another version of a drawing library draws other bytes of the same figures.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import network_tables
import numpy as np
from circumplex_tables import MEASURED, Results
from numpy.typing import NDArray

from mien import ledger
from mien.ledger import Entry
from mien.papers import published
from mien.papers.map_runs import MAIN, SYNTHETIC
from mien.papers.sources import Sources
from mien.report import map_figures
from mien.report.map_page import indices, snapshots
from mien.report.pareto import Cost, pareto
from mien.report.spacing import direction, spread_angles
from mien.report.style import EMOTION_COLOURS, FAINT, blank, png, styled
from mien.storage import packaged, write_json

GALLERY = Path(__file__).resolve().parents[1] / "docs" / "gallery"
SOURCES = "sources.json"
PANEL = 4.4
"""Inches: the side of one of three maps beside each other."""

DPI = 110

Parts = Mapping[str, Any]
"""What a picture is drawn from, and nothing else: by file of the ledger, the values taken from it."""

Points = NDArray[np.float64]

Laid = tuple[Sequence[str], Mapping[str, Points]]
"""An order of emotions, and their places (2,)."""

_NAMES_APART = 17.0
"""Degrees between two names on a ring."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The runs that map faces, by file, each recipe's by seed; and what was measured beside them.

    names: of the runs' recipes in titles. synthetic: the run on pictures of synthetic people, by file; empty
    where there is none. sources: recipes and every run; None where maps alone are drawn.
    """

    entries: Mapping[str, Entry]
    names: Mapping[str, str]
    measured: Mapping[str, Any]
    synthetic: Mapping[str, Entry]
    sources: Sources | None = None

    @classmethod
    def read(cls, folder: Path) -> Ledger:
        """The runs of a results folder that the tables show."""
        held = Results.read(folder)
        found = [entry for name in held.runs for entry in held.sources.runs_of(name)]
        apart = held.sources.runs_of(SYNTHETIC)[:1]
        by_file = ({ledger.file_name(entry): entry for entry in part} for part in (found, apart))
        entries, synthetic = by_file
        return cls(entries, held.names, held.measured, synthetic, held.sources)

    @property
    def main(self) -> dict[str, Entry]:
        """The runs of all pairs."""
        return {name: entry for name, entry in self.entries.items() if entry["recipe"] == MAIN}

    @property
    def shown(self) -> tuple[str, Entry]:
        """The run whose map is drawn where one stands for all: that of the lowest seed, whatever it shows."""
        return next(iter(self.main.items()))


def _map(entry: Entry) -> dict[str, Any]:
    """A run's map of validation faces."""
    found: dict[str, Any] = ledger.map_of(entry)[1]
    return found


def _circle(found: Mapping[str, Any]) -> dict[str, Any]:
    """Of a circumplex, what a panel shows."""
    return {"faces": found["source"]["faces"], "order": found["order"], "points": found["metric"]["points"]}


def three_maps_parts(held: Ledger) -> Parts:
    """People's map, the classifier's, and every seed's of the siamese network."""
    split = held.measured["split"]
    return {
        MEASURED: {
            "people": _circle(held.measured["people"][split]),
            "classifier": _circle(held.measured["classifier"][split]),
        },
        **{name: _circle(_map(entry)["circumplex"]) for name, entry in held.main.items()},
    }


@styled
def _three_maps(parts: Parts) -> Any:
    people, classifier = (parts[MEASURED][name] for name in ("people", "classifier"))
    siamese = [found for name, found in parts.items() if name != MEASURED]
    reference = _standard(people)
    titles = (
        f"people: FER+ votes\n{people['faces']:,} faces",
        f"classifier: conv_net's probabilities\n{classifier['faces']:,} faces",
        f"siamese network: {len(siamese)} seeds, the first filled\n{siamese[0]['faces']:,} faces",
    )
    figure = blank(PANEL, 3 * PANEL)
    for axes, title, maps in zip(
        figure.subplots(1, 3), titles, ([people], [classifier], siamese), strict=True
    ):
        _panel(axes, [(found["order"], _laid_on(found, reference)) for found in maps])
        axes.set_title(title)
    return figure


def _standard(found: Mapping[str, Any]) -> dict[str, Points]:
    """Places of the emotions, centred and of unit norm together."""
    names, points = list(found["points"]), np.array(list(found["points"].values()), np.float64)
    points = points - points.mean(axis=0)
    return dict(zip(names, points / np.linalg.norm(points), strict=True))


def _laid_on(found: Mapping[str, Any], reference: Mapping[str, Points]) -> dict[str, Points]:
    """The places turned and mirrored, and no more, to lie as near the reference's as they can."""
    own = _standard(found)
    turn = _turn(np.array([own[name] for name in reference]), np.array(list(reference.values())))
    return {name: place @ turn for name, place in own.items()}


def _turn(points: Points, reference: Points) -> Points:
    """The rotation or reflection (2, 2) that brings centred points nearest to the reference."""
    left, _, right = np.linalg.svd(points.T @ reference)
    found: Points = left @ right
    return found


def _panel(axes: Any, maps: Sequence[Laid]) -> None:
    """The first map filled, inside a ring with each name on the ray through its dot; the others hollow."""
    from matplotlib.patches import Circle

    order, first = maps[0]
    radius = 1.14 * max(float(np.hypot(*place)) for _, places in maps for place in places.values())
    axes.add_patch(Circle((0, 0), radius, facecolor="none", edgecolor=FAINT, linewidth=1.2, zorder=1))
    for names, places in reversed(maps):
        corners, colours = _corners(names, places), [EMOTION_COLOURS[name] for name in names]
        filled = places is first
        axes.plot(*corners.T, color=FAINT, linewidth=1.3 if filled else 0.6, zorder=2)
        axes.scatter(
            *corners[:-1].T, s=110 if filled else 34, linewidths=1.2, edgecolor=colours,
            facecolor=colours if filled else "none", zorder=4 if filled else 3,
        )  # fmt: skip
    rays = [float(np.degrees(np.arctan2(*first[name][::-1]))) for name in order]
    for name, ray, shown in zip(order, rays, spread_angles(rays, _NAMES_APART), strict=True):
        foot, (across, up) = radius * direction(ray), 1.08 * radius * direction(shown)
        axes.plot(*np.array([first[name], foot]).T, color=FAINT, linewidth=0.9, linestyle=":", zorder=1)
        axes.plot(*np.array([foot, 1.05 * radius * direction(shown)]).T, color=FAINT, linewidth=1.0, zorder=1)
        beside = abs(across) >= 0.35 * radius
        axes.text(
            across, up, name, fontsize=11,
            ha=("left" if across > 0 else "right") if beside else "center",
            va="center" if beside else ("bottom" if up > 0 else "top"),
        )  # fmt: skip
    axes.plot(0, 0, "+", color=FAINT, markersize=7, zorder=2)
    axes.set(xlim=(-1.5 * radius, 1.5 * radius), ylim=(-1.22 * radius, 1.22 * radius), aspect="equal")
    axes.set_axis_off()


def _corners(names: Sequence[str], places: Mapping[str, Points]) -> Points:
    """The emotions' places in their order, closed: (C + 1, 2)."""
    return np.array([places[name] for name in [*names, names[0]]])


def three_maps(parts: Parts, path: Path) -> None:
    """The three maps side by side, turned and mirrored upon people's."""
    path.write_bytes(png(_three_maps(parts), DPI))


def faces_parts(held: Ledger) -> Parts:
    """The shown run's places of validation faces."""
    name, entry = held.shown
    return {name: {key: _map(entry)[key] for key in ("labels", "points")}}


def faces(parts: Parts, path: Path) -> None:
    """Validation faces as dots."""
    ((_, found),) = parts.items()
    path.write_bytes(png(map_figures.embedding_map(found["points"], indices(found["labels"])), DPI))


def training_parts(held: Ledger) -> Parts:
    """The shown run's maps of training faces, in the order in which they came."""
    name, entry = held.shown
    return {name: {"snapshots": entry["snapshots"]}}


def training(parts: Parts, path: Path) -> None:
    """All snapshots as panels."""
    ((_, found),) = parts.items()
    path.write_bytes(png(map_figures.map_panels(snapshots(found), columns=3, names=False), DPI))


def animation(parts: Parts, path: Path) -> None:
    """All snapshots one after another."""
    published.FIGURES["D/figures"].animate(parts, path)


def overlay_parts(held: Ledger) -> Parts:
    """The shown run's circumplex with people's."""
    name, entry = held.shown
    return {name: _map(entry)["circumplex"]}


def overlay(parts: Parts, path: Path) -> None:
    """The siamese map of the emotions with people's laid over it."""
    ((_, found),) = parts.items()
    named = {
        **found,
        "source": {**found["source"], "name": "siamese network"},
        "against": {**found["against"], "name": "people's votes"},
    }
    path.write_bytes(png(map_figures.overlay(named), DPI))


def runs_parts(held: Ledger) -> Parts:
    """Every run's places of validation faces, and people's map to turn them upon."""
    split = held.measured["split"]
    places = {
        name: {
            "title": f"{held.names[entry['recipe']]}, seed {entry['seed']}",
            **{key: _map(entry)[key] for key in ("labels", "points")},
        }
        for name, entry in held.entries.items()
    }
    return {MEASURED: _circle(held.measured["people"][split]), **places}


def every_run(parts: Parts, path: Path) -> None:
    """Every run's map as a panel, turned, mirrored and scaled to be compared with the others."""
    reference = _standard(parts[MEASURED])
    maps = [
        (found["title"], _comparable(found, reference), indices(found["labels"]))
        for name, found in parts.items()
        if name != MEASURED
    ]
    path.write_bytes(png(map_figures.map_panels(maps, columns=3, names=False), DPI))


def _comparable(found: Mapping[str, Any], reference: Mapping[str, Points]) -> Points:
    """A run's points turned so that their centroids lie upon people's emotions, and of unit spread."""
    points, labels = np.array(found["points"], np.float64), np.array(found["labels"])
    centroids = np.array([points[labels == name].mean(axis=0) for name in reference])
    middle = centroids.mean(axis=0)
    spread = np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean())
    turned: Points = (
        (points - middle) @ _turn(centroids - middle, np.array(list(reference.values()))) / spread
    )
    return turned


def synthetic_parts(held: Ledger) -> Parts:
    """Of the run on synthetic people: its maps of training faces as they came, and of people held out."""
    return {
        name: {
            "snapshots": entry["snapshots"],
            "held out": {key: _map(entry)[key] for key in ("labels", "points")},
        }
        for name, entry in held.synthetic.items()
    }


def synthetic(parts: Parts, path: Path) -> None:
    """Every map as a panel, each called synthetic."""
    panels = []
    for found in parts.values():
        shown = found["held out"]
        # The first places lie far apart, and one frame holds all panels.
        later = {**found, "snapshots": [each for each in found["snapshots"] if each["epoch"] >= 10]}
        named = [*snapshots(later), ("people held out", np.array(shown["points"]), indices(shown["labels"]))]
        panels += [(f"synthetic people\n{title}", points, labels) for title, points, labels in named]
    path.write_bytes(png(map_figures.map_panels(panels, columns=3, names=False), DPI))


def pareto_parts(held: Ledger) -> Parts:
    """Every classifier's accuracy and multiply-adds, ours and others'."""
    if held.sources is None:
        return {}
    costs = {
        "ledger": network_tables.own_costs(held.sources),
        "tools/peers.toml": network_tables.peer_costs(),
    }
    return {name: [asdict(each) for each in found] for name, found in costs.items()}


def pareto_picture(parts: Parts, path: Path) -> None:
    """Accuracy against multiply-adds."""
    costs = [Cost(**{**each, "ends": tuple(each["ends"])}) for found in parts.values() for each in found]
    path.write_bytes(png(pareto(costs), DPI))


@dataclass(frozen=True, slots=True)
class Picture:
    """What it is drawn from, and how it is drawn to a path."""

    parts: Callable[[Ledger], Parts]
    draw: Callable[[Parts, Path], None]


PICTURES: dict[str, Picture] = {
    "three-maps.png": Picture(three_maps_parts, three_maps),
    "faces.png": Picture(faces_parts, faces),
    "training.png": Picture(training_parts, training),
    "training.gif": Picture(training_parts, animation),
    "overlay.png": Picture(overlay_parts, overlay),
    "runs.png": Picture(runs_parts, every_run),
    "synthetic.png": Picture(synthetic_parts, synthetic),
    "pareto.png": Picture(pareto_parts, pareto_picture),
}
"""The gallery by file name. No picture holds a face: a face is a dot."""


def digest(value: Any) -> str:
    """sha256 of a value's JSON, whatever its layout in a file."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def sources(parts: Parts) -> dict[str, str]:
    """What a picture was drawn from, by file of the ledger."""
    return {name: digest(value) for name, value in parts.items()}


def draw_all(held: Ledger, folder: Path) -> None:
    """Draws every picture of runs that there are, and writes beside them what they were drawn from."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, picture in PICTURES.items():
        parts, path = picture.parts(held), folder / name
        if not parts:
            continue
        picture.draw(parts, path)
        drawn = hashlib.sha256(path.read_bytes()).hexdigest()
        written[name] = {"sha256": drawn, "drawn_from": sources(parts)}
    write_json(folder / SOURCES, written)


def stale(held: Ledger, folder: Path) -> list[str]:
    """What is wrong with the gallery, a line each; nothing where it agrees with the ledger."""
    try:
        written = json.loads((folder / SOURCES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return [f"{SOURCES} is missing or no JSON"]
    wrong = [f"{name} is no picture of the gallery" for name in written if name not in PICTURES]
    for name, picture in PICTURES.items():
        path = folder / name
        if not picture.parts(held):
            continue
        if name not in written or not path.is_file():
            wrong.append(f"{name} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != written[name]["sha256"]:
            wrong.append(f"{name} is not the picture that was drawn")
        elif sources(picture.parts(held)) != written[name]["drawn_from"]:
            wrong.append(f"{name} was drawn from other figures")
    return wrong


def main() -> None:
    """Draws the gallery, or exits 1 with --check where it differs from the ledger."""
    held = Ledger.read(packaged("results"))
    if "--check" not in sys.argv:
        draw_all(held, GALLERY)
    elif wrong := stale(held, GALLERY):
        sys.exit(f"docs/gallery differs from the ledger ({'; '.join(wrong)}): run python tools/gallery.py")


if __name__ == "__main__":
    main()
