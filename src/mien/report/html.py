"""The few elements that a page is made of. Every text given here is escaped; drawings stay as they are."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def section(heading: str, *parts: str) -> str:
    """A part of the page under a heading of the second level; `parts` are HTML."""
    anchor = "".join(letter if letter.isalnum() else "-" for letter in heading.lower())
    inside = "\n".join(parts)
    title = f'<h2 id="{anchor}">{escape(heading)}</h2>'
    return f'<section aria-labelledby="{anchor}">\n{title}\n{inside}\n</section>'


def paragraph(text: str) -> str:
    """One paragraph of explanation."""
    return f'<p class="note">{escape(text)}</p>'


def cards(figures: Iterable[tuple[str, str, str]]) -> str:
    """Large figures: (name, value, note) each."""
    shown = "\n".join(
        f"<div><dt>{escape(name)}</dt><dd><strong>{escape(value)}</strong><span>{escape(note)}</span></dd></div>"
        for name, value, note in figures
    )
    return f'<dl class="cards">\n{shown}\n</dl>'


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column names the rows, below its caption, which stays where the table scrolls."""
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    return (
        f'{paragraph(caption)}\n<div class="wide"><table aria-label="{escape(caption)}">\n'
        f"<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def facts(values: Mapping[str, Any]) -> str:
    """A nested mapping as a table of two columns: the key's path, its value. What is None is left out."""
    rows = "\n".join(
        f'<tr><th scope="row">{escape(key)}</th><td>{escape(value)}</td></tr>' for key, value in _flat(values)
    )
    return f'<div class="wide"><table class="facts"><tbody>\n{rows}\n</tbody></table></div>'


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        elif isinstance(value, list | tuple):
            yield f"{above}{key}", ", ".join(map(str, value))
        elif value is not None:
            yield f"{above}{key}", str(value)


def figure(drawing: str, caption: str) -> str:
    """A drawing, an `<svg>` with its own alternative text, over its caption."""
    return f"<figure>\n{drawing}\n<figcaption>{escape(caption)}</figcaption>\n</figure>"


def side_by_side(*figures: str) -> str:
    """Figures in two columns where there is room."""
    return '<div class="pair">\n' + "\n".join(figures) + "\n</div>"


def picture(pixels: NDArray[Any], alt: str, kind: str = "") -> str:
    """An image inside the page: uint8 (H, W) grey or (H, W, 3) colour. kind: its class in the style sheet."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    named = f' class="{kind}"' if kind else ""
    return f'<img{named} alt="{escape(alt)}" src="data:image/png;base64,{data}">'


def code(text: str) -> str:
    """Text to be copied as it is."""
    return f"<pre><code>{escape(text)}</code></pre>"


_TOLD = (
    "recipe",
    "seed",
    "mien",
    "commit",
    "date",
    "budget",
    "parameters",
    "selected_on",
    "machine",
    "paper",
)
"""What a page says of a run besides its figures, by the keys of the ledger entry."""


def record(entry: Mapping[str, Any], network: str) -> str:
    """The last section of a run's page, from its ledger entry: what was run, and how to run it again."""
    parts = []
    if entry.get("command"):
        parts += ["<h3>To run it again</h3>", code(str(entry["command"]))]
    known = {key: entry[key] for key in _TOLD if entry.get(key) is not None}
    parts += ["<h3>What was run</h3>", facts({"network": network, **known})]
    if entry.get("recipe_as_run"):
        parts += ["<h3>The recipe as run</h3>", facts(entry["recipe_as_run"])]
    return section("What was run, and how to run it again", *parts)
