"""Settings of BigQuery, who signs in, and what the service's refusals become."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("google.cloud.bigquery", reason="google-cloud-bigquery is not installed: nothing of BigQuery was tested")

import google.auth
import requests
from google.api_core import exceptions
from google.auth import impersonated_credentials
from google.auth.exceptions import DefaultCredentialsError
from google.oauth2.credentials import Credentials

from pipeline import bigquery, settings
from pipeline.addresses import is_loopback
from pipeline.checks import settings_in_force
from pipeline.errors import ConfigurationError, PermanentError, TransientError
from pipeline.settings import Settings
from pipeline.sources.bigquery import _demanded, refuse_another_clock
from pipeline.warehouse.bigquery_estimate import Estimate, in_units

ENOUGH = {"warehouse": "bigquery", "bigquery_project": "bank-analytics", "bigquery_source": "bank-core.raw"}


def given(**more: Any) -> Settings:
    return Settings(_env_file=None, **{**ENOUGH, **more})


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"WAREHOUSE": "bigquery"}, "NEOPULSE_WAREHOUSE=bigquery needs NEOPULSE_BIGQUERY_PROJECT"),
        ({"WAREHOUSE": "bigquery", "BIGQUERY_PROJECT": "bank"}, "needs NEOPULSE_BIGQUERY_SOURCE"),
        (
            {"WAREHOUSE": "bigquery", "BIGQUERY_PROJECT": "bank", "BIGQUERY_SOURCE": "raw", "RAW": "files"},
            "leave NEOPULSE_RAW empty",
        ),
        ({"BIGQUERY_SOURCE": "a.b.c; drop"}, "NEOPULSE_BIGQUERY_SOURCE: is not a dataset"),
        ({"BIGQUERY_USERS": "users`"}, "NEOPULSE_BIGQUERY_USERS: is not the name of a table"),
        ({"BIGQUERY_LABELS": "Team=a"}, "NEOPULSE_BIGQUERY_LABELS: takes key=value"),
        ({"BIGQUERY_ENDPOINT": "http://10.0.0.7:9050"}, "NEOPULSE_BIGQUERY_ENDPOINT: has to be https:// beyond this machine"),
        ({"BIGQUERY_PREFIX": "neo-pulse"}, "NEOPULSE_BIGQUERY_PREFIX"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], complaint: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"NEOPULSE_{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        settings.load(None)
    assert complaint in caught.value.what


def test_without_bigquery_none_of_its_settings_is_looked_at() -> None:
    assert Settings(_env_file=None).warehouse == "duckdb"
    assert {one.name for one in settings_in_force(None)} >= {"NEOPULSE_BIGQUERY_PROJECT", "NEOPULSE_LOOK_BACK_DAYS"}


@pytest.mark.parametrize(
    ("address", "is_here"),
    [
        ("http://127.0.0.1:9050", True),
        ("http://[::1]:9050", True),
        ("http://localhost", True),
        ("https://bigquery.example", False),
    ],
)
def test_nobody_signs_in_on_a_loopback_address_alone(monkeypatch: pytest.MonkeyPatch, address: str, is_here: bool) -> None:
    def nobody(**_: Any) -> Any:
        raise DefaultCredentialsError("nobody is signed in")

    monkeypatch.setattr(google.auth, "default", nobody)
    assert is_loopback(address) is is_here
    if is_here:
        bigquery.connect(given(bigquery_endpoint=address))
        return
    with pytest.raises(ConfigurationError, match="does not know who asks") as caught:
        bigquery.connect(given(bigquery_endpoint=address))
    assert "gcloud auth application-default login" in caught.value.next


def test_a_key_file_that_is_none_is_refused_without_its_content(tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        bigquery.connect(given(bigquery_credentials=key))
    key.write_text(json.dumps({"type": "service_account", "private_key": "sesame", "client_email": "a@b", "token_uri": "x"}))
    with pytest.raises(ConfigurationError, match="not that of a service account") as caught:
        bigquery.connect(given(bigquery_credentials=key))
    assert "sesame" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_impersonation_acts_as_the_other_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google.auth, "default", lambda **_: (Credentials(token="own"), "bank-analytics"))
    acting = bigquery._credentials(given(bigquery_impersonate="neopulse@bank.iam.gserviceaccount.com"))
    assert isinstance(acting, impersonated_credentials.Credentials)
    assert acting.service_account_email == "neopulse@bank.iam.gserviceaccount.com"


def test_labels_name_the_application_the_run_and_what_the_settings_add() -> None:
    found = bigquery.job_labels(given(bigquery_labels="team=growth,cost_center=7"), 12)
    assert found == {"application": "neopulse", "prefix": "neopulse", "run": "12", "team": "growth", "cost_center": "7"}


def test_no_two_prefixes_have_one_label_and_each_label_is_one() -> None:
    prefixes = ("retail", "Retail", "r" * 51, "r" * 52, "R" * 100)
    labels = [bigquery.own_labels(given(bigquery_prefix=prefix))["prefix"] for prefix in prefixes]
    assert labels[0] == "retail"
    assert len(set(labels)) == len(prefixes)
    assert all(re.fullmatch(r"[a-z0-9_-]{1,63}", label) for label in labels)


@pytest.mark.parametrize("label", ["run=mine", "prefix=x", "application=x"])
def test_a_label_of_neopulses_own_is_not_to_be_set(label: str) -> None:
    with pytest.raises(ValueError, match="takes no label called"):
        given(bigquery_labels=f"team=growth,{label}")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (exceptions.Forbidden("Access Denied: Table a.b.c", errors=[{"reason": "accessDenied"}]), ConfigurationError),
        (exceptions.Forbidden("Custom quota exceeded: Your usage", errors=[{"reason": "quotaExceeded"}]), ConfigurationError),
        (exceptions.Forbidden("Quota exceeded", errors=[{"reason": "quotaExceeded"}]), TransientError),
        (exceptions.TooManyRequests("Slow down"), TransientError),
        (exceptions.ServiceUnavailable("Try again"), TransientError),
        (exceptions.NotFound("Not found: Dataset x"), ConfigurationError),
        (exceptions.Unauthorized("Invalid credentials"), ConfigurationError),
        (exceptions.BadRequest("Query exceeded limit for bytes billed: 1. 2 or higher required."), ConfigurationError),
        (exceptions.BadRequest("Syntax error", errors=[{"reason": "invalidQuery"}]), PermanentError),
        (exceptions.RetryError("Timeout of 120.0s exceeded", cause=None), TransientError),
        (DefaultCredentialsError("no credentials"), ConfigurationError),
        (TimeoutError(), PermanentError),
        (requests.exceptions.ReadTimeout("no answer"), TransientError),
    ],
)
def test_each_refusal_becomes_an_error_of_its_kind_with_what_to_do(said: Exception, kind: type[Exception]) -> None:
    error = bigquery.in_words(said)
    assert type(error) is kind
    assert error is not None
    assert error.next
    assert "\n" not in error.what


@pytest.mark.parametrize(("winter", "summer", "is_utc"), [("+00", "+00", True), ("+00", "+01", False), ("+01", "+02", False)])
def test_a_project_with_a_time_zone_of_its_own_is_refused(winter: str, summer: str, is_utc: bool) -> None:
    shown = [{"shown": f"2020-01-01 {winter[1:]}:00:00{winter}"}, {"shown": f"2020-07-01 {summer[1:]}:00:00{summer}"}]
    project: Any = SimpleNamespace(project="bank-analytics", rows=lambda _: shown)
    with nullcontext() if is_utc else pytest.raises(ConfigurationError, match="time zone of its own"):
        refuse_another_clock(project)


@pytest.mark.parametrize(
    ("by", "condition"),
    [
        ({"time_partitioning": SimpleNamespace(field="Booked_On")}, "(`Booked_On` >= date '0001-01-01' or `Booked_On` is null)"),
        (
            {"time_partitioning": SimpleNamespace(field=None)},
            "(`_PARTITIONTIME` >= timestamp '0001-01-01 00:00:00+00' or `_PARTITIONTIME` is null)",
        ),
        ({"range_partitioning": SimpleNamespace(field="mcc")}, "(`mcc` >= -9223372036854775808 or `mcc` is null)"),
    ],
)
def test_a_table_that_demands_a_condition_is_given_one_that_every_row_meets(by: dict[str, Any], condition: str) -> None:
    schema = [SimpleNamespace(name="booked_on", field_type="DATE"), SimpleNamespace(name="mcc", field_type="INTEGER")]
    known = {"require_partition_filter": True, "time_partitioning": None, "range_partitioning": None, "schema": schema}
    assert _demanded(SimpleNamespace(**known | by)) == condition
    assert _demanded(SimpleNamespace(**known | by | {"require_partition_filter": None})) == ""


def test_what_the_client_did_not_say_is_not_translated() -> None:
    assert bigquery.in_words(KeyError("a bug of ours")) is None


def test_an_estimate_is_said_in_units_and_money() -> None:
    assert [in_units(size) for size in (512, 1536, 5 * 2**30, 3 * 2**40)] == ["512 B", "1.5 KiB", "5.0 GiB", "3.0 TiB"]
    said = Estimate(2**40, 2**39).in_words(6.25)
    assert said.startswith("A full refresh scans 1.0 TiB (about 6.25 USD) of the bank's tables")
    assert said.endswith("at most 512.0 GiB (about 3.12 USD) of what it builds itself")
    assert "not known before the first run" in Estimate(2**40, None).in_words(0)
