"""The report, built by its command from saved runs: complete, reproducible, and clear when it cannot be built."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reports import build as builder
from reports import fonts, render
from reports.markdown import table
from reports.runs import ReportError
from tests.unit.reports_synthetic import Toy, write_runs

KINDS = ("report.{}md", "report.{}html", "report.{}pdf", "numbers.{}json")
FILES = tuple(kind.format(lang) for lang in ("", "zh.") for kind in KINDS)
FIGURES = 10
"""Those for which the invented runs have data."""


pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("report")]
"""The build of both editions is shared, and takes half a minute."""


def pages(source: str, folder: Path) -> render.Pages:
    return render.Pages(source, render.Title("Title", "sub", "2026-01-01"), folder, "figures")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_runs(tmp_path_factory.mktemp("runs"))


def command(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "reports.build", *map(str, arguments)],
        capture_output=True, text=True, timeout=200, check=False, env=clean | environment,
    )  # fmt: skip


@pytest.fixture(scope="module")
def built(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("first")
    done = command("--runs", runs, "--out", out, PYTHONHASHSEED="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(out / name) for name in FILES]
    return out


def test_two_builds_from_the_same_runs_are_identical(runs: Path, built: Path, tmp_path: Path) -> None:
    moved, again = tmp_path / "elsewhere", tmp_path / "out"
    shutil.copytree(runs, moved)
    done = command("--runs", moved, "--out", again, "--lang", "en", PYTHONHASHSEED="2", TZ="Asia/Tokyo")
    assert done.returncode == 0, done.stderr
    drawn = [str(path.relative_to(built)) for path in built.glob("figures/*.svg")]
    assert len(drawn) == FIGURES
    for name in (*FILES[: len(KINDS)], *drawn):
        assert (built / name).read_bytes() == (again / name).read_bytes(), name


@pytest.mark.parametrize("name", ["report.md", "report.zh.md"])
def test_every_link_in_the_markdown_leads_somewhere(built: Path, name: str) -> None:
    text = (built / name).read_text("utf-8")
    anchors = set(re.findall(r'<a id="([^"]+)">', text))
    targets = re.findall(r"\]\(#([^)]+)\)", text)
    images = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert targets
    assert set(targets) <= anchors
    assert len(images) == FIGURES
    assert all((built / image).is_file() for image in images)
    assert "@" not in text


@pytest.mark.parametrize("name", ["report.html", "report.zh.html"])
def test_the_html_is_one_file_with_formulas_and_without_foreign_addresses(built: Path, name: str) -> None:
    text = (built / name).read_text("utf-8")
    assert "<math" in text
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    ids = set(re.findall(r'id="([^"]+)"', text))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= ids
    assert text.count("<figure") >= FIGURES


def test_no_number_is_longer_than_a_reader_wants(built: Path) -> None:
    text = (built / "report.md").read_text("utf-8")
    prose = re.sub(r"`[^`]*`|2026-\d\d-\d\dT\S+", "", text)
    assert re.findall(r"\d*\.\d{7,}|[1-9]\d*\.\d{3,}", prose) == []


def test_data_cannot_break_out_of_the_text(built: Path) -> None:
    assert '"linear” | &lt;b&gt;' in (built / "report.html").read_text("utf-8").replace("“", '"')


def test_every_printed_number_is_listed_with_the_key_it_was_read_from(runs: Path, built: Path) -> None:
    listed = json.loads((built / "numbers.json").read_text("utf-8"))
    text = re.sub("[“”]", '"', (built / "report.md").read_text("utf-8").replace("\\", ""))
    assert listed["commit"] == "0123456789ab"
    assert len(listed["numbers"]) > 300
    for row in listed["numbers"]:
        assert row["text"].strip("`") in text, row
        for source in row["sources"]:
            assert list(runs.glob(source["file"])), source
            assert source["commit"] == "0123456789abcdef0123" or "*" in source["file"], source


def test_the_chinese_edition_has_no_text_without_a_glyph_and_none_left_in_english(built: Path) -> None:
    text = (built / "report.zh.md").read_text("utf-8")
    assert not fonts.missing(text, fonts.SERIF, fonts.SYMBOLS)
    page = (built / "report.zh.html").read_text("utf-8")
    body = re.sub(r'(?s)<style.*?</style>|<script.*?</script>|"data:[^"]*"', "", page)
    assert not fonts.missing(body, fonts.SANS, fonts.SYMBOLS)
    assert page.count("@font-face") == 2
    assert set(re.findall(rb"/BaseFont/[A-Z]{6}\+(Noto\w+)", (built / "report.zh.pdf").read_bytes())) == {
        b"NotoSansSC", b"NotoSerifSC",
    }  # fmt: skip
    words = {"the", "of", "and", "with", "is", "are", "not", "to", "from", "tasks"}
    prose = re.sub(r"`[^`]*`|\]\([^)]*\)|<[^>]*>", "", text[: text.index("tbl:claims")])
    assert not words & set(re.findall(r"[a-z]+", prose))
    assert "[第 1 节](#sec:environment)" in text.replace("\xa0", " ")
    assert "**表 1** " in text.replace("\xa0", " ")


def test_the_pdf_has_pages(built: Path) -> None:
    data = (built / "report.pdf").read_bytes()
    assert data.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", data)) >= 5


def test_what_was_not_run_is_said_and_a_server_that_loses_writes_is_shouted(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    write_runs(root, (Toy("scaling-3", count=30),), repetitions=1, durable=False)
    for name in ("claims.json", "calibration.json", "benchmarks.json"):
        (root / name).unlink()
    (root / "scaling-3" / "sim" / "0" / "trace.parquet").unlink()
    builder.build(root, tmp_path / "out", languages=("en",))
    text = (tmp_path / "out" / "report.md").read_text("utf-8")
    sentences = re.findall(r"^Not (?:run|recorded|compared): .+\.$", text, re.MULTILINE)
    assert len(sentences) == 17, sentences
    assert "claims of the source report were not judged" in text
    head = text[: text.index("# 1 Test environment")]
    assert "> **The etcd server (3.4.23) is not durable" in head
    assert sorted(path.name for path in (tmp_path / "out" / "figures").iterdir()) == [
        "cpu.svg",
        "over_time.svg",
        "scaling.svg",
    ]


def test_a_new_report_replaces_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "scaling.svg").write_text("an older one")
    (tmp_path / "figures" / "mine.svg").touch()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "kept").touch()
    small = tmp_path / "small"
    small.mkdir()
    builder.build(write_runs(small, (Toy("scaling-3", count=30),), repetitions=1), tmp_path, languages=("en",))
    assert (tmp_path / "figures" / "scaling.svg").read_text() != "an older one"
    assert (tmp_path / "figures" / "mine.svg").exists()
    assert (tmp_path / "runs" / "kept").exists()


def test_runs_that_no_figure_shows_make_a_report_too(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    source = next(path for path in sorted(runs.iterdir()) if path.is_dir())
    shutil.copytree(source, tmp_path / "runs" / "mine")
    text = (tmp_path / "runs" / "mine" / "scenario.toml").read_text()
    (tmp_path / "runs" / "mine" / "scenario.toml").write_text(re.sub(r'name = "[^"]*"', 'name = "mine"', text, count=1))
    (tmp_path / "out" / "figures").mkdir(parents=True)
    (tmp_path / "out" / "figures" / "scaling.svg").write_text("of an older report")
    paths = builder.build(tmp_path / "runs", tmp_path / "out", languages=("en",))
    assert all(path.stat().st_size for path in paths)
    assert not (tmp_path / "out" / "figures" / "scaling.svg").exists()


@pytest.mark.parametrize("convert", [render.to_gfm, render.to_html, render.to_typst])
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("See @fig:nowhere.", "unknown label @fig:nowhere"),
        ("# A {#sec:a}\n\nSee @sec:a and [@tbl:b; @sec:a].", "unknown label @tbl:b"),
        ("# A {#sec:a}\n\n# B {#sec:a}", "label @sec:a is defined twice"),
    ],
)
def test_a_wrong_label_ends_the_build(convert: object, source: str, said: str, tmp_path: Path) -> None:
    assert callable(convert)
    with pytest.raises(ReportError, match=said):
        convert(pages(source, tmp_path))


def test_sections_figures_and_tables_are_numbered_and_resolved(tmp_path: Path) -> None:
    tables = "\n\n".join(f"| x |\n|--|\n| 1 |\n\n: {name} {{#tbl:{name}}}" for name in ("one", "two"))
    source = f"# A {{#sec:a}}\n\n## B {{#sec:b}}\n\n# C\n\n## D {{#sec:d}}\n\n{tables}\n\n@sec:b, @sec:d, @tbl:two"
    text = render.to_gfm(pages(source, tmp_path))
    assert "[Section 1.1](#sec:b), [Section 2.1](#sec:d), [Table 2](#tbl:two)" in text.replace("\xa0", " ")
    assert "**Table 2.** two" in text.replace("\xa0", " ")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--runs", "absent", "--out", "out"), 1, "error: there is no folder of runs at absent."),
        (("--runs", "absent"), 2, "Missing option '--out'"),
    ],
)
def test_mistakes_get_a_sentence_and_no_traceback(arguments: tuple[str, ...], status: int, said: str) -> None:
    done = command(*arguments, TERM="dumb")
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("widths", [None, (50, 50)])
def test_a_long_table_goes_on_over_the_pages(widths: tuple[int, int] | None, tmp_path: Path) -> None:
    long = table("long", "Long.", ["a", "b"], [[str(row), "x"] for row in range(150)], "ll", widths=widths)
    pdf = render.to_pdf(render.to_typst(pages(long, tmp_path)), tmp_path, 0)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 3
