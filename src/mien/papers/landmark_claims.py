"""What the thesis finds of Models 1 to 3, beside what our runs say: every verdict follows by its rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mien.evaluation.landmarks.people import Difference, difference_interval
from mien.papers.landmark_dimensions import RULES, dimension_claims
from mien.papers.landmark_findings import CLAIMS, POSED, RULE_KINDS, SPONTANEOUS, Claim
from mien.papers.landmark_published import FACES
from mien.papers.landmark_runs import MEASURES, SPLITS, LandmarkRun, landmark_runs_of
from mien.papers.landmark_tables import SYNTHETIC
from mien.papers.sheet import Block, Sheet
from mien.papers.sources import Sources
from mien.papers.verdicts import NEVER_RUN, together
from mien.training.recipe import BUDGETS

TITLE = "the thesis's findings, and what our runs say"

RUNS = "E/6.14"
"""The table whose recipes most of them are judged by; those of spontaneous faces are Table 6.23's."""

JUDGED_ON = ("unseen", "private")
"""Splits of people that no network has seen: many of ours, and as many as the thesis has."""


@dataclass(frozen=True)
class Judged:
    """A claim by the runs under one budget, on one split. differences: by the other representation."""

    claim: Claim
    budget: str
    split: str
    verdict: str
    differences: Mapping[str, Difference]


def sheet(sources: Sources) -> Sheet:
    """Every claim under every budget that its models were run with, on both kinds of unseen people."""
    runs = {
        recipe: landmark_runs_of(sources.entries, recipe)
        for recipe in {name for claim in CLAIMS for name in claim.kind.recipes.values()}
    }
    judged = list(_judged(runs))
    dimensions = dimension_claims(sources)
    never_run = [name for kind in (POSED, SPONTANEOUS) for name in kind.recipes.values() if not runs[name]]
    blocks = [*_blocks(judged), dimensions.block]
    held = [run for found in runs.values() for run in found]
    notes = [FACES[POSED.name], FACES[SPONTANEOUS.name]]
    if any(run.synthetic for run in held):
        notes.append(SYNTHETIC)
    return Sheet(
        blocks,
        [*notes, *_rules(), *RULES],
        never_run,
        {
            "thesis_data": dict(FACES),
            "synthetic": any(run.synthetic for run in held) if held else None,
            "rules": _rules(),
            "claims": [_to_dict(claim, judged) for claim in CLAIMS],
            "dimensions": dimensions.data,
            "never_run": never_run,
        },
    )


def _judged(runs: Mapping[str, Sequence[LandmarkRun]]) -> Iterator[Judged]:
    for claim in CLAIMS:
        for budget in reversed(BUDGETS):
            for split in JUDGED_ON:
                if (found := judge(claim, runs, budget, split)) is not None:
                    yield found


def judge(claim: Claim, runs: Mapping[str, Sequence[LandmarkRun]], budget: str, split: str) -> Judged | None:
    """One claim; None where one of its representations was not measured so on the same people.

    runs: by recipe.
    """
    sides = [
        _alike(runs[claim.kind.recipes[role]], budget, split, claim.measure)
        for role in (claim.ours, *claim.others)
    ]
    if not sides[0]:
        return None
    measured = _measured(sides[0][0], split, claim.measure)
    ours, *others = (
        [run for run in side if _measured(run, split, claim.measure) == measured] for side in sides
    )
    if not all(others):
        return None
    differences = {
        role: _difference(ours, theirs, split, claim.measure)
        for role, theirs in zip(claim.others, others, strict=True)
    }
    verdict = together([claim.rule.verdict(found) for found in differences.values()])
    return Judged(claim, budget, split, verdict, differences)


def _alike(runs: Sequence[LandmarkRun], budget: str, split: str, measure: str) -> list[LandmarkRun]:
    """Those of the budget that measured it; a baseline is the same under any."""
    return [
        run
        for run in runs
        if (run.budget == budget or not run.trained) and run.value(split, measure) is not None
    ]


def _measured(run: LandmarkRun, split: str, measure: str) -> tuple[bool, dict[str, int]]:
    """What it was measured on: synthetic faces or people's, and how many of whose faces or triplets.

    F1 and AUC are not counted by person: of them, the people of whom anything else was counted.
    """
    counts = run.counts(split, measure)
    if counts is None:
        people = {person for each in MEASURES for person in run.counts(split, each) or {}}
        return run.synthetic, dict.fromkeys(people, 0)
    return run.synthetic, {person: n for person, (_, n) in counts.items()}


def _difference(
    ours: Sequence[LandmarkRun], theirs: Sequence[LandmarkRun], split: str, measure: str
) -> Difference:
    """Of the means over runs; paired over people where theirs were counted, as F1 and AUC cannot be."""
    counts = [[run.counts(split, measure) for run in side] for side in (ours, theirs)]
    kept = [[found for found in side if found is not None] for side in counts]
    if kept == counts:
        return difference_interval(*kept)
    means = [sum(run.value(split, measure) or 0.0 for run in side) / len(side) for side in (ours, theirs)]
    people = ours[0].splits[split]["people"]
    return Difference(means[0] - means[1], None, people, (len(ours), len(theirs)))


def _blocks(judged: Sequence[Judged]) -> list[Block]:
    heads = (
        "finding",
        "data",
        "budget",
        "verdict",
        "against",
        "difference (95 % interval over people)",
        "of",
    )
    blocks = []
    for split in JUDGED_ON:
        rows = [
            row for claim in CLAIMS for found in _of(claim, split, judged) for row in _cells(claim, found)
        ]
        blocks.append(Block(heads, rows, f"{TITLE}: {SPLITS[split]} people"))
    return blocks


def _of(claim: Claim, split: str, judged: Sequence[Judged]) -> list[Judged | None]:
    """What was judged of a claim on a split, or one None."""
    found: list[Judged | None] = [each for each in judged if each.claim is claim and each.split == split]
    return found or [None]


def _cells(claim: Claim, found: Judged | None) -> Iterator[tuple[str, ...]]:
    """A line for each representation that it is compared with; the first says which claim it is."""
    if found is None:
        yield claim.name, claim.kind.name, "", NEVER_RUN, "–", "–", ""
        return
    verdict = found.verdict if claim.thesis else f"{found.verdict} (our question)"
    first: tuple[str, ...] = (claim.name, claim.kind.name, found.budget, verdict)
    for role, each in found.differences.items():
        runs = f"{each.runs[0]} run{'s' * (each.runs[0] > 1)}, {each.people:,} people"
        yield (*first, role, _signed(each), runs)
        first = ("", "", "", "")


def _signed(found: Difference) -> str:
    ends = "" if found.ci95 is None else " ({:+.3f} to {:+.3f})".format(*found.ci95)
    return f"{found.value:+.3f}{ends}".replace("-", "−")


def _rules() -> list[str]:
    """How verdicts come about, and each claim in the thesis's sense."""
    return [
        *(f"{rule.name}: {rule.says}" for rule in RULE_KINDS),
        "F1 and AUC are no counts by person: their differences have no interval, and hold partly at best",
        f"{NEVER_RUN}: not all that are compared, under one budget and on the same people",
        "against several: the verdict where all agree, else 'partly'",
        "several runs: a difference of means over seeds, whose interval covers the choice of seeds too",
        *(
            f"{claim.name} ({claim.kind.name}): {claim.thesis or 'Not in the thesis.'} Rule: "
            f"{MEASURES[claim.measure]} of {claim.ours} {claim.rule.name} {' and '.join(claim.others)}."
            for claim in CLAIMS
        ),
    ]


def _to_dict(claim: Claim, judged: Sequence[Judged]) -> dict[str, Any]:
    return {
        "claim": claim.name,
        "data": claim.kind.name,
        "thesis": claim.thesis or None,
        "measure": claim.measure,
        "ours": claim.kind.recipes[claim.ours],
        "judged": [
            {
                "budget": found.budget,
                "split": found.split,
                "verdict": found.verdict,
                "differences": {
                    claim.kind.recipes[role]: each.to_dict() for role, each in found.differences.items()
                },
            }
            for found in judged
            if found.claim is claim
        ],
    }
