"""The pages of results are what the records say: no number of theirs is typed."""

import re
import shutil

import pytest

from benchmarks.pages.__main__ import ROOT, main, written
from benchmarks.pages.fields import Fields, bold_best, duration, table
from benchmarks.pages.records import load_records
from benchmarks.pages.render import END, HEADLINES, START, TEMPLATES, into_readme, namespace, pages, render

RESULTS = ROOT / "benchmarks" / "results"


def test_files_are_what_the_command_writes():
    for path, text in written().items():
        assert path.read_text() == text, f"{path.name} is out of date: run python -m benchmarks.pages"


def test_no_page_of_results_is_without_a_template():
    names = {path.name for path in TEMPLATES.glob("*.md")} - {HEADLINES}
    assert {path.name for path in (ROOT / "docs" / "results").glob("*.md")} == names


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.md")), ids=lambda path: path.stem)
def test_templates_hold_no_number_of_their_own(path):
    prose = re.sub(r"```.*?```|`[^`\n]*`|\{[^}]*\}|version 0\.\d", "", path.read_text(), flags=re.S)
    assert not re.findall(r"\d\.\d|\d ?%(?! masking)", prose.replace("95 %", "").replace("2 % by half a cosine", ""))


def test_a_changed_record_changes_the_page(tmp_path):
    shutil.copytree(RESULTS, tmp_path / "results")
    path = tmp_path / "results" / "pixel_cnn_static_mnist.json"
    before = path.read_text()
    assert "82.93475122699738" in before
    path.write_text(before.replace("82.93475122699738", "12.34"))
    made = pages(tmp_path / "results")
    assert "**12.34** ± 0.20" in made["likelihoods.md"]
    assert "**12.34** ± 0.20" in made[HEADLINES]
    assert "82.93" not in made["likelihoods.md"]


def test_an_unknown_record_or_field_is_named():
    names = namespace(RESULTS)
    with pytest.raises(KeyError, match="nothing"):
        render("{nothing.metrics.nll:.2f}", names)
    with pytest.raises(KeyError, match="pixel_cnn_static_mnist.metrics has no field 'elbo'"):
        render("{pixel_cnn_static_mnist.metrics.elbo:.2f}", names)
    with pytest.raises(KeyError, match="of 0 rows"):
        render("{quantizers_mnist.quantizers[best].mse:.2f}", names)
    with pytest.raises(KeyError, match="is no number"):
        render("{pixel_cnn_static_mnist.metrics}", names)


def test_fields_are_found_and_written():
    rows = Fields(
        [{"method": "m1", "labels": 100, "error": 2.5}, {"method": "m1", "labels": 1000, "error": 1.5}], "rows"
    )
    assert f"{rows['m1/1000'].error:.2f}" == "1.50"
    assert f"{Fields('about 2', 'x'):.2f}" == "about 2"
    assert [duration(seconds) for seconds in (31.4, 3166.0, 8216.0)] == ["31 s", "53 minutes", "2.3 hours"]
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"
    assert bold_best(["1.0", "2.0", ""], [1.0, 2.0, None], highest=True) == ["1.0", "**2.0**", ""]


def test_derived_numbers_by_hand():
    records = load_records(RESULTS)
    assert records["pixel_cnn_static_mnist"]["epochs"] == 10_000 * 128 / 50_000
    gain = records["finetune_shift_mnist"]["gains"][0]  # 18.17 - 15.61, 17.53 - 14.79, 21.6 - 20.09
    assert gain["gain"] == pytest.approx((2.56 + 2.74 + 1.51) / 3)
    # The sample variance of the three, and the 97.5 % quantile of Student's t with two degrees of freedom.
    deviation = (((2.56 - 2.27) ** 2 + (2.74 - 2.27) ** 2 + (1.51 - 2.27) ** 2) / 2) ** 0.5
    assert gain["within"] == pytest.approx(4.3027 * deviation / 3**0.5, rel=1e-4)
    assert records["planar_density"]["num_flows_trained"] == 6 * 4 * 8
    assert records["quantizers_mnist"]["bits_an_image"] == 49 * 9


def test_headlines_stand_between_the_markers_of_the_readme():
    text = into_readme(f"before\n{START}\nold\n{END}\nafter\n", "new\n")
    assert text == f"before\n{START}\nnew\n{END}\nafter\n"
    with pytest.raises(ValueError, match="needs one line"):
        into_readme("before\nafter\n", "new\n")


def test_check_names_stale_files_and_writes_none(monkeypatch, tmp_path, capsys):
    stale = tmp_path / "page.md"
    monkeypatch.setattr("benchmarks.pages.__main__.ROOT", tmp_path)
    monkeypatch.setattr("benchmarks.pages.__main__.written", lambda: {stale: "text"})
    assert main(["--check"]) == 1
    assert capsys.readouterr().out == "page.md is out of date.\n"
    assert not stale.exists()
    assert main([]) == 0
    assert stale.read_text() == "text"
    assert main(["--check"]) == 0
