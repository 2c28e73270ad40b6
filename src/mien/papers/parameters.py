"""Numbers of parameters: system A's Table III and system B's Table 5.3, beside those of our networks."""

from __future__ import annotations

from importlib.util import find_spec

from mien.errors import MissingDependency
from mien.papers.sheet import Block, Sheet
from mien.papers.sources import Sources

TITLE = "numbers of trainable parameters"

MILLIONS: dict[str, float] = {
    "bkstart": 7.17, "bkvgg8": 3.40, "bkvgg10": 4.14, "bkvgg12": 4.19, "bkvgg14": 4.92,
}  # fmt: skip
"""System A, Table III, which cuts or rounds to two places."""

THOUSANDS: dict[str, int] = {
    "vgg_a": 541, "vgg_b": 1556, "vgg_c": 587, "vgg_d": 589, "vgg_e": 1326, "vgg_f": 1917,
}  # fmt: skip
"""System B, Table 5.3."""


def system_a(_: Sources) -> Sheet:
    """Table III of system A beside ours."""
    return _sheet({name: f"{count:.2f} M" for name, count in MILLIONS.items()})


def system_b(_: Sources) -> Sheet:
    """Table 5.3 of system B beside ours."""
    return _sheet({name: f"{count:,} K" for name, count in THOUSANDS.items()})


def _sheet(published: dict[str, str]) -> Sheet:
    if find_spec("torch") is None:
        raise MissingDependency("networks are counted by torch: install it with pip install 'mien[train]'")
    from mien.models import architecture

    ours = {name: architecture(name).parameters() for name in published}
    rows = [(name, paper, f"{ours[name]:,}") for name, paper in published.items()]
    data = [{"network": name, "paper": paper, "ours": ours[name]} for name, paper in published.items()]
    return Sheet([Block(("network", "paper", "ours"), rows, TITLE)], data={"rows": data})
