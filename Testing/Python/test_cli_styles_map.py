"""``pgt styles map`` and ``pgt styles suspects``, on a model that has learnt known styles."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command_line import listing, refused, run_here
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from style_cases import made_rows, tiny_model
from trained_style_model import SIZES, trained_style_model

from pgt.case_table import write_case_table

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model with its table, in ``model``."""
    rows = made_rows(tmp_path, SIZES)
    (tmp_path / "model").mkdir()
    trained_style_model().save(tmp_path / "model")
    write_case_table(tmp_path / "model" / "cases.csv", rows)
    return tmp_path


def test_the_map_shows_the_styles_that_were_learnt(folder: Path, capfd: Capture) -> None:
    ended = run_here(capfd, "styles", "map", folder / "model", "-o", folder / "map", "--device", "cpu")
    assert ended.status == 0, ended
    content = json.loads((folder / "map" / "map.json").read_text(encoding="utf-8"))
    assert [case["case"] for case in content["cases"]] == [f"case{n}" for n in range(len(SIZES))]
    found = [str(case["cluster"]) for case in content["cases"]]
    assert adjusted_rand_score([str(size) for size in SIZES], found) >= 0.9
    assert {cluster["name"] for cluster in content["clusters"]} >= {"main", "tight", "loose"}
    assert content["clusters"][0]["main"]
    for cluster in content["clusters"]:
        assert cluster["cases"] == [c["case"] for c in content["cases"] if c["cluster"] == cluster["name"]]
        assert f"{cluster['name']}: {len(cluster['cases'])} case" in ended.out
    page = (folder / "map" / "map.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r"const data = (.*);\n", page)[1])  # type: ignore[index]
    assert data["columns"] == ["style"]
    assert [case["columns"] for case in data["cases"]][12:14] == [["tight"], ["tight"]]
    assert all(case["picture"].startswith("data:image/png;base64,") for case in data["cases"])
    assert len(data["views"]) == 3
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//|url\(|@import|fetch\(", page)


def test_suspects(folder: Path, capfd: Capture) -> None:
    before = listing(folder / "model")
    ended = run_here(capfd, "styles", "suspects", folder / "model", "--json", folder / "suspects.json")
    assert ended.status == 0, ended
    listed = json.loads((folder / "suspects.json").read_text(encoding="utf-8"))
    assert [one["score"] for one in listed] == sorted((one["score"] for one in listed), reverse=True)
    assert set(listed[0]) >= {"case", "latent", "norm", "isolation", "score", "suggestion"}
    other = [SIZES[int(one["case"][4:])] != 1.0 for one in listed]
    assert roc_auc_score(other, [one["score"] for one in listed]) >= 0.97
    suggestions = {SIZES[int(one["case"][4:])]: one["suggestion"] for one in reversed(listed)}
    assert set(suggestions.values()) == {"another style", "nothing unusual"}
    assert ended.out.startswith(f"{listed[0]['case']}: score 1.00")
    assert listing(folder / "model") == before


def test_labels_that_are_gone_cost_suggestions_alone(folder: Path, capfd: Capture) -> None:
    for file in folder.glob("label*"):
        file.unlink()
    place = folder / "suspects.json"
    ended = run_here(capfd, "styles", "suspects", folder / "model", "--json", place)
    assert ended.status == 0
    assert "case0, case1, case2 and 21 more are not where the table says" in ended.err
    assert {one["suggestion"] for one in json.loads(place.read_text())} <= {"unknown", "another style"}
    (folder / "model" / "cases.csv").unlink()
    ended = run_here(capfd, "styles", "map", folder / "model", "-o", folder / "map")
    assert ended.status == 0
    assert "cases.csv is gone" in ended.err
    page = (folder / "map" / "map.html").read_text(encoding="utf-8")
    assert '"picture": null' in page
    assert "data:image" not in page


def test_a_damaged_label_is_named_and_the_rest_goes_on(folder: Path, capfd: Capture) -> None:
    (folder / "label3.nrrd").write_bytes(b"no image")
    ended = run_here(capfd, "styles", "suspects", folder / "model", "--json", folder / "suspects.json")
    assert ended.status == 0
    assert "label3.nrrd" in ended.err
    listed = json.loads((folder / "suspects.json").read_text())
    assert {one["case"] for one in listed if one["disagreement"] is None} == {"case3"}


def test_names_are_text_on_the_page(tmp_path: Path, capfd: Capture) -> None:
    model = tiny_model()
    model.latents = {"<script>alert(1)</script>": (0.0, 0.0), "</script>b": (0.1, 0.0)}
    model.styles = {"<b>bold</b>": (0.1, 0.0)}
    model.save(tmp_path)
    assert run_here(capfd, "styles", "map", tmp_path, "-o", tmp_path / "map").status == 0
    page = (tmp_path / "map" / "map.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "<b>bold" not in page
    assert page.count("</script>") == 1


def test_refusals_leave_everything_as_it_was(folder: Path, capfd: Capture) -> None:
    model, target = folder / "model", folder / "map"

    def refuse(*said: object, model: Path = model, options: tuple[object, ...] = ()) -> None:
        before = listing(folder)
        refused(run_here(capfd, "styles", "map", model, "-o", target, *options), *said)  # type: ignore[arg-type]
        assert listing(folder) == before
        refused(run_here(capfd, "styles", "suspects", model, *options), *said)  # type: ignore[arg-type]

    refuse("no folder", model=folder / "nowhere")
    refuse("model.json is missing", model=folder)
    other = folder / "other.csv"
    other.write_text("case,image,label\nx,image0.nrrd,label0.nrrd\n")
    refuse("other.csv names none of the cases", options=("--cases", other))
    refuse("absent.csv cannot be read", options=("--cases", folder / "absent.csv"))
    (folder / "untrained").mkdir()
    tiny_model().save(folder / "untrained")
    refuse("without training cases", model=folder / "untrained")
    target.mkdir()
    (target / "map.json").write_text("mine")
    refused(run_here(capfd, "styles", "map", model, "-o", target), "map.json exists already")
    assert (target / "map.json").read_text() == "mine"
    assert listing(target) == {"map.json": b"mine"}
