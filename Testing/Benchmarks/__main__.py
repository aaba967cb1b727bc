"""All benchmarks, one after another: tables on the terminal, all figures in bench/bench.json."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from . import (
    accuracy,
    agreement_speed,
    automatic_path,
    automatic_path_tables,
    band_coverage,
    calibration,
    cost,
    label_quality,
    next_slice,
    real_raters,
    scale,
    styles_cost,
    styles_from_slices,
    styles_heads,
    styles_meaning,
    styles_propagation,
    styles_recovery,
)

OUTPUT = Path(__file__).resolve().parents[2] / "bench" / "bench.json"
BENCHMARKS = (
    "accuracy",
    "cost",
    "next-slice",
    "calibration",
    "agreement-speed",
    "band-coverage",
    "real-raters",
    "label-quality",
    "scale",
    "styles-cost",
    "styles-heads",
    "styles-recovery",
    "styles-meaning",
    "styles-from-slices",
    "styles-propagation",
    "automatic-path",
)


def main() -> None:
    """Run what is asked for; everything by default."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("benchmarks", nargs="*", default=BENCHMARKS, help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="JSON file for all figures")
    accuracy.add_options(parser)
    cost.add_options(parser)
    agreement_speed.add_options(parser)
    styles_recovery.add_options(parser)
    automatic_path.add_options(parser)
    scale.add_options(parser)
    label_quality.add_options(parser)
    options = parser.parse_args()
    unknown = set(options.benchmarks) - set(BENCHMARKS)
    if unknown:
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")

    figures: dict[str, object] = {}
    if "cost" in options.benchmarks:
        costs, imports = cost.run(options), cost.import_seconds()
        cost.print_tables(costs, imports)
        figures["cost"] = {"runs": [asdict(entry) for entry in costs], "import_seconds": imports}
    if "accuracy" in options.benchmarks:
        scores = accuracy.run(options)
        accuracy.print_tables(scores)
        figures["accuracy"] = [asdict(score) for score in scores]
    if "next-slice" in options.benchmarks:
        curves = next_slice.run(options)
        next_slice.print_tables(curves)
        figures["next_slice"] = [asdict(curve) for curve in curves]
    if "calibration" in options.benchmarks:
        calibration.run(volumes=40)
        calibration.run_on_real(options.data)
    if "band-coverage" in options.benchmarks:
        bounds, intervals = band_coverage.run()
        figures["band_coverage"] = {
            "bounds": [asdict(entry) for entry in bounds],
            "intervals": [asdict(entry) for entry in intervals],
        }
    if "agreement-speed" in options.benchmarks:
        comparisons = agreement_speed.run(options)
        agreement_speed.print_table(comparisons)
        figures["agreement_speed"] = [asdict(entry) for entry in comparisons]
    if "real-raters" in options.benchmarks:
        raters = real_raters.run(options)
        real_raters.print_tables(raters)
        figures["real_raters"] = asdict(raters)
    if "label-quality" in options.benchmarks:
        studied = label_quality.run(options)
        label_quality.print_tables(studied)
        figures["label_quality"] = asdict(studied)
    if "scale" in options.benchmarks:
        scaled = scale.run(options)
        scale.print_tables(scaled)
        figures["scale"] = asdict(scaled)
    if "styles-cost" in options.benchmarks:
        styles = styles_cost.run(options)
        styles_cost.print_tables(styles)
        figures["styles_cost"] = asdict(styles)
    if "styles-heads" in options.benchmarks:
        heads = styles_heads.run(options)
        styles_heads.print_tables(heads)
        figures["styles_heads"] = [asdict(entry) for entry in heads]
    if "styles-recovery" in options.benchmarks:
        recoveries = styles_recovery.run(options)
        styles_recovery.print_tables(recoveries)
        figures["styles_recovery"] = [asdict(entry) for entry in recoveries]
    if "styles-meaning" in options.benchmarks:
        meanings = styles_meaning.run(options)
        styles_meaning.print_tables(meanings)
        figures["styles_meaning"] = [asdict(entry) for entry in meanings]
    if "styles-from-slices" in options.benchmarks:
        from_slices = styles_from_slices.run(options)
        styles_from_slices.print_tables(from_slices)
        figures["styles_from_slices"] = [asdict(entry) for entry in from_slices]
    if "styles-propagation" in options.benchmarks:
        together = styles_propagation.run(options)
        styles_propagation.print_tables(together)
        figures["styles_propagation"] = [asdict(entry) for entry in together]
    if "automatic-path" in options.benchmarks:
        path = automatic_path.run(options)
        automatic_path_tables.print_tables(path)
        figures["automatic_path"] = asdict(path)
        automatic_path_tables.write_log(path, options.path_folder / "log.csv")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(figures, indent=1))
    print(f"\nAll figures are in {options.output}")


if __name__ == "__main__":
    main()
