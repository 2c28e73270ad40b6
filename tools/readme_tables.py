"""Writes the tables of the README and of the pages in docs/ from the ledger.

`python tools/readme_tables.py`; --check only compares.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import circumplex_tables
import network_tables
from doubt_tables import doubt_table

from mien import ledger
from mien.evaluation.calibration import SCALED_BY, error_of_kind, fitted_elsewhere
from mien.evaluation.metrics import wilson
from mien.inference.lookup import card_of
from mien.papers.people import people_table
from mien.papers.sheet import Block
from mien.papers.sheets import SHEETS
from mien.papers.sources import Sources
from mien.papers.tables import Measured, Row, in_figures, rows
from mien.report import explain_tables
from mien.storage import packaged, write_text
from mien.training import recipe

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "docs/circumplex.md",
    "docs/autoencoders.md",
    "docs/networks.md",
    "docs/model-card.md",
    "docs/explain.md",
    "docs/calibration.md",
)
MEASUREMENTS = packaged("results") / "measurements"
_BLOCK = re.compile(r"(<!-- (?P<kind>\w+)(?: (?P<name>\S+))? -->\n).*?(<!-- end -->)", re.DOTALL)


def paper_table(table: str) -> str:
    """A paper's table beside ours, one line a row, split and budget; every figure from the ledger."""
    every = [recipe.load(name) for name in recipe.names()]
    found = rows(table, every, ledger.entries())
    protocols = {row.protocol for row in found} - {None, "single"}
    heads = ["row", "split", "paper", "ours (95 % interval)", "gap", "without copied faces", "budget"]
    if protocols:
        heads.insert(1, "protocol")
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join('---' for _ in heads)} |"]
    for row in found:
        lines += [_line(row, split, bool(protocols)) for split in row.splits or ["–"]]
    return "\n".join(lines) + "\n"


def _line(row: Row, split: str, with_protocol: bool) -> str:
    paper, ours, gap = row.paper.get(split), row.ours.get(split), row.gap(split)
    cells = [
        row.row,
        *([row.protocol or "–"] if with_protocol else []),
        split,
        "–" if paper is None else in_figures(paper),
        "–" if ours is None else _ours(ours),
        "–" if gap is None else f"{gap:+.4f}",
        "–" if ours is None or ours.without_copies is None else f"{ours.without_copies:.4f}",
        _budget(row),
    ]
    return f"| {' | '.join(cells)} |"


def _ours(ours: Measured) -> str:
    interval = "" if ours.interval is None else " ({:.4f}–{:.4f})".format(*ours.interval)
    part = f" on {ours.n:,} of {ours.of:,} faces" if ours.n != ours.of else ""
    return f"{ours.accuracy:.4f}{interval}{part}"


def _budget(row: Row) -> str:
    if row.recipe is None:
        return "others' result"
    if row.budget is None:
        return "never run"
    start = f" from the weights of `{row.start}`" if row.start else ""
    ran = f"{row.budget}: best of {row.epochs} epochs{start}, seed {row.seed}, {row.minutes:.0f} min"
    return f"{ran}; not measured by {row.protocol}" if row.unmeasured else ran


def people(_: str) -> str:
    """System C's Table 1 beside FER+'s raters and the final network."""
    table = people_table(ledger.entries())
    lines = [
        "| emotion | people, paper | one FER+ rater | network in a rater's seat | against the labels |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in (*table.rows, table.over_all):
        rates = (row.paper, row.rater, row.network_as_rater, row.network)
        cells = ["–" if rate is None else f"{rate:.3f}" for rate in rates]
        lines.append(f"| {row.emotion} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def card(name: str) -> str:
    """A shipped network's figures, from its card."""
    found = card_of(name)
    figures = found["figures"]["public"]
    low, high = figures["accuracy_ci95"]
    calibration = figures["calibration"]
    kind, error = error_of_kind(calibration)
    start = f", from the weights of `{found['start']}`" if found.get("start") else ""
    protocols = "".join(
        f" {protocol.capitalize()}: {each['public']['accuracy']:.4f}"
        f" ({each['public']['accuracy_ci95'][0]:.4f}–{each['public']['accuracy_ci95'][1]:.4f},"
        f" {each['public']['n']:,} faces)."
        for protocol, each in found.get("protocols", {}).items()
    )
    return (
        f"`{name}` is the network of recipe `{found['recipe']}` (seed {found['seed']}, epoch "
        f"{found['budget']['best_epoch']} of {found['budget']['epochs']}{start}, "
        f"{found['bytes'] / 1e6:.1f} MB, {found['parameters']:,} parameters). On PublicTest, "
        "where it was selected: accuracy "
        f"{figures['accuracy']:.4f} ({low:.4f}–{high:.4f}), balanced "
        f"{figures['balanced_accuracy']:.4f}.{_crossed(calibration)}{_unseen(figures)}{protocols} "
        f"Expected calibration error, 15 bins: {calibration['ece_uncalibrated']:.4f} as trained, "
        f"{error:.4f} with {SCALED_BY[kind]} fitted on one half and measured on the other; what ships is "
        "fitted on all of PublicTest.\n"
    )


def _crossed(calibration: dict[str, Any]) -> str:
    """The accuracy of answers scaled by fits to other faces, where scaling can change an answer."""
    accuracy = fitted_elsewhere(calibration)
    return (
        ""
        if accuracy is None
        else f" Its answers scaled by fits to other faces than they are measured on: {accuracy:.4f}."
    )


def _unseen(figures: dict[str, Any]) -> str:
    """The accuracy where the faces that training has shown are left out, as far as the card says it."""
    words = {
        "without_copies": "copies of training faces",
        "without_leaks": "copies and near copies of training faces",
    }
    return "".join(
        f" Without {left_out}: {kept['accuracy']:.4f} ({kept['accuracy_ci95'][0]:.4f}–"
        f"{kept['accuracy_ci95'][1]:.4f}, {kept['n']:,} faces)."
        for key, left_out in words.items()
        if (kept := figures.get(key))
    )


def framing(_: str) -> str:
    """Accuracy through each detector, from `benchmarks/framing.py accuracy`."""
    found = json.loads((MEASUREMENTS / "framing.json").read_text(encoding="utf-8"))
    n = found["faces"]
    lines = [
        "| detector | found | invented | right on found (95 % interval) | same as given | right of all |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, each in found["detectors"].items():
        faces = round(each["found"] * n)
        low, high = wilson(round(each["accuracy_on_found"] * faces), faces)
        lines.append(
            f"| {name} | {each['found']:.3f} | {each['false_alarms']} | "
            f"{each['accuracy_on_found']:.3f} ({low:.3f}–{high:.3f}) | "
            f"{each['as_given_on_found']:.3f} | {each['accuracy_of_all']:.3f} |"
        )
    seed = (
        f"{n:,} PublicTest faces" if n == 3589 else f"{n:,} PublicTest faces drawn with seed {found['seed']}"
    )
    return (
        f"{seed}, enlarged and laid on a larger canvas with their border repeated; `{found['model']}` reads "
        f"{found['as_given']:.3f} of them right as given (`{found['command']}`):\n\n"
        + "\n".join(lines)
        + "\n"
    )


def speed(_: str) -> str:
    """Rates of every network, from `mien bench --json`."""
    found = json.loads((MEASUREMENTS / "bench.json").read_text(encoding="utf-8"))
    computer = found["machine"]
    lines = [
        "| network or recipe | mult-adds | batch, precision | training | of matrix rate | before the network "
        "| inference at 1 | at 64 | Eval2 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in found["networks"]:
        rates = each["inference_images_s"]
        lines.append(
            f"| {each['subject']} | {each['multiply_adds'] / 1e6:.1f} M | "
            f"{each['batch_size']}, {each['precision']} | {each['train_images_s']:,.0f}/s | "
            f"{each['share_of_matrix_rate']:.0%} | {each['share_outside_network']:.1%} | "
            f"{rates['1']:,.0f}/s | {rates['64']:,.0f}/s | {_faces_min(each['eval2_faces_min'])} |"
        )
    matrix = ", ".join(f"{rate:.0f} GFLOP/s in {name}" for name, rate in found["matrix_rate_gflop_s"].items())
    return (
        f"`mien bench` with these names and `--seconds {found['seconds']}` on {computer['processor']}, "
        f"{computer['threads']} threads, with matrix products at {matrix}; {found['formula']}:\n\n"
        + "\n".join(lines)
        + "\n"
        + "".join(_pairs(each) for each in found["networks"] if each.get("pairs"))
    )


def _pairs(speed: dict[str, Any]) -> str:
    """What the loss over all pairs of a batch saves a network that maps faces."""
    pairs = speed["pairs"]
    return (
        f"\n`{speed['subject']}`: a step on {pairs['images']} faces with all their {pairs['pairs']:,} pairs "
        f"takes {pairs['all_pairs_s']:.2f} s, the loop of two forward passes a pair "
        f"{pairs['two_passes_s']:.0f} s, scaled from {pairs['measured_pairs']:,} of them: "
        f"{pairs['ratio']:.0f} times as long.\n"
    )


def layouts(_: str) -> str:
    """Training rates by memory layout, precision, threads and compilation, from `benchmarks/layouts.py`."""
    found = json.loads((MEASUREMENTS / "layouts.json").read_text(encoding="utf-8"))
    recipes = list(dict.fromkeys(row["recipe"] for row in found["rows"]))
    lines = [
        f"| precision | layout | threads | {' | '.join(f'`{name}`' for name in recipes)} |",
        f"| {' | '.join('---' for _ in range(3 + len(recipes)))} |",
    ]
    rates: dict[tuple[str, str, int], list[str]] = {}
    for row in found["rows"]:
        layout = "channels last" if row["channels_last"] else "contiguous"
        layout += ", compiled" if row["compiled"] else ""
        rates.setdefault((row["precision"], layout, row["threads"]), []).append(f"{row['images_s']:,.0f}/s")
    lines += [f"| {p} | {layout} | {n} | {' | '.join(each)} |" for (p, layout, n), each in rates.items()]
    return "\n".join(lines) + "\n"


def circumplex(name: str) -> str:
    """A table of the maps of emotions, from the ledger and `benchmarks/three_maps.py`."""
    return circumplex_tables.BLOCKS[name](_maps())


@cache
def _maps() -> circumplex_tables.Results:
    return circumplex_tables.Results.read(packaged("results"))


def sheet(name: str) -> str:
    """A table of any shape as `mien reproduce` prints it, without its notes."""
    return "\n".join(_markdown(block) for block in SHEETS[name].make(_sources()).blocks)


def means(name: str) -> str:
    """The first block of a sheet: of several runs their mean."""
    return _markdown(replace(SHEETS[name].make(_sources()).blocks[0], title=""))


@cache
def _sources() -> Sources:
    return Sources([recipe.load(name) for name in recipe.names()], ledger.entries())


def _markdown(block: Block) -> str:
    lines = [block.heads, ["---"] * len(block.heads), *block.rows]
    table = "".join(f"| {' | '.join(cell or '–' for cell in line)} |\n" for line in lines)
    return f"{block.title}:\n\n{table}" if block.title else table


def iterations(_: str) -> str:
    """Speed of the autoencoders on landmarks, from `mien bench --json`."""
    found = json.loads((MEASUREMENTS / "bench-landmarks.json").read_text(encoding="utf-8"))
    lines = [
        "| recipe | precision | batch | iterations a second | ms | its matrix products, ms | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {each['subject']} | {each['precision']} | {each['batch_size']} | {each['iterations_s']:,.0f} | "
        f"{1000 * each['step_s']:.2f} | {1000 * each['products_s']:.2f} | {each['ratio']:.2f} |"
        for part in found
        for each in part["landmarks"]
    ]
    computer = found[0]["machine"]
    return (
        f"`OMP_NUM_THREADS={computer['threads']} mien bench e/model-1 e/model-2 e/model-3 --seconds "
        f"{found[0]['seconds']:g} --precision 32-true`, then `bf16-mixed`, on {computer['processor']}:\n\n"
        + "\n".join(lines)
        + "\n"
    )


def _faces_min(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:,.0f} faces/min"


def install(_: str) -> str:
    """Size and start of the plain install, from `benchmarks/install.py`."""
    found = json.loads((MEASUREMENTS / "install.json").read_text(encoding="utf-8"))
    return (
        f"The plain install takes {found['megabytes']:,.0f} MB, nearly all of it onnxruntime, OpenCV and "
        "numpy. "
        f"From the command to the printed reading of a 512×512 photograph: "
        f"{found['predict_haar']['wall_s']:.2f} s ({found['predict_haar']['processor_s']:.2f} s of processor "
        f"time); `mien --help`: {found['help']['processor_s']:.2f} s. Medians of {found['runs']} runs on "
        f"{found['machine']['cores']} cores of {found['machine']['processor']} (`{found['command']}`).\n"
    )


def _of_networks(make: Callable[[str, Sources], str], name: str) -> str:
    """A table of our own networks."""
    return make(name, _sources())


def explained(name: str) -> str:
    """A table of a network's explanations, such as trust/vgg_c, from `mien explanations measure`."""
    table, model = name.split("/")
    return explain_tables.TABLES[table](explain_tables.read(MEASUREMENTS / f"explain-{model}.json"))


BLOCKS: dict[str, Callable[[str], str]] = {
    "ledger": paper_table,
    "people": people,
    "card": card,
    "framing": framing,
    "speed": speed,
    "layouts": layouts,
    "install": install,
    "circumplex": circumplex,
    "sheet": sheet,
    "means": means,
    "iterations": iterations,
    "explained": explained,
    "doubt": doubt_table,
    **{kind: partial(_of_networks, make) for kind, make in network_tables.BLOCKS.items()},
}
"""What a block of a page is made of, by the word that opens it."""


def filled(text: str) -> str:
    """A page with every marked block written anew."""
    return _BLOCK.sub(lambda match: match[1] + BLOCKS[match["kind"]](match["name"] or "") + match[4], text)


def main() -> None:
    """Rewrites the pages, or exits 1 with --check where one differs from the ledger."""
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        fresh = filled(text)
        if "--check" not in sys.argv:
            write_text(ROOT / page, fresh)
        elif fresh != text:
            sys.exit(f"{page} differs from the ledger: run make readme")


if __name__ == "__main__":
    main()
