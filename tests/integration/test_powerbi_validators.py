"""The Power BI project before Microsoft's own parsers and schemas; run by `make test-powerbi`, which installs and names them.

`TESTS_POWERBI_NODE` is a folder with the npm packages @microsoft/powerbi-modeling-mcp (it holds the Tabular Object Model, with
which Power BI reads TMDL) and @microsoft/powerquery-parser; `TESTS_POWERBI_SCHEMAS` is a checkout of microsoft/json-schemas.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import powerbi_model
import pytest
import tmdl_text
from powerbi_model import POWERBI

from pipeline.powerbi.project import Options, project, write

pytestmark = pytest.mark.powerbi

NODE = Path(os.environ.get("TESTS_POWERBI_NODE") or "/nowhere")
SCHEMAS = Path(os.environ.get("TESTS_POWERBI_SCHEMAS") or "/nowhere")
BASE = "https://developer.microsoft.com/json-schemas/"
TEXTS = {".json", ".pbir", ".pbism", ".pbip"}


class Tabular:
    """The Tabular Object Model in Microsoft's modeling server, spoken to over its standard input; it sees this machine alone."""

    def __init__(self) -> None:
        kind = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
        program = NODE / "node_modules" / "@microsoft" / f"powerbi-modeling-mcp-linux-{kind}" / "dist" / "powerbi-modeling-mcp"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process: Any = subprocess.Popen([program, "--start"], text=True, **pipes)
        self.asked = 0
        client = {"name": "tests", "version": "1"}
        self._ask("initialize", {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": client})
        self._write({"method": "notifications/initialized"})

    def do(self, tool: str, operation: str, **arguments: Any) -> dict[str, Any]:
        """What an operation answers; raises AssertionError with its message where it fails."""
        answer = self._ask("tools/call", {"name": tool, "arguments": {"request": {"operation": operation, **arguments}}})
        content: dict[str, Any] = json.loads(answer["content"][0]["text"])
        assert not answer.get("isError"), content["message"]
        return content

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def _ask(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self.asked += 1
        self._write({"id": self.asked, "method": method, "params": parameters})
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer.get("id") == self.asked:
                result: dict[str, Any] = answer["result"]
                return result
        raise AssertionError("the modeling server ended")

    def _write(self, message: dict[str, Any]) -> None:
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()


@pytest.fixture
def tabular() -> Iterator[Tabular]:
    if not NODE.is_dir():
        pytest.skip("TESTS_POWERBI_NODE names no folder with the npm packages: make test-powerbi")
    server = Tabular()
    yield server
    server.end()


@pytest.fixture(params=["BigQuery", "Folder"])
def definition(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The committed model, and the one that reads a folder."""
    if request.param == "BigQuery":
        return powerbi_model.DEFINITION
    write(tmp_path, project(Options(folder=r"C:\neopulse", language="fr")))
    return tmp_path / "neopulse.SemanticModel" / "definition"


def test_the_tabular_object_model_reads_every_object_and_writes_the_same_ones(
    tabular: Tabular, definition: Path, tmp_path: Path
) -> None:
    loaded = tabular.do("connection_operations", "ConnectFolder", folderPath=str(definition))["data"]
    ours = tmdl_text.read(definition)
    measures = powerbi_model.measures(ours)
    assert loaded["tablesLoaded"] == len(ours.of("table"))
    assert loaded["measuresLoaded"] == len(measures)
    assert loaded["relationshipsLoaded"] == len(ours.of("relationship"))
    written = tmp_path / "written"
    tabular.do("database_operations", "ExportToTmdlFolder", tmdlFolderPath=str(written))
    theirs = tmdl_text.read(written)
    for kind in ("relationship", "role", "cultureInfo", "expression"):
        assert set(theirs.of(kind)) == set(ours.of(kind)), kind
    for name, table in ours.of("table").items():
        other = theirs.of("table")[name]
        assert other.description == table.description
        assert {column: one.description for column, one in other.of("column").items()} == {
            column: one.description for column, one in table.of("column").items()
        }
    for name, measure in powerbi_model.measures(theirs).items():
        assert " ".join(measure.expression.split()) == " ".join(measures[name].expression.split()), name
        assert measure.properties.get("formatString") == measures[name].properties.get("formatString"), name
        assert measure.description == measures[name].description, name
    for culture, one in ours.of("cultureInfo").items():
        assert captions(theirs.of("cultureInfo")[culture]) == captions(one), culture


def captions(culture: tmdl_text.Object) -> dict[tuple[str, ...], dict[str, str]]:
    """Caption and description by kind and name, table by table."""
    [root] = culture.of("model").values()
    return {
        (table.name, one.kind, one.name): one.properties
        for table in root.of("table").values()
        for one in (table, *table.children)
    }


def test_the_tabular_object_model_refuses_what_is_wrong(tabular: Tabular, tmp_path: Path) -> None:
    shutil.copytree(powerbi_model.DEFINITION, tmp_path / "definition")
    place = tmp_path / "definition" / "relationships.tmdl"
    place.write_text(place.read_text(encoding="utf-8").replace("Growth.date", "Growth.day"), encoding="utf-8")
    with pytest.raises(AssertionError, match="FromColumn"):
        tabular.do("connection_operations", "ConnectFolder", folderPath=str(tmp_path / "definition"))


PARSES = """
const parser = require("@microsoft/powerquery-parser");
const texts = JSON.parse(require("fs").readFileSync(0, "utf8"));
(async () => {
    const refused = {};
    for (const [name, text] of Object.entries(texts)) {
        const task = await parser.TaskUtils.tryLexParse(parser.DefaultSettings, text);
        if (!parser.TaskUtils.isParseStageOk(task)) refused[name] = String(task.error && task.error.message);
    }
    console.log(JSON.stringify(refused));
})();
"""


def test_microsofts_parser_of_m_takes_every_query_and_parameter(definition: Path) -> None:
    if not NODE.is_dir():
        pytest.skip("TESTS_POWERBI_NODE names no folder with the npm packages: make test-powerbi")
    root = tmdl_text.read(definition)
    texts = {name: one.properties["source"] for table in root.of("table").values() for name, one in table.of("partition").items()}
    texts |= {name: one.expression for name, one in root.of("expression").items()}
    assert len(texts) == 21
    told = json.dumps({**texts, "wrong": "let x = 1, in x"})
    answer = subprocess.run(["node", "-e", PARSES], cwd=NODE, input=told, capture_output=True, text=True, check=True)
    assert list(json.loads(answer.stdout)) == ["wrong"]


def test_every_file_of_the_report_and_around_it_keeps_to_its_published_schema() -> None:
    if not SCHEMAS.is_dir():
        pytest.skip("TESTS_POWERBI_SCHEMAS names no checkout of microsoft/json-schemas: make test-powerbi")
    from jsonschema import Draft7Validator
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT7

    def retrieve(address: str) -> Any:
        text = (SCHEMAS / address.removeprefix(BASE)).read_text(encoding="utf-8-sig")
        return Resource.from_contents(json.loads(text), default_specification=DRAFT7)

    registry: Any = Registry(retrieve=retrieve)  # type: ignore[call-arg]
    checked = 0
    for path in sorted(POWERBI.rglob("*")):
        if (path.suffix in TEXTS or path.name == ".platform") and "StaticResources" not in path.parts:
            content = json.loads(path.read_text(encoding="utf-8"))
            validator = Draft7Validator(retrieve(content["$schema"]).contents, registry=registry)
            assert [(path.name, error.json_path, error.message) for error in validator.iter_errors(content)] == []
            checked += 1
    assert checked > 40
