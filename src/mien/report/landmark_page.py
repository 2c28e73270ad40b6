"""A run on landmarks as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import storage
from mien.labels import EMOTIONS, SIX
from mien.landmarks import LandmarkBatch
from mien.report import figures as draw
from mien.report import html
from mien.report import landmark_figures as drawn
from mien.report import landmark_generation as made
from mien.report.style import svg

_TEMPLATE = Path(__file__).with_name("page.html")

_HEADS = {"accuracy": "accuracy", "f1": "F1", "auc": "AUC"}
"""What the figures of classifiers are called, in the order of the table."""

_SHOWN_FIRST = ("private", "public", "unseen", "training")
"""The split that a page's large figures are of: the thesis's test, else validation."""

_MOST = 3000
"""Faces on a page's maps: more only hide each other."""

_STEPS = 7
"""Faces in a row from one expression to another."""

Floats = NDArray[np.float64]


def write_report(
    path: Path,
    entry: Mapping[str, Any],
    faces: Mapping[str, LandmarkBatch],
    points: Mapping[str, Floats],
    generator: made.Generator | None = None,
) -> None:
    """Writes the page of one finished run, atomically.

    entry: of the ledger, its figures under `landmarks`. faces: prepared, by split. points: (N, K) by split,
    how the run represents them. generator: its network, where it generates faces.
    Raises: StorageError when the path cannot be written; MissingDependency without matplotlib.
    """
    storage.write_text(path, page(entry, faces, points, generator))


def page(
    entry: Mapping[str, Any],
    faces: Mapping[str, LandmarkBatch],
    points: Mapping[str, Floats],
    generator: made.Generator | None = None,
) -> str:
    """The text of the page that `write_report` writes."""
    found = entry["landmarks"]
    kind = "synthetic faces" if found.get("synthetic") else "faces"
    sections = [
        html.section("Results", html.cards(_cards(entry, found)), _splits(found)),
        *_training(entry),
        *_space(faces, points, kind),
        *_dimensions(found),
        *_generated(faces, generator, found, kind),
        html.record(entry, entry["recipe"]),
    ]
    count = sum(len(batch) for batch in faces.values())
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(str(entry["recipe"])),
        subtitle=escape(f"a representation of {count:,} {kind} as 83 landmarks"),
        sections="\n".join(sections),
    )


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f}%"


def _interval(ends: Any) -> str:
    return "" if ends is None else f"95% over people {100 * ends[0]:.1f}–{100 * ends[1]:.1f}%"


def _cards(entry: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    split = next(name for name in _SHOWN_FIRST if name in found["splits"])
    figures = found["splits"][split]
    if "accuracy" in figures:
        yield f"Accuracy, {split}", _percent(figures["accuracy"]), _interval(figures["accuracy_ci95"])
    for name, title in (("f1", "F1"), ("auc", "AUC")):
        if figures.get(name) is not None:
            yield f"{title}, {split}", f"{figures[name]:.3f}", "of action units"
    if "triplets" in figures:
        judged = figures["triplets"]["all"]
        note = f"of {judged['n']:,}; {_interval(judged['ci95'])}".removesuffix("; ")
        yield f"Satisfied triplets, {split}", _percent(judged["share"]), note
    yield "Dimensions in use", str(found["dimensions"]), "of the representation"
    if (chosen := entry.get("selected_on")) is not None:
        name = chosen["figure"].replace("_", " ").capitalize().replace("elbo", "ELBO")
        yield name, f"{chosen['value']:,.1f}", f"on {chosen['split']}, selected by"


def _splits(found: Mapping[str, Any]) -> str:
    """All figures by split, those that some split has."""
    splits: Mapping[str, Mapping[str, Any]] = found["splits"]
    columns = [name for name in _HEADS if any(name in each for each in splits.values())]
    levels = list(dict.fromkeys(level for each in splits.values() for level in each.get("triplets", {})))
    rows = [
        [
            name,
            f"{figures['n']:,}",
            f"{figures['people']:,}",
            *(_rated(figures.get(column), figures.get(f"{column}_ci95")) for column in columns),
            *(_judged(figures.get("triplets", {}).get(level)) for level in levels),
        ]
        for name, figures in splits.items()
    ]
    heads = ["", "faces", "people", *(_HEADS[column] for column in columns)]
    heads += ["triplets" if level == "all" else f"triplets, agreement {level}" for level in levels]
    rated = " and ".join(_HEADS[column] for column in columns)
    rated = f"{rated[:1].upper()}{rated[1:]} of linear classifiers, and s" if rated else "S"
    about = f"{rated}atisfied triplets; intervals of 95% are over people."
    return html.table(about, heads, rows)


def _rated(value: float | None, ends: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" + ("" if ends is None else f" ({ends[0]:.3f}–{ends[1]:.3f})")


def _judged(figures: Mapping[str, Any] | None) -> str:
    return "–" if figures is None else _rated(figures["share"], figures["ci95"])


def _training(entry: Mapping[str, Any]) -> Iterator[str]:
    history = entry.get("history") or []
    if not any(line.get("loss") is not None or line.get("training_loss") is not None for line in history):
        return
    losses = draw.loss_curves({"": history}, entry["budget"].get("best_epoch"))
    yield html.section("Training", html.figure(svg(losses, "Loss over the training."), "The loss."))


def _space(faces: Mapping[str, LandmarkBatch], points: Mapping[str, Floats], kind: str) -> Iterator[str]:
    """Principal components of the training faces and of their representation, in two and three dimensions."""
    batch, latent = faces["training"], np.asarray(points["training"], np.float64)
    chosen = np.sort(np.random.default_rng(0).permutation(len(batch))[:_MOST])
    labels = batch.labels[chosen]
    original = batch.points[chosen].reshape(len(chosen), -1)
    spaces: list[tuple[str, NDArray[Any]]] = [("original data", original)]
    if latent.shape[1] > 1:
        spaces.append(("representation", latent[chosen]))
    maps = drawn.principal_maps(spaces, labels)
    about = f"The first two principal components of {len(chosen):,} training {kind}, each space by its own."
    parts = [html.figure(svg(maps, "Original data and representation by two components."), about)]
    if latent.shape[1] > 2:
        views = drawn.principal_views(latent[chosen], labels, "representation")
        parts.append(
            html.figure(
                svg(views, "The representation by three components, from four sides."),
                "Three components, turned by 90° about the third from view to view.",
            )
        )
    yield html.section("Where faces lie", *parts)


def _dimensions(found: Mapping[str, Any]) -> Iterator[str]:
    latent = found.get("latent")
    if latent is None:
        return
    use = drawn.latent_use(latent["divergence"], latent["norms"])
    parts = [
        html.figure(
            svg(use, "Divergence and weights of each latent dimension."),
            "A dimension at its prior says nothing of a face; grey: not in use.",
        )
    ]
    if latent["neutral_norms"]:
        parts.append(
            html.figure(
                svg(drawn.neutral_use(latent["neutral_norms"]), "Weights on the neutral face."),
                "How much of each coordinate of the neutral face the first decoding layer takes up.",
            )
        )
    yield html.section("What its dimensions do", html.side_by_side(*parts))


def _generated(
    faces: Mapping[str, LandmarkBatch],
    generator: made.Generator | None,
    found: Mapping[str, Any],
    kind: str,
) -> Iterator[str]:
    """Reconstructions, the grid, and where emotions are known what lies between two and moves to another."""
    if generator is None:
        return
    split = next(name for name in _SHOWN_FIRST if name in faces)
    batch = faces[split]
    parts = [_reconstructions(batch, generator, f"{split} {kind}")]
    if generator.latent > 1:
        said = np.array(found.get("latent", {}).get("divergence", np.zeros(generator.latent)))
        across, up = (int(number) for number in np.argsort(-said, kind="stable")[:2])
        neutral = None if batch.neutral is None else batch.neutral[0]
        tiles = made.grid(generator, neutral, across, up)
        about = f"Generated over the two dimensions that say most, all others 0; {kind}."
        sheet = drawn.generated(tiles, made.VALUES, across, up, neutral if generator.neutral else None)
        parts.append(html.figure(svg(sheet, "Faces generated over two latent dimensions."), about))
    yield html.section("Faces that it makes", *parts, *_expressions(batch, generator, kind))


def _reconstructions(batch: LandmarkBatch, generator: made.Generator, kind: str) -> str:
    rows = one_of_each(batch)
    part = batch.select(rows)
    neutral = part.neutral if generator.neutral else None
    sheet = drawn.reconstructions(
        [_named(part, number) for number in range(len(part))],
        part.points,
        made.reconstructed(generator, part.points, neutral),
        neutral,
    )
    return html.figure(
        svg(sheet, "Faces and their reconstructions."), f"The network's reconstruction; {kind}."
    )


def one_of_each(batch: LandmarkBatch) -> NDArray[np.int64]:
    """One face of each of the six emotions at its strongest, all of one person where one has all; else the
    faces evenly apart, for neighbouring frames of a recording look alike: (≤ 6,) positions.
    """
    strongest = np.argsort(-batch.degrees, kind="stable")
    best: list[int] = []
    for person in batch.people:
        own = [int(row) for row in strongest if batch.subjects[row] == person]
        firsts = {int(batch.labels[row]): row for row in reversed(own)}
        rows = [firsts[EMOTIONS.index(name)] for name in SIX if EMOTIONS.index(name) in firsts]
        best = max(best, rows, key=len)
        if len(best) == len(SIX):
            break
    apart = np.linspace(0, len(batch) - 1, min(len(SIX), len(batch))).round()
    return np.array(best or apart, np.int64)


def _named(batch: LandmarkBatch, row: int) -> str:
    label = int(batch.labels[row])
    return str(batch.names[row]) if label < 0 else EMOTIONS[label]


def _expressions(batch: LandmarkBatch, generator: made.Generator, kind: str) -> Iterator[str]:
    rows = one_of_each(batch)
    labels = [EMOTIONS[int(batch.labels[row])] for row in rows if batch.labels[row] >= 0]
    if len(set(labels)) < 2 or (generator.neutral and batch.neutral is None):
        return
    first, last = (labels.index("happy") if "happy" in labels else 0), len(labels) - 1
    second = labels.index("sad") if "sad" in labels else last
    if first == second:
        second = 0 if first else last
    person = str(batch.subjects[rows[0]])
    neutral = None if batch.neutral is None else batch.neutral[rows[0]]
    ends = batch.points[rows[[first, second]]]
    between = made.between(generator, ends[0], ends[1], neutral, _STEPS)
    shares = [labels[first], *[f"{number}/{_STEPS - 1}" for number in range(1, _STEPS - 1)], labels[second]]
    yield html.figure(
        svg(drawn.faces(between[None], [person], shares), "From one expression to another."),
        f"Straight through the latent space, from one expression of a person to another; {kind}.",
    )
    others = np.flatnonzero(batch.subjects != person)
    if not generator.neutral or neutral is None or batch.neutral is None or not len(others):
        return
    other = others[0]
    pairs = [made.transferred(generator, batch.points[row], neutral, batch.neutral[other]) for row in rows]
    tiles = np.stack([[mine[-1] for mine, _ in pairs], [theirs[-1] for _, theirs in pairs]])
    yield html.figure(
        svg(drawn.faces(tiles, [person, str(batch.subjects[other])], labels), "Expressions transferred."),
        f"Above a person's expressions, below the same latent vectors with another's neutral face; {kind}.",
    )
