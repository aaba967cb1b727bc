"""``report.html`` of a study of label quality."""

from __future__ import annotations

from pgt.agreement.bootstrap import mean_estimate
from pgt.studies.label_quality import EMPTY_POLICY, METRICS, Quality
from pgt.studies.label_quality_answer import FLAT, LEARNT, SMALL, Answer, Use
from pgt.studies.label_quality_chart import VersionChart
from pgt.studies.label_quality_configuration import LabelQualityConfiguration
from pgt.studies.label_quality_files import RaterAgreement
from pgt.studies.label_quality_results import LabelQualityResults, TaskResults
from pgt.studies.label_quality_words import (
    TITLES,
    comparison,
    lead,
    points,
    raters_sentence,
    sentences,
    with_interval,
)
from pgt.studies.label_versions import NONE
from pgt.studies.study_charts import Point, Series
from pgt.studies.study_page import PagePart, PageTable, StudyPage, page_html

_PAIRS_SHOWN = 12


def report_html(
    configuration: LabelQualityConfiguration,
    results: LabelQualityResults,
    answers: tuple[Answer, ...],
    raters: RaterAgreement | None,
) -> str:
    """The page.

    Args:
        configuration: of the study.
        results: of it.
        answers: `pgt.studies.label_quality_answer.answers_of`.
        raters: what raters reach; None where nothing is known of it.
    """
    said = (*lead(answers), *filter(None, [comparison(answers)]))
    if raters is not None:
        said = (*said, raters_sentence(results, raters.lower, raters.upper))
    parts = [_labels_part(results), _use_part(results, results.in_domain, Use.IN_DOMAIN, answers)]
    if results.fine_tuned is not None:
        parts.append(_use_part(results, results.fine_tuned, Use.FINE_TUNING, answers))
    page = StudyPage(
        title="Is it worth improving these labels?",
        lead=said,
        parts=(*parts, _rule_part()),
        facts=_facts(configuration, results),
    )
    return page_html(page)


def _labels_part(results: LabelQualityResults) -> PagePart:
    rows = []
    for name in results.versions:
        qualities = [results.label_quality(name, metric) for metric in METRICS]
        rows.append((name, results.described[name], *map(_score, qualities)))
    tables = [
        PageTable(
            header=("labels", "how they came about", "Dice", "NSD"),
            rows=tuple(rows),
            caption="Mean over structures and cases ± root mean square of the structures' deviations",
            words=2,
        )
    ]
    if len(results.structures) > 1:
        tables.append(_by_structure(results))
    messages: tuple[str, ...] = ()
    if results.left_out:
        messages = (
            f"Left out, because some version cannot hold it (equation 3): {', '.join(results.left_out)}.",
        )
    return PagePart(
        "Quality of the labels", paragraphs=(EMPTY_POLICY,), messages=messages, tables=tuple(tables)
    )


def _by_structure(results: LabelQualityResults) -> PageTable:
    rows = []
    for name in results.versions:
        found = results.label_quality(name, "dice").structures
        rows.append((name, *(f"{one.mean:.3f} ± {one.deviation:.3f}" for one in found)))
    return PageTable(("Dice by structure", *results.structures), tuple(rows))


def _use_part(
    results: LabelQualityResults, task: TaskResults, use: Use, answers: tuple[Answer, ...]
) -> PagePart:
    found = [answer for answer in answers if answer.use is use]
    title = {
        Use.IN_DOMAIN: "In-domain: trained on a version, measured against the base labels",
        Use.FINE_TUNING: "Pre-training: trained on a version, fine-tuned on few original labels",
    }[use]
    kept = task.scores.shape[2]
    paragraph = (
        f"Structures: {', '.join(task.structures)}. {kept} kept-out cases, {task.scores.shape[1]} training "
        "seeds; numbers are means over both ± root mean square of the structures' standard deviations over "
        "the cases. Vertical bars in the charts: 95 % interval over the cases. The dashed line: as good as "
        "the labels."
    )
    charts = tuple(_chart(results, task, use, metric) for metric in METRICS)
    messages: tuple[str, ...] = ()
    if task.unlearnt:
        messages = (
            f"Left out: training seed {', '.join(map(str, task.unlearnt))}, with which not even the networks "
            "that had learnt from the base labels learnt every structure. Train longer to have all seeds.",
        )
    return PagePart(
        title,
        messages=messages,
        paragraphs=(paragraph,),
        points=tuple(sentence for answer in found for sentence in sentences(answer)),
        charts=charts,
        tables=(_fared(results, task, found), _pairs(found[0])),
    )


def _fared(results: LabelQualityResults, task: TaskResults, answers: list[Answer]) -> PageTable:
    over = {one.version: one.gain for one in answers[0].over_none}
    header = ("learnt from", "label Dice", "Dice", "NSD", "by seed (Dice)")
    rows = []
    for name in task.versions:
        label = "" if name == NONE else f"{results.label_quality(name, 'dice').mean:.3f}"
        seeds = ", ".join(f"{mean:.3f}" for mean in task.seed_means(name, "dice"))
        row = (name, label, *(_score(task.quality(name, metric)) for metric in METRICS), seeds)
        rows.append((*row, with_interval(over[name], 1, 100) if name in over else "") if over else row)
    best = max(range(len(rows)), key=lambda row: task.quality(task.versions[row], "dice").mean)
    return PageTable(
        header=(*header, "points of Dice over no pre-training") if over else header,
        rows=tuple(rows),
        best=frozenset({(best, 2)}),
    )


def _pairs(answer: Answer) -> PageTable:
    """The pairs around where improvements begin to pay off."""
    paid = answer.pay_off
    shown = answer.gains[:_PAIRS_SHOWN]
    rows = tuple(
        (
            gain.better,
            gain.worse,
            points(gain.improvement),
            with_interval(gain.gain, 1, 100).replace("95 % interval ", ""),
            "yes" if gain.paid_off else "lost" if gain.lost else "no",
        )
        for gain in shown
    )
    rest = len(answer.gains) - len(shown)
    more = f"; {rest} larger ones are in report.json" if rest else ""
    return PageTable(
        header=("better labels", "than", "label Dice, points", "result, points", "paid off"),
        rows=rows,
        caption=(
            f"The smallest improvements of {paid.pairs}, {paid.paid} of which paid off; intervals widened "
            f"for the number of pairs{more}"
        ),
        words=2,
    )


def _chart(results: LabelQualityResults, task: TaskResults, use: Use, metric: str) -> VersionChart:
    series = []
    for name in results.versions:
        by_case = task.by_case(metric)[task.row(name)].mean(axis=0)
        estimate = mean_estimate(by_case.tolist())
        point = Point(
            results.label_quality(name, metric).mean,
            float(by_case.mean()),
            estimate.lower,
            estimate.upper,
        )
        series.append(Series(name, (point,)))
    title = TITLES[metric]
    return VersionChart(
        series=tuple(series),
        across=f"{title} of the labels",
        up=f"{title} of the network",
        caption=f"{title} of the network against {title} of the labels it learnt from",
        diagonal=use is Use.IN_DOMAIN,
    )


def _score(quality: Quality) -> str:
    return f"{quality.mean:.3f} ± {quality.deviation:.3f}"


def _rule_part() -> PagePart:
    return PagePart(
        "How the answer is found",
        paragraphs=(
            "A pair of versions paid off where the better labels gave a better result on the kept-out cases: "
            "with every training seed, and with an interval of the difference over the cases (studentised "
            "bootstrap, widened for the number of pairs) above 0. Improving is worth it where every "
            f"improvement of {100 * SMALL:g} points or more paid off; not worth it where the slope's "
            f"interval stays below {FLAT:g} points of result for a point of label quality; worth it only "
            "where much can be improved where that interval lies above 0 and some pair paid off; else these "
            f"cases cannot tell. Nor can they where no version led to a score of {LEARNT:g}.",
            "Intervals of correlations and slopes: percentiles over 2,000 resamples of the cases whose "
            "labels were judged, of the kept-out cases and of the seeds. They do not speak of label versions "
            "that were not tried, nor of networks that train longer.",
        ),
    )


def _facts(
    configuration: LabelQualityConfiguration, results: LabelQualityResults
) -> tuple[tuple[str, str], ...]:
    c = configuration
    kept = results.in_domain.scores.shape[2]
    spacing = "median of the cases" if c.spacing_mm is None else " × ".join(f"{mm:g}" for mm in c.spacing_mm)
    facts = [
        ("cases", f"{results.training_cases} to train on, {kept} kept out, the same for every version"),
        ("structures", ", ".join(results.structures)),
        ("network", f"DynUNet, channels {'-'.join(map(str, c.channels))}, voxels of {spacing} mm"),
        (
            "training",
            f"{c.steps} steps of {c.batch}, AdamW, learning rate {c.learning_rate:g} falling to 0 along a "
            f"cosine; seeds {', '.join(map(str, c.seeds))}; for every version the same first weights, cases "
            "and order",
        ),
        ("measured", f"on each case's own grid; NSD at {c.tolerance_mm:g} mm"),
    ]
    if c.fine_tuning is not None and results.fine_tuned is not None:
        tuned = c.fine_tuning
        facts.append(
            (
                "fine-tuning",
                f"{', '.join(results.fine_tuned.structures)}: {tuned.training_cases} other cases with "
                f"original labels, {tuned.steps} steps, {results.fine_tuned.scores.shape[2]} kept out",
            )
        )
    return tuple(facts)
