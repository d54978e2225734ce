"""The Power BI project: generated, whole, and every reference in it leads somewhere."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dax
import powerbi_model
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner, Result
from powerbi_model import POWERBI, PROJECT
from tmdl_text import Object

from pipeline import cli
from pipeline.errors import ConfigurationError
from pipeline.exports import star as exported
from pipeline.powerbi import measures as generator
from pipeline.powerbi import project as projects
from pipeline.powerbi.project import Options, drift, home, project
from pipeline.powerbi.shapes import relations
from pipeline.powerbi.star import TABLES
from pipeline.powerbi.words import Words

CULTURES = ("en-US", "fr-FR")
REPORT = POWERBI / "neopulse.Report" / "definition"


def generate(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["powerbi", "generate", *arguments])


@pytest.fixture(scope="module")
def model() -> Object:
    return powerbi_model.committed()


# --- generated, never edited ------------------------------------------------------------------------------------------


def test_the_committed_files_are_what_the_registry_the_words_and_the_colours_give() -> None:
    assert drift(POWERBI, project(Options())) == [], "run: neopulse powerbi generate"


def test_two_generations_are_the_same_text_and_another_bank_differs_where_it_says_so() -> None:
    assert project(Options()) == project(Options())
    mine = project(Options(folder=r"C:\neopulse", app="https://neopulse.bank.example/"))
    changed = {path for path, text in project(Options()).items() if mine[path] != text}
    assert changed == {
        "neopulse.SemanticModel/definition/expressions.tmdl",
        "neopulse.SemanticModel/definition/tables/Customers.tmdl",
    }
    assert "mode: import" in mine["neopulse.SemanticModel/definition/tables/Customers.tmdl"]
    expressions = mine["neopulse.SemanticModel/definition/expressions.tmdl"]
    assert 'expression DataSource = "Folder" meta' in expressions
    assert r'expression ExportFolder = "C:\neopulse" meta' in expressions
    assert 'expression AppAddress = "https://neopulse.bank.example" meta' in expressions


def test_check_names_what_was_edited_what_is_missing_and_what_is_left_over_and_writing_mends_it(tmp_path: Path) -> None:
    assert generate(str(tmp_path)).exit_code == 0
    assert generate(str(tmp_path), "--check").exit_code == 0
    tables = tmp_path / "neopulse.SemanticModel" / "definition" / "tables"
    (tables / "Growth.tmdl").write_text("table Growth\n")
    (tables / "Churn.tmdl").unlink()
    (tables / "Old.tmdl").write_text("table Old\n")
    (tmp_path / "mine.txt").write_text("not ours")
    checked = generate(str(tmp_path), "--check")
    assert checked.exit_code == 1
    for line in ("Growth.tmdl differs", "Churn.tmdl is missing", "Old.tmdl is not generated"):
        assert f"neopulse.SemanticModel/definition/tables/{line}" in checked.output
    generate(str(tmp_path))
    assert generate(str(tmp_path), "--check").exit_code == 0
    assert (tmp_path / "mine.txt").exists()


@pytest.mark.parametrize(
    ("path", "is_kept"),
    [
        ("neopulse.SemanticModel/.pbi/cache.abf", True),
        ("neopulse.Report/.pbi/localSettings.json", True),
        ("neopulse.SemanticModel/diagramLayout.json", True),
        ("neopulse.Report/StaticResources/SharedResources/BaseThemes/CY24SU10.json", True),
        ("neopulse.SemanticModel/definition/diagramLayout.json", False),
        ("neopulse.Report/StaticResources/RegisteredResources/old.json", False),
    ],
)
def test_what_desktop_keeps_is_no_drift_and_stays_and_whatever_else_lies_there_goes(
    tmp_path: Path, path: str, is_kept: bool
) -> None:
    generate(str(tmp_path))
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("of its own")
    checked = generate(str(tmp_path), "--check")
    assert (checked.exit_code, f"{path} is not generated" in checked.output) == ((0, False) if is_kept else (1, True))
    generate(str(tmp_path))
    assert (tmp_path / path).exists() is is_kept


def test_without_a_checkout_the_folder_has_to_be_named_and_nothing_is_written_beside_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert home() == POWERBI
    with pytest.raises(ConfigurationError, match="No checkout"):
        home(tmp_path)
    monkeypatch.setattr(projects.home, "__defaults__", (tmp_path,))
    for arguments in ((), ("--check",)):
        result = generate(*arguments)
        assert (result.exit_code, "neopulse powerbi generate DIR" in result.output) == (2, True)
    assert list(tmp_path.iterdir()) == []
    assert generate(str(tmp_path / "mine")).exit_code == 0


def test_what_is_no_country_has_no_role() -> None:
    result = generate("--check", "--country", 'FR"')
    assert (result.exit_code, "not the code of a country" in result.output) == (2, True)


# --- the model --------------------------------------------------------------------------------------------------------


def test_every_measure_says_what_it_means_how_it_is_written_and_both_in_two_languages(model: Object) -> None:
    cultures = {culture: translations(model, culture) for culture in CULTURES}
    found = powerbi_model.measures(model)
    assert len(found) == len(generator.measures(Words(PROJECT / "dbt_project", PROJECT / "streamlit_app")))
    of_text = {name for name in found if name.startswith("Link to ") or name == "Version"}
    for name, measure in found.items():
        assert measure.description, name
        assert ("formatString" in measure.properties) is (name not in of_text), name
        for culture, captions in cultures.items():
            assert captions["measure", name].get("caption"), (culture, name)
            assert captions["measure", name].get("description"), (culture, name)
    english, french = cultures["en-US"], cultures["fr-FR"]
    assert english["measure", "Monthly churn rate"]["caption"] == "Monthly churn rate"
    assert french["measure", "Monthly churn rate"]["caption"] == "Taux d'attrition mensuel"
    assert french["measure", "Active customers"]["description"].startswith("Clients dont le dernier jour actif")


def test_every_table_and_every_column_that_readers_see_is_described_in_two_languages(model: Object) -> None:
    cultures = {culture: translations(model, culture) for culture in CULTURES}
    for name, table in model.of("table").items():
        assert table.description, name
        for column, one in table.of("column").items():
            if "isHidden" in one.properties:
                continue
            assert one.description, (name, column)
            for culture, captions in cultures.items():
                assert set(captions[f"column of {name}", column]) == {"caption", "description"}, (culture, name, column)


def translations(model: Object, culture: str) -> dict[tuple[str, str], dict[str, str]]:
    """Caption and description by kind and name."""
    [root] = model.of("cultureInfo")[culture].of("model").values()
    found = {}
    for name, table in root.of("table").items():
        found["table", name] = table.properties
        found |= {(f"column of {name}", column): one.properties for column, one in table.of("column").items()}
        found |= {("measure", measure): one.properties for measure, one in table.of("measure").items()}
    return found


@pytest.mark.parametrize("culture", CULTURES)
def test_no_caption_is_given_twice_where_readers_see_both(model: Object, culture: str) -> None:
    [root] = model.of("cultureInfo")[culture].of("model").values()
    tables = root.of("table").values()
    beside = [[table.properties["caption"] for table in tables]]
    beside += [[one.properties["caption"] for one in table.children] for table in tables]
    beside += [[one.properties["caption"] for table in tables for one in table.of("measure").values()]]
    for captions in beside:
        assert sorted(set(map(str.casefold, captions))) == sorted(map(str.casefold, captions))


def test_the_measures_that_are_metrics_carry_the_registrys_words(model: Object) -> None:
    words = Words(PROJECT / "dbt_project", PROJECT / "streamlit_app")
    of_metrics = {measure.metric for measure in generator.measures(words) if measure.metric}
    found = powerbi_model.measures(model)
    for metric in of_metrics:
        assert found[words.registry[metric].label["en"]].description == words.registry[metric].definition["en"]
    page = (PROJECT / "docs" / "power-bi.md").read_text(encoding="utf-8")
    for metric in set(words.registry) - of_metrics:
        assert f"`{metric}`" in page, f"docs/power-bi.md does not say that Power BI has no {metric}"


def test_no_two_objects_share_a_lineage_tag_and_no_measure_the_name_of_a_column_beside_it(model: Object) -> None:
    tags = [one.properties["lineageTag"] for one in everything(model) if "lineageTag" in one.properties]
    assert len(tags) == len(set(tags)) > 100
    for table in model.of("table").values():
        names = [one.name.casefold() for one in table.children if one.kind in ("measure", "column")]
        assert len(names) == len(set(names)), table.name


def everything(one: Object) -> Iterator[Object]:
    yield one
    for child in one.children:
        yield from everything(child)


def test_every_expression_is_dax_and_names_columns_and_measures_that_exist(model: Object) -> None:
    columns = {(name, column) for name, table in model.of("table").items() for column in table.of("column")}
    found = powerbi_model.measures(model)
    texts = [measure.expression for measure in found.values()]
    texts += [one.expression for role in model.of("role").values() for one in role.of("tablePermission").values()]
    for text in texts:
        for kind, what in leaves(dax.parse(text)):
            assert what in columns if kind == "column" else what in found, f"{what} in {text}"


def leaves(tree: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, tuple) and tree and tree[0] in ("column", "measure") and len(tree) == 2:
        yield tree
    elif isinstance(tree, tuple):
        for part in tree:
            yield from leaves(part)


def test_aggregates_are_imported_and_the_list_of_customers_is_asked_where_it_lies(model: Object) -> None:
    modes = {name: next(iter(table.of("partition").values())).properties["mode"] for name, table in model.of("table").items()}
    assert {name for name, mode in modes.items() if mode == "directQuery"} == {"Customers"}
    assert set(modes.values()) == {"import", "directQuery"}


def test_a_role_has_a_condition_on_every_table_that_tells_customers_apart(model: Object) -> None:
    roles = model.of("role")
    assert len(roles) == 32
    for name, role in roles.items():
        assert role.properties["modelPermission"] == "read"
        permissions = role.of("tablePermission")
        assert set(permissions) == {"Countries", "Customers", "Segments"}
        country = name.removeprefix("Country ")
        assert all(one.expression.endswith(f'"{country}"') for one in permissions.values())
    followers = {many[0] for many, one in powerbi_model.relationships(model) if one[0] == "Segments"}
    of_customers = set(model.of("table")) - {"Publication", "Dates", "Runs", "Countries", "Customers", "Segments"}
    assert followers == of_customers


# --- the star beneath it ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(pages_bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from test_export_command import export

    folder = tmp_path_factory.mktemp("star")
    export(pages_bank, folder)
    return exported.newest(folder)


@pytest.mark.xdist_group("the bank of the pages")
def test_every_column_reads_a_column_of_its_file(model: Object, files: Path) -> None:
    assert {table.name for table in TABLES} == set(model.of("table"))
    for name, table in model.of("table").items():
        there = set(pq.read_schema(files / f"{name.lower()}.parquet").names)
        sources = {one.properties["sourceColumn"] for one in table.of("column").values()}
        assert sources - {"app_address"} == there, name


@pytest.mark.xdist_group("the bank of the pages")
def test_each_relationship_leads_from_every_row_to_one_row_as_power_bi_tells_keys_apart(model: Object, files: Path) -> None:
    tables = model.of("table")

    def keys(place: dax.Column) -> list[Any]:
        table, column = place
        source = tables[table].of("column")[column].properties["sourceColumn"]
        values = pq.read_table(files / f"{table.lower()}.parquet", columns=[source])[source].to_pylist()
        return [value.casefold() if isinstance(value, str) else value for value in values]

    found = powerbi_model.relationships(model)
    assert len(found) == 17
    for many, one in found:
        there = keys(one)
        assert None not in there, one
        assert len(set(there)) == len(there), one
        assert set(keys(many)) - {None} <= set(there), (many, one)


def test_the_lineage_of_the_models_ends_at_the_report() -> None:
    content = yaml.safe_load((PROJECT / "dbt_project" / "models" / "exposures.yml").read_text(encoding="utf-8"))
    [report] = [one for one in content["exposures"] if one["name"] == "powerbi_report"]
    read = {name for table in TABLES for name in relations(table)} - {"current_version"}
    assert {reference[5:-2] for reference in report["depends_on"]} == read


# --- the report -------------------------------------------------------------------------------------------------------


def pages() -> list[Path]:
    return [path.parent for path in sorted(REPORT.glob("pages/*/page.json"))]


def visuals(page: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(page.glob("visuals/*/visual.json"))]


def test_every_field_of_a_visual_is_a_column_or_measure_of_the_model(model: Object) -> None:
    known = {("Column", name, column) for name, table in model.of("table").items() for column in table.of("column")}
    known |= {("Measure", name, measure) for name, table in model.of("table").items() for measure in table.of("measure")}
    named = [field for page in pages() for visual in visuals(page) for field in fields(visual, {})]
    assert len(named) > 60
    assert set(named) <= known
    used = {name for _, name, _ in named}
    assert used >= {"Growth", "Activity", "Churn", "Retention", "Gaps", "Runs", "Segments", "Dates", "Publication"}


def fields(content: Any, sources: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Each field that some content names, with its table; `sources` has the names that a filter gives to tables."""
    if isinstance(content, list):
        for part in content:
            yield from fields(part, sources)
    if not isinstance(content, dict):
        return
    sources = sources | {one["Name"]: one["Entity"] for one in content.get("From", [])}
    for kind in ("Column", "Measure"):
        if isinstance(content.get(kind), dict) and "Expression" in content[kind]:
            place = content[kind]["Expression"]["SourceRef"]
            yield kind, place.get("Entity") or sources[place["Source"]], content[kind]["Property"]
    for part in content.values():
        yield from fields(part, sources)


def test_the_four_pages_stand_in_order_and_no_visual_covers_another_or_leaves_the_page() -> None:
    order = json.loads((REPORT / "pages" / "pages.json").read_text(encoding="utf-8"))["pageOrder"]
    assert order == ["overview", "activity", "retention", "churn"]
    assert {page.name for page in pages()} == set(order)
    for page in pages():
        size = json.loads((page / "page.json").read_text(encoding="utf-8"))
        boxes = [visual["position"] for visual in visuals(page)]
        for place, box in enumerate(boxes):
            assert 0 <= box["x"] <= size["width"] - box["width"], (page.name, box)
            assert 0 <= box["y"] <= size["height"] - box["height"], (page.name, box)
            assert not any(overlap(box, other) for other in boxes[place + 1 :]), (page.name, box)
        names = [visual["name"] for visual in visuals(page)]
        assert names == [path.parent.name for path in sorted(page.glob("visuals/*/visual.json"))]


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    beside = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
    above = one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"]
    return not beside and not above


def test_every_visual_can_be_read_aloud_and_the_segment_leaves_alone_what_shows_every_value_of_a_dimension() -> None:
    left_alone = 0
    for page in pages():
        drawn = {visual["name"]: visual["visual"] for visual in visuals(page)}
        for visual in drawn.values():
            assert visual["visualContainerObjects"]["general"][0]["properties"]["altText"]["expr"]["Literal"]["Value"] != "''"
        for one in json.loads((page / "page.json").read_text(encoding="utf-8")).get("visualInteractions", []):
            assert drawn[one["source"]]["visualType"] == "slicer"
            assert (drawn[one["target"]]["visualType"], one["type"]) != ("slicer", "NoFilter")
            left_alone += 1
    assert left_alone == 3


@pytest.mark.xdist_group("the bank of the pages")  # that process has the app loaded
def test_each_page_leads_to_the_address_where_the_app_serves_it_with_filters_that_it_knows(model: Object) -> None:
    from streamlit.testing.v1 import AppTest

    from streamlit_app import navigation
    from streamlit_app.components import filters

    app = AppTest.from_function(_addresses_as_streamlit_serves_them, default_timeout=60).run()
    served = dict(one.value.split(" ") for one in app.text)
    assert served.keys() == set(navigation.addresses())
    for page in generator.PAGES:
        assert f'"{served[page]}?lang="' in powerbi_model.measures(model)[f"Link to {page}"].expression
    assert set(generator.IN_THE_APP) == set(filters.SEGMENTS)
    for page in pages():
        [button] = [visual for visual in visuals(page) if visual["visual"]["visualType"] == "actionButton"]
        [link] = button["visual"]["visualContainerObjects"]["visualLink"]
        assert link["properties"]["webUrl"]["expr"]["Measure"]["Property"] == f"Link to {page.name}"


def _addresses_as_streamlit_serves_them() -> None:
    """A page that tells of each page its name and its path: Streamlit knows paths only while a page is drawn."""
    import streamlit

    from streamlit_app import navigation

    for entries in navigation.PAGES.values():
        for entry in entries:
            streamlit.text(f"{entry.name} /{entry.page().url_path}")


def test_every_colour_is_one_of_the_apps() -> None:
    config = (PROJECT / "streamlit_app" / ".streamlit" / "config.toml").read_text(encoding="utf-8")
    palette = set(re.findall(r"#[0-9a-f]{6}", json.dumps(tomllib.loads(config)["theme"]["light"])))
    theme = POWERBI / "neopulse.Report" / "StaticResources" / "RegisteredResources" / "neopulse.json"
    texts = [theme, *REPORT.rglob("*.json")]
    used = {colour for path in texts for colour in re.findall(r"#[0-9A-Fa-f]{6}\b", path.read_text(encoding="utf-8"))}
    assert len(used) > 15
    assert used <= palette
    assert json.loads(theme.read_text(encoding="utf-8"))["dataColors"][0] == "#0e6e8c"


def test_the_titles_can_be_french(tmp_path: Path) -> None:
    generate(str(tmp_path), "--language", "fr")
    page = json.loads((tmp_path / "neopulse.Report/definition/pages/churn/page.json").read_text(encoding="utf-8"))
    assert page["displayName"] == "Attrition"
    shutil.rmtree(tmp_path)
