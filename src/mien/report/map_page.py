"""A run that maps faces as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from mien import storage
from mien.evaluation.maps.quality import MapQuality, Neighbours
from mien.labels import EMOTIONS
from mien.ledger import map_of
from mien.report import figures as draw
from mien.report import html, map_figures
from mien.report.circumplex_page import part_section
from mien.report.circumplex_words import arrows, parts, times
from mien.report.style import svg

FROZEN_STAGE = "the trunk frozen"
"""The stage of a snapshot that was kept while the head alone learned."""

_TEMPLATE = Path(__file__).with_name("page.html")


def write_report(path: Path, entry: Mapping[str, Any]) -> None:
    """Writes the page of one finished run from its ledger entry, atomically.

    Raises: StorageError when the path cannot be written; MissingDependency without matplotlib.
    """
    storage.write_text(path, page(entry))


def page(entry: Mapping[str, Any]) -> str:
    """The text of the page that `write_report` writes."""
    split, found = map_of(entry)
    sections = [
        html.section("Results", html.cards(_cards(entry, split, found)), *_map(found, split)),
        *_order(found),
        *_training(entry),
        _quality(MapQuality.from_dict(found["quality"])),
        html.record(entry, entry["recipe"]),
    ]
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(str(entry["recipe"])),
        subtitle=escape(
            f"a map of {found['n']:,} faces, split {split}, learned from same and different alone"
        ),
        sections="\n".join(sections),
    )


def indices(names: Sequence[str]) -> list[int]:
    """Emotions' names as indices into `EMOTIONS`, as the drawings take them."""
    return [EMOTIONS.index(name) for name in names]


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f}%"


def _interval(ends: Sequence[float]) -> str:
    return f"95% interval {100 * ends[0]:.1f}–{100 * ends[1]:.1f}%"


def _cards(entry: Mapping[str, Any], split: str, found: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    measured = MapQuality.from_dict(found["quality"])
    near: Neighbours = measured.reference or measured.leave_one_out
    guess = f"{_interval(near.ci95)}; always the most common emotion: {_percent(near.most_common)}"
    yield f"Named by {near.k} neighbours", _percent(near.accuracy), guess
    yield "By emotion, averaged", _percent(near.balanced.value), _interval(near.balanced.ci95)
    yield "Silhouette", f"{measured.silhouette:.3f}", "−1…1, higher is better parted"
    chosen = entry["selected_on"]
    yield (
        chosen["figure"].replace("_", " ").capitalize(),
        f"{chosen['value']:.4f}",
        f"on {split}, selected by",
    )
    if (order := found["circumplex"]) is not None and (expected := order["expected"]) is not None:
        away = times(expected["exchanges"], "exchange")
        yield "From the expected order", away, f"exact chance of as near {expected['chance']:.3g}"


def _map(found: Mapping[str, Any], split: str) -> Iterator[str]:
    if found["quality"]["dimensions"] != 2:
        yield html.paragraph("The map has more than two dimensions and is not drawn.")
        return
    drawing = map_figures.embedding_map(found["points"], indices(found["labels"]))
    caption = (
        f"{len(found['points']):,} of the {found['n']:,} {split} faces, the same number of each emotion "
    )
    caption += "where there are as many. The axes have no unit."
    yield html.figure(svg(drawing, f"The map of {split} faces, one colour an emotion."), caption)


def _order(found: Mapping[str, Any]) -> Iterator[str]:
    order = found["circumplex"]
    if order is None:
        return
    drawn = [
        html.figure(
            svg(map_figures.emotion_map(order), f"The emotions' order is {arrows(order['order'])}."),
            "Each dot is the middle of an emotion's faces, by metric scaling of their distances.",
        )
    ]
    if (people := order["against"]) is not None:
        alt = f"Laid over people's map: disparity {people['procrustes']['disparity']:.3f}."
        drawn.append(html.figure(svg(map_figures.overlay(order), alt), f"Laid over {people['name']}."))
    yield html.section("The circle of emotions", html.side_by_side(*drawn))
    yield from map(part_section, parts(order))


def _training(entry: Mapping[str, Any]) -> Iterator[str]:
    histories = {"": entry["history"]}
    if "frozen" in entry:
        histories = {"trunk frozen": entry["frozen"]["history"], "all layers": entry["history"]}
    best = entry["budget"]["best_epoch"]
    losses = draw.loss_curves(histories, best if len(histories) == 1 else None)
    drawn = [html.figure(svg(losses, "Loss over the epochs."), "Mean loss over all pairs.")]
    maps = snapshots(entry)
    if maps:
        alt = f"{len(maps)} maps of training faces, from the start of training on."
        drawn.append(
            html.figure(svg(map_figures.map_panels(maps, names=False), alt), "All with the same axes.")
        )
    yield html.section("Training", *drawn)


def snapshots(entry: Mapping[str, Any]) -> list[tuple[str, list[list[float]], list[int]]]:
    """The kept maps of training faces as (title, points, labels), those of two dimensions alone."""
    kept = [each for each in entry["snapshots"] if len(each["points"][0]) == 2]
    return [(snapshot_title(each), each["points"], indices(each["labels"])) for each in kept]


def snapshot_title(kept: Mapping[str, Any]) -> str:
    """'start of training', 'epoch 4', or with the stage before it where there are two."""
    if kept["stage"] == "selected":
        return f"selected: epoch {kept['epoch']}"
    when = f"epoch {kept['epoch']}" if kept["epoch"] else "start"
    return f"{kept['stage']}, {when}" if kept["stage"] else when.replace("start", "start of training")


def _quality(measured: MapQuality) -> str:
    rows = [
        [
            name,
            f"{measured.faces[name]:,}",
            f"{measured.tightness[name]:.2f}",
            f"{measured.silhouettes[name]:.3f}",
            f"{_percent(rate.value)} ({_interval(rate.ci95)})",
        ]
        for name, rate in measured.against_others.items()
    ]
    pairs = [
        [" and ".join(name.split("|")), f"{_percent(rate.value)} ({_interval(rate.ci95)})", rate.verdict]
        for name, rate in sorted(measured.pairs.items(), key=lambda item: item[1].value)
    ]
    return html.section(
        "Beyond looks",
        html.table(
            "Tightness: distance of an emotion's faces to their middle, over that of all faces to the middle "
            "of all; less is tighter. Parted: balanced accuracy of a straight line on faces it was not "
            "fitted on.",
            ["", "faces", "tightness", "silhouette", "parted from all others"],
            rows,
        ),
        html.table("Two emotions parted by a straight line, worst first.", ["", "parted", "verdict"], pairs),
    )
