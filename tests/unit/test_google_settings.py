"""Google Sheets in the settings, in `neopulse check`, in the plan of a run and in its step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google_sheets_kit import AT, World, tab, world
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from pipeline import checks, steps
from pipeline.context import StepContext
from pipeline.errors import ConfigurationError
from pipeline.marts.holding import Holding
from pipeline.planned_acts import planned_act
from pipeline.settings import Settings
from pipeline.sheets import google_sign_in, held, layout
from pipeline.sheets.google import GoogleSheet
from pipeline.sheets.google_calls import connect
from pipeline.sheets.google_rows import open_rows
from pipeline.sheets.workbook import WorkbookSheet

ADDRESS = "neopulse@bank-analytics.iam.gserviceaccount.com"
ID = "1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789_-abcd"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def in_force(here: World, **more: Any) -> Settings:
    given = {
        "home": here.folder / "home",
        "google_sheets_id": here.book_id,
        "google_sheets_credentials": here.key_file,
        "google_sheets_endpoint": here.stand_in.url,
    }
    return Settings(_env_file=None, **(given | more))


def finding(settings: Settings) -> checks.Finding:
    return next(found for found in checks.findings(settings) if found.subject == "sheet")


@pytest.mark.parametrize(
    "given",
    [
        ID,
        f"https://docs.google.com/spreadsheets/d/{ID}/edit#gid=0",
        f"https://docs.google.com/spreadsheets/u/1/d/{ID}",
        f" {ID} ",
    ],
)
def test_a_spreadsheet_is_named_by_its_id_or_its_address(given: str) -> None:
    assert Settings(_env_file=None, google_sheets_id=given).google_sheets_id == ID


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("google_sheets_id", "my sheet"),
        ("google_sheets_endpoint", "https://sheets.example"),
        ("google_sheets_endpoint", "127.0.0.1:9050"),
    ],
)
def test_what_names_no_spreadsheet_and_no_place_on_this_machine_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError, match=r"is not the id|has to be an address on this machine"):
        Settings(_env_file=None, **{name: value})


def test_the_plan_of_a_run_says_where_the_sheet_goes(here: World) -> None:
    assert planned_act("sheet", in_force(here)) == f"write the tabs of the Google spreadsheet {here.book_id}"
    assert planned_act("sheet", in_force(here, google_sheets_id="")).startswith("write the workbook")


def test_the_check_reads_harmlessly_and_says_with_whom_to_share(here: World) -> None:
    found = finding(in_force(here))
    assert found.error is None
    assert found.text.startswith(f"Bank KPIs (https://docs.google.com/spreadsheets/d/{here.book_id}/edit) can be read")
    assert ADDRESS in found.text
    assert here.kinds() == ["get"]


def test_the_check_says_with_whom_to_share_what_may_not_be_read(here: World) -> None:
    here.book.shared.clear()
    found = finding(in_force(here))
    assert isinstance(found.error, ConfigurationError)
    assert f"share the spreadsheet with {ADDRESS} as an editor" in found.error.next


def test_without_a_spreadsheet_the_check_names_the_workbook(here: World) -> None:
    assert "workbook on disk" in finding(in_force(here, google_sheets_id="")).text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read: No such file"),
        ("", "is not the key file of a service account"),
        ('{"type": "authorized_user"}', "is not the key file of a service account"),
        ('{"client_email": "a@b", "token_uri": "x", "private_key": "-----BEGIN PRIVATE KEY-----\\nQUJD"}', "is not the key file"),
    ],
)
def test_a_key_file_that_is_none_is_told_by_its_path_and_never_quoted(here: World, content: str | None, told: str) -> None:
    if content is None:
        here.key_file.unlink()
    else:
        here.key_file.write_text(content, encoding="utf-8")
    found = finding(in_force(here))
    assert found.error is not None
    assert told in str(found.error)
    assert "BEGIN PRIVATE KEY" not in str(found.error)
    assert "QUJD" not in str(found.error)
    assert str(here.key_file) in found.error.where


def test_application_default_credentials_sign_in_too(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(here.key_file))
    calls = connect(in_force(here, google_sheets_credentials=""), clock=here.clock)
    assert calls.state().title == "Bank KPIs"
    assert calls.account.address == ADDRESS
    assert not calls.account.credentials._is_regional_access_boundary_lookup_required()


def test_a_machine_without_credentials_is_told_what_to_do(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**_: Any) -> Any:
        raise google_sign_in.DefaultCredentialsError

    monkeypatch.setattr("google.auth.default", none)
    found = finding(in_force(here, google_sheets_credentials=""))
    assert isinstance(found.error, ConfigurationError)
    assert "key file of a service account" in found.error.next


def test_the_step_writes_the_tabs_of_the_version_and_tells_the_address(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    context = StepContext(
        settings=in_force(here),
        store=None,  # type: ignore[arg-type]
        run=None,  # type: ignore[arg-type]
        clock=here.clock,
        publications=None,  # type: ignore[arg-type]
        progress=lambda _fraction, text: shown.append(text),
        cancelled=lambda: False,
        guard=lambda: None,
    )
    monkeypatch.setattr(steps, "_current", lambda _context: type("Version", (), {"published_at": AT, "registry": {}}))
    monkeypatch.setattr("pipeline.marts.reader", lambda version: version)
    monkeypatch.setattr(layout, "tabs", lambda _reader, *, language: (tab(name=f"KPIs in {language}"),))
    monkeypatch.setattr(held, "of_tabs", lambda _tabs, _registry: Holding("v0001", None))
    result = steps.run_step("sheet", context)
    assert (result.service, result.rows_in, result.rows_out) == ("Google Sheets", 2, 2)
    assert result.detail == {
        "location": f"https://docs.google.com/spreadsheets/d/{here.book_id}/edit",
        "tabs": 1,
        "held": {"version": "v0001", "as_of": None, "figures": {}},
    }
    assert here.titles() == ["Sheet1", "KPIs in en"]
    assert shown == ["reading the marts", "writing the tabs"]
    assert isinstance(steps._sheet_of(context), GoogleSheet)
    assert isinstance(steps._sheet_of(replace(context, settings=in_force(here, google_sheets_id=""))), WorkbookSheet)


def test_rows_of_the_spreadsheet_of_the_settings_are_opened_for_others(here: World) -> None:
    rows = open_rows(in_force(here), clock=here.clock, guard=lambda: None)
    rows.write("Customers", ("user_id", "plan"), "user_id", {"7": ("7", "METAL")})
    assert rows.read("Customers", ("user_id", "plan"), "user_id") == {"7": ("7", "METAL")}
    elsewhere = open_rows(in_force(here, google_sheets_syncs_id="1" * 30), clock=here.clock, guard=lambda: None)
    with pytest.raises(ConfigurationError) as caught:
        elsewhere.read("Customers", ("user_id", "plan"), "user_id")
    assert "NEOPULSE_GOOGLE_SHEETS_SYNCS_ID is right" in caught.value.next


def test_the_key_is_in_no_setting_that_is_shown(here: World) -> None:
    key = json.loads(here.key_file.read_text(encoding="utf-8"))["private_key"]
    settings = in_force(here)
    assert all(key not in setting.value for setting in checks.settings_in_force(settings))
    assert key not in repr(settings)


def test_no_two_groups_of_settings_have_a_validator_of_the_same_name() -> None:
    """Of two, only one would be in force, and the other group's settings would go unchecked."""
    groups = [group for group in Settings.__mro__ if issubclass(group, BaseSettings) and group is not BaseSettings]
    declared = [(group, group.__pydantic_decorators__) for group in groups]
    own = [
        name for group, found in declared for name in (*found.field_validators, *found.model_validators) if name in vars(group)
    ]
    assert sorted(own) == sorted(set(own))
    assert "_google_sheets_is_a_spreadsheet" in own
