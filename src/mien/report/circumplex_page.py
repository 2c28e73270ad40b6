"""A circumplex as one self-contained HTML page: the figures, what they say, and how each number was made."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from mien import storage
from mien.report import html, map_figures
from mien.report.circumplex_words import Part, arrows, orders_of, parts, times
from mien.report.style import svg

_TEMPLATE = Path(__file__).with_name("page.html")


def write_page(path: Path, found: Mapping[str, Any], command: str = "") -> None:
    """Writes the page, atomically.

    found: what `Circumplex.to_dict` gives. command: how to make it again, shown where it is given.
    Raises: StorageError when the path cannot be written; MissingDependency without matplotlib.
    """
    storage.write_text(path, page(found, command))


def page(found: Mapping[str, Any], command: str = "") -> str:
    """The text of the page that `write_page` writes."""
    order = html.paragraph(f"Round the circle, by metric MDS: {arrows(found['order'])}.")
    sections = [
        html.section("Result", order, _cards(found), _figures(found)),
        *map(part_section, parts(found)),
    ]
    if command:
        sections.append(html.section("How to make it again", html.code(command)))
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title="Circumplex of expressions",
        subtitle=escape(_subtitle(found)),
        sections="\n".join(sections),
    )


def _subtitle(found: Mapping[str, Any]) -> str:
    beside = f", beside {found['against']['name']}" if found["against"] else ""
    return f"{found['source']['name']}{beside}"


def _cards(found: Mapping[str, Any]) -> str:
    total = orders_of(len(found["emotions"]))
    shown = [("Chance of this order", f"1 in {total:,}", "of all circular orders")]
    if (drawn := found["bootstrap"]) is not None:
        shown.append(
            ("Bootstrap share", f"{100 * drawn['share']:.1f}%", f"of {drawn['resamples']:,} draws of faces")
        )
    if (expected := found["expected"]) is not None:
        away = times(expected["exchanges"], "exchange")
        shown.append(("From the expected order", away, f"exact chance {expected['chance']:.3g}"))
    if (other := found["against"]) is not None:
        mantel = other["mantel"]
        shown.append(("Mantel r to the second source", f"{mantel['r']:.2f}", f"exact p {mantel['p']:.3g}"))
    return html.cards(shown)


def _figures(found: Mapping[str, Any]) -> str:
    order = arrows(found["order"])
    caption = (
        "Each dot is an emotion, each name stands on the ring where the ray through its dot meets it. "
        "Distances stand for dissimilarities; direction and rotation mean nothing."
    )
    if found["overlaps"]["joined"]:
        caption += " A broad line joins emotions that are not told apart."
    drawn = [
        html.figure(
            svg(map_figures.emotion_map(found), f"Map of the emotions; their order is {order}."), caption
        )
    ]
    if (other := found["against"]) is not None:
        alt = f"Both maps laid over each other: Procrustes disparity {other['procrustes']['disparity']:.3f}."
        drawn.append(
            html.figure(
                svg(map_figures.overlay(found), alt),
                "Filled: the first source. Hollow: the second, turned, mirrored and scaled to fit. A line "
                "joins the two places of one emotion.",
            )
        )
    return "<h3>The map</h3>" + html.side_by_side(*drawn)


def part_section(part: Part) -> str:
    """One part of the account as a section of a page."""
    said = [html.paragraph(sentence) for sentence in part.sentences]
    if part.rows:
        said.append(html.table(part.caption, part.heads, part.rows))
    return html.section(part.heading, *said)
