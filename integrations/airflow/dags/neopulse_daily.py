"""The five steps of neopulse as an Airflow DAG: every task calls the command line, and the run store's lease decides who runs.

What a deployment sets, in the environment of Airflow's own processes:

- AIRFLOW_NEOPULSE_COMMAND: how neopulse is called there, `neopulse` unless told. A container's is
  `docker compose --project-directory /srv/neopulse exec -T worker neopulse`.
- AIRFLOW_NEOPULSE_SCHEDULE and AIRFLOW_NEOPULSE_TIMEZONE: a cron expression and its zone, 06:00 UTC unless told.
- AIRFLOW_NEOPULSE_LATE_AFTER and AIRFLOW_NEOPULSE_LATE_MAIL_TO: minutes after its start (240) from which a day that has not
  ended is late, and who is told by Airflow's mail connection `smtp_default`; without an address nobody is.

neopulse's own settings (NEOPULSE_HOME and the others) are those of the command. The pool `neopulse` has to exist, with one slot.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, AsyncCallback, Context, DeadlineAlert, DeadlineReference, Param, chain
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

COMMAND = os.environ.get("AIRFLOW_NEOPULSE_COMMAND", "neopulse")
SCHEDULE = os.environ.get("AIRFLOW_NEOPULSE_SCHEDULE", "0 6 * * *")
ZONE = ZoneInfo(os.environ.get("AIRFLOW_NEOPULSE_TIMEZONE", "UTC"))
LATE_AFTER = timedelta(minutes=float(os.environ.get("AIRFLOW_NEOPULSE_LATE_AFTER", "240")))
LATE_MAIL_TO = os.environ.get("AIRFLOW_NEOPULSE_LATE_MAIL_TO", "")

STEPS = ("extract", "transform", "sheet", "activate", "notify")

# Wrong settings, and a candidate that waits for an admin: both stay until a person acts.
NOT_TRIED_AGAIN = (2, 3)


class NeopulseStep(BashOperator):
    """One step by the command line; fails at once where another attempt would change nothing."""

    def execute(self, context: Context) -> str:
        """Call the command; raises AirflowFailException for the exit codes that are not tried again."""
        try:
            return super().execute(context)
        except AirflowSkipException as ended:
            raise AirflowFailException(
                "Exit code 2: settings are wrong, see neopulse check. Exit code 3: the candidate waits, see neopulse versions."
            ) from ended


def late_alert() -> DeadlineAlert | None:
    """Who is told when a day has not ended in time; None without an address."""
    if not LATE_MAIL_TO:
        return None
    mail = {
        "to": LATE_MAIL_TO,
        "subject": "neopulse has not ended in time",
        "html_content": "The DAG neopulse_daily has not ended in time. `neopulse status` says where it stands.",
    }
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=LATE_AFTER, callback=AsyncCallback(SmtpNotifier, kwargs=mail)
    )


with DAG(
    dag_id="neopulse_daily",
    description="Who is active, who leaves, who comes back: extract, transform, sheet, activate, notify",
    doc_md=__doc__,
    schedule=SCHEDULE,
    start_date=datetime(2026, 1, 1, tzinfo=ZONE),
    catchup=False,  # a run always takes up everything the bank has: a missed day is in the next one
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=12),
    deadline=late_alert(),
    tags=["neopulse"],
    params={
        "full_refresh": Param(
            default=False, type="boolean", title="Full refresh", description="Build everything anew, not only what changed."
        )
    },
    default_args={
        "owner": "neopulse",
        "pool": "neopulse",
        "retries": 2,
        "retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=6),
    },
):
    chain(
        *(
            NeopulseStep(
                task_id=step,
                bash_command=f'{COMMAND} run --only {step} --asked-by "$ASKED_BY"'
                + ("{{ ' --full-refresh' if params.full_refresh else '' }}" if step == "transform" else ""),
                env={"ASKED_BY": "Airflow, {{ run_id }}"},
                append_env=True,
                skip_on_exit_code=NOT_TRIED_AGAIN,
                do_xcom_push=False,
            )
            for step in STEPS
        )
    )
