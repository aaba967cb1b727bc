"""Study configurations: every entry is checked, and a refusal says what and where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pgt.errors import InputError
from pgt.studies.configuration import configuration_text, read_configuration
from pgt.studies.slice_budget_configuration import EXAMPLE, SliceBudgetConfiguration


def written(folder: Path, content: Any) -> Path:
    path = folder / "study.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def example() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(configuration_text(EXAMPLE))
    return content


def test_the_example_is_read_back(tmp_path: Path) -> None:
    read = read_configuration(written(tmp_path, example()), SliceBudgetConfiguration)
    assert read.cases == tmp_path / "CASES.csv"
    assert (read.grids, read.networks, read.spacing) == (EXAMPLE.grids, EXAMPLE.networks, EXAMPLE.spacing)


def test_entries_with_a_default_may_be_left_out(tmp_path: Path) -> None:
    content = {
        "cases": "a/b.csv",
        "networks": [{"name": "N", "dimensions": 2}],
        "grids": [{"densities": [1], "volumes": [3]}],
    }
    read = read_configuration(written(tmp_path, content), SliceBudgetConfiguration)
    assert read.cases == tmp_path / "a" / "b.csv"
    assert (read.seeds, read.grids[0].strategies, read.grids[0].densities) == (3, ("fixed",), (1.0,))


WRONG = [
    (("grids", 0, "densities", 1), 0, "grids[0]: A density lies above 0 and is at most 1, not 0."),
    (("grids", 0, "densities", 1), "0.2", 'grids[0].densities[1] must be a number, not "0.2".'),
    (
        ("grids", 1, "strategies"),
        ["clever"],
        'grids[1].strategies[0] must be "fixed", "staggered", "random" or',
    ),
    (("grids", 0, "volumes"), [], "grids[0]: volumes is empty"),
    (("grids", 0, "volumes"), [0], "grids[0]: At least 1 volume"),
    (("grids", 0, "propagated"), [1], "grids[0].propagated[0] must be true or false, not 1."),
    (("grids", 0, "networks"), ["4D"], "A grid names the network '4D'; there are 2D, 3D."),
    (("grids",), [], "grids is empty"),
    (("networks", 0, "dimensions"), 4, "networks[0]: The network 2D must have 2 or 3 dimensions"),
    (("networks", 0, "steps"), True, "networks[0].steps must be a whole number, not true."),
    (("networks", 0, "steps"), 0, "networks[0]: steps must be at least 1"),
    (("networks", 0, "learning_rate"), -1, "networks[0]: learning_rate must be above 0"),
    (("networks", 1, "name"), "2D", "each with a name of its own"),
    (("networks", 1, "name"), "../up", "A network's name has letters"),
    (("spacing",), [2.0, 2.0], "spacing must be a list of 3, not of 2."),
    (("spacing",), [2.0, 2.0, -1.0], "spacing takes three lengths above 0 mm"),
    (("labels",), [0], "labels takes label values from 1"),
    (("slices_across",), "axial", 'slices_across must be "R", "A" or "S", not "axial".'),
    (("test_cases",), 2, "test_cases must be at least 3"),
    (("seeds",), 0, "seeds must be at least 1"),
    (("tolerance_mm",), -1, "tolerance_mm must be at least 0"),
    (("metric",), "hd95", 'metric must be "dice", "iou" or "nsd"'),
    (("propagation_method",), "magic", "propagation_method must be"),
    (("cases",), 7, "cases must be a text, not 7."),
    (("budget",), 7, "The file has the unknown entry 'budget'; known are cases, grids"),
    (("networks", 0, "stepps"), 7, "networks[0] has the unknown entry 'stepps'"),
    (("networks",), {}, "networks must be a list in brackets, not {}."),
    (("networks", 0), 5, "networks[0] must be an object in braces, not 5."),
]


@pytest.mark.parametrize(("way", "value", "said"), WRONG, ids=[f"{w}={v}" for w, v, _ in WRONG])
def test_refusals(tmp_path: Path, way: tuple[Any, ...], value: Any, said: str) -> None:
    content = place = example()
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = value
    path = written(tmp_path, content)
    with pytest.raises(InputError) as refusal:
        read_configuration(path, SliceBudgetConfiguration)
    assert str(refusal.value).startswith(f"{path}: ")
    assert said in str(refusal.value)
    assert str(refusal.value).endswith(".")
    assert "\n" not in str(refusal.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_configuration(tmp_path / "missing.json", SliceBudgetConfiguration)
    with pytest.raises(InputError, match="is not valid JSON"):
        read_configuration(written(tmp_path, '{"cases": '), SliceBudgetConfiguration)
    with pytest.raises(InputError, match="The file must be an object"):
        read_configuration(written(tmp_path, "[]"), SliceBudgetConfiguration)
    with pytest.raises(InputError, match="lacks the entry 'grids'"):
        read_configuration(written(tmp_path, {"cases": "x", "networks": []}), SliceBudgetConfiguration)


def test_each_cell_is_done_once_whichever_grids_name_it() -> None:
    names = [cell.name for cell in EXAMPLE.cells()]
    assert len(names) == len(set(names)) == 3 * 2 * (16 + 8 + 6)
    assert "3D-d0.2-v10-representative-drawn-s2" in names
