"""BigQuery as the warehouse: dbt builds in its datasets, a copy of what was published is downloaded for the app."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pipeline.addresses import is_loopback
from pipeline.bigquery import BigQuery, job_labels, own_labels, refusal
from pipeline.clock import SystemClock
from pipeline.errors import ConfigurationError, NeopulseError
from pipeline.settings import Settings
from pipeline.sources import bigquery as source
from pipeline.sources.landing import Landing
from pipeline.warehouse import bigquery_estimate, bigquery_state, read_copy
from pipeline.warehouse.base import UNUSABLE, Increment, no_complete_day
from pipeline.warehouse.bigquery_versions import DIMENSIONS, readable
from pipeline.warehouse.publication import DATABASE
from pipeline.warehouse.signature import signature

_log = logging.getLogger(__name__)

MOST_THREADS = 8  # queries that run at a time: BigQuery does the work, not this machine


class BigQueryWarehouse:
    """Builds in the datasets `<prefix>_raw`, `_staging`, `_warehouse` and `_marts` of one project."""

    name = "bigquery"

    def __init__(self, connection: BigQuery, settings: Settings, *, project: Path, run_id: int | None = None) -> None:
        self._connection = connection
        self._settings = settings
        self._prefix = settings.bigquery_prefix
        self._project = project
        self._run_id = run_id
        self._state: bigquery_state.State | None = None

    def prepare(
        self, landing: Landing, *, external: Mapping[str, Path], variables: Mapping[str, Any], full_refresh: bool
    ) -> Increment:
        """Unseal the state and put views over the bank's tables into its dataset `raw`."""
        del landing  # the bank's rows are where they are
        bank = source.find(self._connection, self._settings)
        source.refuse_another_clock(self._connection)
        self._end_what_earlier_runs_left()
        self._state = bigquery_state.State(
            self._connection,
            bank,
            prefix=self._prefix,
            today=date.fromisoformat(variables["current_bank_day"]),
            look_back_days=self._settings.look_back_days,
        )
        under = signature(self._project, variables, engine="bigquery")
        increment = self._state.begin(
            signature=under, full_refresh=full_refresh, before_a_full_one=lambda: _log.info("%s", self._estimate(bank))
        )
        for name, path in external.items():
            self._connection.load_parquet(path, f"{self._prefix}_raw.{name}")
        return increment

    def environment(self) -> Mapping[str, str]:
        """The variables that the profile's target `bigquery` reads."""
        settings = self._settings
        loopback = is_loopback(settings.bigquery_endpoint) if settings.bigquery_endpoint else False
        method = "oauth-secrets" if loopback else "service-account" if settings.bigquery_credentials else "oauth"
        return {
            "DBT_TARGET": "bigquery",
            "DBT_METHOD": method,
            "DBT_PROJECT": settings.bigquery_project,
            "DBT_PREFIX": self._prefix,
            "DBT_LOCATION": settings.bigquery_location,
            "DBT_THREADS": str(settings.threads or min(MOST_THREADS, 2 * (os.cpu_count() or 1))),
            "DBT_KEYFILE": str(settings.bigquery_credentials or ""),
            "DBT_IMPERSONATE": "" if loopback else settings.bigquery_impersonate,
            "DBT_ENDPOINT": settings.bigquery_endpoint,
            "DBT_JOB_SECONDS": str(settings.bigquery_job_seconds),
            "DBT_MAXIMUM_BYTES": str(settings.bigquery_maximum_bytes),
            "DBT_LABELS": json.dumps(job_labels(settings, self._run_id)),
        }

    def abandon(self) -> None:
        """Cancel the jobs of this run: they would go on, be billed, and change tables that the next run builds on."""
        number = str(self._run_id)
        try:
            self._connection.cancel(lambda labels: self._is_of_a_run(labels) and labels["run"] == number)
        except NeopulseError as error:
            _log.warning("What was begun at BigQuery could not be cancelled: %s", error.what)

    def _end_what_earlier_runs_left(self) -> None:
        """A worker that was killed could cancel nothing, and its jobs write into the tables that are built now."""
        try:
            left = self._connection.cancel(self._is_of_a_run)
        except ConfigurationError as error:
            _log.warning("Whether jobs of an earlier run still run could not be asked: %s", error.what)
            return
        if left:
            _log.warning("Jobs of an earlier run still ran at BigQuery and were cancelled: %d", len(left))
        self._connection.see_end(left, clock=SystemClock())

    def _is_of_a_run(self, labels: Mapping[str, str]) -> bool:
        return own_labels(self._settings).items() <= labels.items() and "run" in labels

    def refusal(self, message: str) -> NeopulseError | None:
        """What the service refused, in words with what to do."""
        return refusal(message)

    def publication_facts(self) -> Mapping[str, Any]:
        """The one row of `dim_publication` in the state that was built."""
        rows = bigquery_state.facts(self._connection, self._prefix)
        if len(rows) != 1 or rows[0]["as_of"] is None:
            place = f"{self._connection.project}.{self._prefix}"
            unusable = UNUSABLE.format(raw=f"`{place}_raw.transactions`", staging=f"`{place}_staging.stg_bank__transactions`")
            try:
                found = self._connection.rows(unusable)
            except NeopulseError as error:  # of a table that may be asked for some of its days alone, for example
                _log.warning("Why no row can be used could not be asked: %s", error.what)
                found = []
            raise no_complete_day(found, where=f"{place}_warehouse.dim_publication")
        return rows[0]

    def seal(self) -> None:
        """Say that all of the state was built and tested; the next run may build on it."""
        if self._state is not None:
            self._state.seal()

    def discard(self) -> None:
        """Nothing: the state is not on this machine."""

    def set_aside(self) -> None:
        """Nothing: BigQuery keeps its tables whole."""

    def copy_readable(self, target: Path, *, orders: Mapping[str, str], types: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
        """Download what readers may see into the folder `target`, in the types that the models declare."""
        relations = [
            read_copy.Relation(
                schema="warehouse" if DIMENSIONS.fullmatch(name) else "marts",
                name=name,
                place=place,
                shown_as=f"{self._connection.project}.{self._prefix}.{name}",
                types=types.get(name, {}),
                order=orders.get(name, ""),
            )
            for name, place in readable(self._connection, self._prefix).items()
        ]
        return read_copy.write(self._connection, relations, target / DATABASE, at_most=self._settings.bigquery_read_copy_rows)

    def estimate(self) -> str:
        """What a full refresh would scan and cost, in words."""
        return self._estimate(source.find(self._connection, self._settings))

    def _estimate(self, bank: Mapping[str, source.BankTable]) -> str:
        estimate = bigquery_estimate.full_refresh(self._connection, bank.values(), prefix=self._prefix, project=self._project)
        return estimate.in_words(self._settings.bigquery_usd_per_tib)
