"""The report of a slice budget study: ``report.html`` to read, ``report.json`` to compute with.

Neither holds names of cases or anything of their images.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pgt import __version__
from pgt.output_files import write_text
from pgt.plain_data import to_plain
from pgt.studies.evaluation import METRIC_NAMES, METRIC_TITLES
from pgt.studies.seed_case_spread import Interval
from pgt.studies.slice_budget import SliceBudgetResults
from pgt.studies.slice_budget_configuration import Option
from pgt.studies.slice_budget_findings import (
    FEWEST_SEEDS,
    WAYS,
    Choice,
    Finding,
    Recommendation,
    ScoreTable,
    findings,
    recommendations,
    score_table,
)
from pgt.studies.study_charts import LineChart, Point, Series
from pgt.studies.study_page import PagePart, PageTable, StudyPage, page_html

PAGE = "report.html"
NUMBERS = "report.json"
REPORT_SCHEMA = "pgt-slice-budget-report"
REPORT_VERSION = 1

_UNEVEN = 0.15
"""Budgets that should be one but differ by more than this part are pointed out."""
_LEARNT_NOTHING = 0.1

_ONE_SEED = (
    "There was one seed only: intervals and likelihoods know nothing of how much one training differs from "
    "the next, and no finding can be told from chance."
)

_SLICES = {"R": "sagittal", "A": "coronal", "S": "axial"}


def write_report(results: SliceBudgetResults, folder: Path) -> tuple[str, ...]:
    """Write page and numbers.

    Args:
        results: of all cells.
        folder: receives ``report.html`` and ``report.json``, replacing older ones.

    Returns:
        The answer in a few sentences.

    Raises:
        OutputError: a file cannot be written.
    """
    configuration = results.configuration
    table = score_table(configuration.options(), configuration.seeds, results.cells, configuration.metric)
    found = findings(table, configuration.margin)
    advised = recommendations(table, configuration.margin)
    page = slice_budget_page(results, table, found, advised)
    write_text(folder / PAGE, page_html(page), overwrite=True)
    numbers = _numbers(results, table, found, advised)
    write_text(folder / NUMBERS, json.dumps(numbers, indent=1) + "\n", overwrite=True)
    return page.lead


def slice_budget_page(
    results: SliceBudgetResults,
    table: ScoreTable,
    found: Sequence[Finding],
    advised: Sequence[Recommendation],
) -> StudyPage:
    """The page as words, tables and curves."""
    return StudyPage(
        "Slice budget: how many slices of how many cases to draw",
        (
            *(_advice(results, one) for one in _largest_budgets(advised)),
            *((_ONE_SEED,) if table.seeds < FEWEST_SEEDS else ()),
        ),
        (
            _findings_part(results, found),
            PagePart(
                "How to spend a budget",
                (
                    "Each line is one way to spend the budget of its block; the best by its mean stands "
                    "first. “Best” and “near best” say how likely it is that with other seeds and "
                    "other test cases it would be the best way of its block, or at most "
                    f"{_points(results.configuration.margin)} below the best.",
                    *((_STAGGERED,) if any(o.strategy == "staggered" for o in table.options) else ()),
                ),
                tables=(_advice_table(advised),) if advised else (),
            ),
            PagePart(
                "Performance over budget",
                messages=_warnings(results, table),
                charts=_charts(results, table),
            ),
            PagePart("All that was tried", tables=(_all_options(table),)),
        ),
        _facts(results),
    )


def _largest_budgets(advised: Sequence[Recommendation]) -> list[Recommendation]:
    """Of each network the budget with most ways to compare, the larger where there are as many."""
    networks = dict.fromkeys(one.network for one in advised)
    return [
        max((one for one in advised if one.network == name), key=lambda one: (len(one.choices), one.budget))
        for name in networks
    ]


def _advice(results: SliceBudgetResults, advised: Recommendation) -> str:
    best = advised.choices[0]
    alike = [one for one in advised.choices[1:] if one.near_best >= 0.5]
    title = METRIC_TITLES[results.configuration.metric]
    sentence = (
        f"{advised.network}, about {best.slices:.0f} drawn slices: {_way(best)} "
        f"({title} {_interval(best.mean)}). That it is the best of {len(advised.choices)} ways is "
        f"{best.best:.0%} likely, that it is within {_points(results.configuration.margin)} of the best "
        f"{best.near_best:.0%}."
    )
    if alike:
        sentence += f" As good as that, as far as can be told: {'; '.join(_way(one) for one in alike)}."
    return sentence


def _way(choice: Choice) -> str:
    option = choice.option
    each = max(choice.slices / option.volumes, 1)
    count = f"{each:.0f}" if abs(each - round(each)) < 0.2 else f"{int(each)} to {int(each) + 1}"
    slices = WAYS[option.strategy] if count != "1" else WAYS[option.strategy][:-1]
    filled = ", those between propagated" if option.propagated else ""
    return f"{each:.0f} {slices} in each of {option.volumes} case{'s' if option.volumes > 1 else ''}{filled}"


def _findings_part(results: SliceBudgetResults, found: Sequence[Finding]) -> PagePart:
    """The paper's findings and what these data say of each."""
    rows: list[tuple[str, ...]] = []
    for number, finding in enumerate(found, start=1):
        for one in finding.comparisons:
            about = f"{one.network}, {one.which}" if one.which else one.network
            difference = _interval(one.difference, True)
            rows.append((str(number), about, one.verdict.value, difference, f"{one.ahead} of {one.pairs}"))
    title = METRIC_TITLES[results.configuration.metric]
    header = ("Finding", "Compared", "These data", f"Difference of {title} (95 % interval)", "Ahead")
    return PagePart(
        "Does it agree with the paper?",
        points=tuple(
            f"{number}. “{finding.sentence}” "
            + (f"Here: {finding.compared}." if finding.comparisons else "Not tried here.")
            for number, finding in enumerate(found, start=1)
        ),
        tables=(PageTable(header, tuple(rows), _FINDING_CAPTION, words=3),) if rows else (),
    )


_FINDING_CAPTION = (
    "Mean difference over all pairs of ways that were tried, and in how many pairs the first way is ahead. "
    "These data agree with the first finding where the interval lies above 0, and disagree where it lies "
    "below; they agree with the others where it ends below the margin, and disagree where it lies above 0."
)
_STAGGERED = "Staggered slices are evenly spaced, from another start in every case."


def _warnings(results: SliceBudgetResults, table: ScoreTable) -> tuple[str, ...]:
    configuration, said = results.configuration, []
    if table.seeds < FEWEST_SEEDS:
        said.append(_ONE_SEED)
    elif table.seeds < 5:
        said.append(f"The spread over seeds is estimated from {table.seeds} seeds, and so only roughly.")
    for network, budget in sorted({(option.network, option.budget) for option in table.options}):
        drawn = [
            slices
            for option, slices in zip(table.options, table.slices, strict=True)
            if (option.network, option.budget) == (network, budget)
        ]
        if max(drawn) > (1 + _UNEVEN) * min(drawn):
            said.append(
                f"{network}, budget of {budget:g} volumes: whole slices made it {min(drawn):.0f} to "
                f"{max(drawn):.0f} slices, so it is not quite one budget."
            )
    means = table.scores[configuration.metric].mean(axis=(1, 2))
    nothing = [
        option.name for option, mean in zip(table.options, means, strict=True) if mean < _LEARNT_NOTHING
    ]
    if nothing:
        said.append(f"Learnt next to nothing: {', '.join(nothing)}.")
    return tuple(said)


def _charts(results: SliceBudgetResults, table: ScoreTable) -> tuple[LineChart, ...]:
    """A chart for each network and way to choose slices, one line a density, where any has two points."""
    title = METRIC_TITLES[results.configuration.metric]
    charts = []
    for network in dict.fromkeys(option.network for option in table.options):
        for way, words in WAYS.items():
            drawn = [
                option
                for option in sorted(table.options, key=lambda option: option.volumes)
                if (option.network, option.strategy, option.propagated) == (network, way, False)
            ]
            lines = [
                Series(
                    f"{density:.0%} of the slices",
                    tuple(_point(table, option) for option in drawn if option.density == density),
                )
                for density in sorted({option.density for option in drawn})
            ]
            if any(len(line.points) > 1 for line in lines):
                caption = (
                    f"{network}, {words}: {title} on the kept-out cases over the budget. Each line is a "
                    "density; further right on it are more cases."
                )
                charts.append(LineChart(tuple(lines), "slices drawn in all", title, caption, True))
    return tuple(charts)


def _point(table: ScoreTable, option: Option) -> Point:
    place = table.options.index(option)
    found = table.drawn.of(place)
    return Point(float(table.slices[place]), found.mean, found.low, found.high)


def _advice_table(advised: Sequence[Recommendation]) -> PageTable:
    rows: list[tuple[str, ...]] = []
    best: set[tuple[int, int]] = set()
    for block in advised:
        best.add((len(rows), 0))
        for number, one in enumerate(block.choices):
            first = f"{block.network}, budget of {block.budget:g} volumes" if number == 0 else ""
            rows.append(
                (first, _way(one), f"{one.slices:.0f}", _interval(one.mean), f"{one.best:.0%}",
                 f"{one.near_best:.0%}")
            )  # fmt: skip
    header = ("Network and budget", "Way", "Slices", "Mean (95 % interval)", "Best", "Near best")
    return PageTable(header, tuple(rows), words=2, best=frozenset(best))


def _all_options(table: ScoreTable) -> PageTable:
    rows = []
    for place, option in enumerate(table.options):
        means = [float(table.scores[name][place].mean()) for name in METRIC_NAMES]
        by_seed = table.scores["dice"][place].mean(axis=1)
        filled = table.filled_iou.get(option)
        rows.append(
            (
                option.network,
                option.strategy,
                "yes" if option.propagated else "no",
                f"{option.density:.0%}",
                str(option.volumes),
                f"{table.slices[place]:.0f}",
                *(f"{mean:.3f}" for mean in means),
                " ".join(f"{mean:.3f}" for mean in by_seed),
                "" if filled is None else f"{filled:.3f}",
            )
        )
    header = (
        "Network", "Slices chosen", "Propagated", "Density", "Cases", "Slices",
        *(METRIC_TITLES[name] for name in METRIC_NAMES), "Dice by seed", "IoU of filled slices",
    )  # fmt: skip
    caption = "Means over seeds, kept-out cases and labels, on the cases' own grids."
    return PageTable(header, tuple(rows), caption, words=3)


def _facts(results: SliceBudgetResults) -> tuple[tuple[str, str], ...]:
    configuration = results.configuration
    devices = sorted({str(cell["device"]) for cell in results.cells.values()})
    seconds = sum(float(cell["training_seconds"]) for cell in results.cells.values())
    facts = [
        ("Paper", "Zhang and Mazurowski, How to select slices for annotation"),
        ("Cases", f"{results.training} to train on, {results.test} kept out of every training"),
        ("Labels", ", ".join(str(value) for value in results.values)),
        ("Slices", f"{_SLICES[results.across]}, chosen on a grid of {_spacing(results)} mm"),
        ("Repeated", f"{configuration.seeds} times, each with cases, random slices and weights of its own"),
        ("Propagated by", f"pgt propagate --method {configuration.propagation_method}"),
        ("NSD", f"at {configuration.tolerance_mm:g} mm"),
        ("Trainings", f"{len(results.cells)}, {seconds / 60:.0f} minutes on {' and '.join(devices)}"),
    ]
    for network in configuration.networks:
        name = f"{network.name}-"
        counts = {cell["parameters"] for key, cell in results.cells.items() if key.startswith(name)}
        numbers = " and ".join(f"{count:,}" for count in sorted(counts))
        facts.append(
            (
                f"Network {network.name}",
                f"{network.architecture} in {network.dimensions}D, channels {list(network.channels)}, "
                f"{numbers} parameters; {network.steps} steps of {network.batch}",
            )
        )
    facts.append(("Made by", f"PGT Toolkit {__version__}"))
    return tuple(facts)


def _numbers(
    results: SliceBudgetResults,
    table: ScoreTable,
    found: Sequence[Finding],
    advised: Sequence[Recommendation],
) -> dict[str, Any]:
    """What the page says, for programs."""
    configuration = to_plain(results.configuration)
    del configuration["cases"]  # a path of this machine
    return {
        "schema": REPORT_SCHEMA,
        "version": REPORT_VERSION,
        "made_by": f"PGT Toolkit {__version__}",
        "configuration": configuration,
        "training_cases": results.training,
        "test_cases": results.test,
        "labels": list(results.values),
        "slices_across": results.across,
        "options": [
            {
                **to_plain(option),
                "slices": round(float(table.slices[place]), 2),
                **{name: round(float(table.scores[name][place].mean()), 5) for name in METRIC_NAMES},
                "interval": table.drawn.of(place).plain(),
                "by_seed": np.round(
                    table.scores[results.configuration.metric][place].mean(axis=1), 5
                ).tolist(),
                "filled_iou": table.filled_iou.get(option),
            }
            for place, option in enumerate(table.options)
        ],
        "findings": to_plain(tuple(found)),
        "recommendations": to_plain(tuple(advised)),
        "messages": list(_warnings(results, table)),
    }


def _interval(found: Interval, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{found.mean:{sign}.3f} ({found.low:{sign}.3f} to {found.high:{sign}.3f})".replace("-", "−")


def _points(margin: float) -> str:
    points = 100 * margin
    return f"{points:g} point{'' if points == 1 else 's'}"


def _spacing(results: SliceBudgetResults) -> str:
    return " × ".join(f"{length:g}" for length in results.spacing)
