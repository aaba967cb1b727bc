"""What only a person knows of a structure and of the readers, told in the Agreement panel."""

from __future__ import annotations

from __feature__ import true_property  # noqa: F401 - Qt properties as attributes, as in Slicer
from test_agreement_panel import compared, four, module, reader  # noqa: F401 - fixtures

from pgt.agreement.metric_choice import QUESTIONS


def test_answers_about_a_structure_choose_its_metrics(reader, four):  # noqa: F811 - the fixtures
    def box(key):
        row = [question.key for question in QUESTIONS].index(key)
        return reader.ui.questionsTable.cellWidget(row, 1)

    def suits(label):
        reader.choose("labelBox", label)
        (line,) = [
            line
            for line in reader.ui.summaryLabel.text.split("\n")
            if line.startswith("Metrics that suit it")
        ]
        return line

    compared(reader)
    before = suits("Liver")
    assert "volume" not in before.lower()
    reader.choose("questionLabelBox", "Liver")
    box("volume_used").currentIndex = 1
    reader.application.events()
    assert reader.ui.questionsSection.text == "Questions about structures: 1 answered"
    reader.choose("questionLabelBox", "Spleen")
    assert box("volume_used").currentIndex == 0
    reader.click("compareButton")
    reader.wait()
    assert "volume" in suits("Liver").lower()
    assert "volume" not in suits("Spleen").lower()
    reader.choose("questionLabelBox", "All structures")
    box("volume_used").currentIndex = 1
    reader.application.events()
    reader.choose("questionLabelBox", "Spleen")
    assert box("volume_used").currentText == "– (yes)"
    box("volume_used").currentIndex = 2
    reader.application.events()
    assert {label: own.volume_used for label, own in reader.panel.desk.answers().items()} == {
        "Liver": True, "": True, "Spleen": False
    }  # fmt: skip


def test_numbered_readers_are_nobody(reader, four):  # noqa: F811 - the fixtures
    compared(reader)
    assert reader.panel.desk.results().agreement.bland_altman
    reader.ui.anonymousBox.checked = True
    reader.application.events()
    reader.click("compareButton")
    reader.wait()
    agreement = reader.panel.desk.results().agreement
    assert not agreement.bland_altman
    assert any("anonymous" in sentence for sentence in agreement.messages)
