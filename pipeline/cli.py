"""The command line: `neopulse --help`. What a command needs is imported when it is called, so that help comes at once."""

from __future__ import annotations

import getpass
import os
import sys
import traceback
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline import cli_approval, cli_export
from pipeline.errors import ConfigurationError, NeopulseError, without_controls
from pipeline.steps import STEPS
from pipeline.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.marts import Answer, Question, Reader, ThinTail
    from pipeline.runner import Order
    from pipeline.runs.holders import Holders
    from pipeline.runs.records import Run
    from pipeline.runs.store import RunStore
    from pipeline.settings import Settings
    from pipeline.warehouse.publication import Publications, Version

DONE, FAILED, WRONG_USAGE, WAITS = 0, 1, 2, 3
LONGEST_NAME = 200  # of who asked for a run, in the run store


class Commands(click.Group):
    """Commands that end with one clear message and an exit code, never with a traceback."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command; every error becomes its message and its exit code."""
        try:
            return super().invoke(context)
        except NeopulseError as error:
            _say_error(str(error))
            context.exit(error.exit_code)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            _say_error(_unforeseen(error))
            context.exit(FAILED)


@click.group(cls=Commands, context_settings={"max_content_width": 110})
@click.version_option(package_name="neopulse")
def main() -> None:
    """Who is active, who leaves, who comes back, and how sure are we.

    Exit codes: 0 done, 1 the run failed, 2 wrong usage or configuration, 3 the candidate waits for approval. Settings are
    NEOPULSE_* in the environment or in .env; `neopulse check` lists them.
    """


@main.command()
@click.option("--transactions", type=click.IntRange(min=1000), help="Size of the demo bank.  [NEOPULSE_DEMO_TRANSACTIONS]")
@click.option("--seed", type=click.IntRange(min=0), help="Another seed, another bank.  [NEOPULSE_DEMO_SEED]")
@click.option("--no-app", is_flag=True, help="End after the run.")
def demo(transactions: int | None, seed: int | None, no_app: bool) -> None:
    """Generate the demo bank, run the chain once, serve the app.

    A second call with the same size and seed serves at once.
    """
    from pipeline import demo as demonstration
    from pipeline import serving

    settings = demonstration.settings_for(_settings(), transactions=transactions, seed=seed)
    if not no_app:
        serving.check_address(settings)
    with Stop() as stop:
        if demonstration.is_published(settings, _run_store(settings), _publications(settings)):
            click.echo("the demo bank's version is there already")
        else:
            _end_unless_done(_execute(settings, _order("demo"), stop))
        if not no_app:
            serving.serve(settings, say=click.echo, is_to_end=stop.is_wanted)


@main.command()
@click.option("--from", "first_step", type=click.Choice(STEPS), help="Begin with this step.")
@click.option("--only", "only_step", type=click.Choice(STEPS), help="Do this step alone.")
@click.option("--full-refresh", is_flag=True, help="Build everything anew, not only what changed.")
@click.option("--asked-by", metavar="NAME", help="Who asks, where another program does: shown on Runs and in the audit log.")
@click.option("--dry-run", is_flag=True, help="Say what the run would do, and change nothing.")
def run(first_step: str | None, only_step: str | None, full_refresh: bool, asked_by: str | None, dry_run: bool) -> None:
    """Do the five steps: extract, transform, sheet, activate, notify.

    The transform builds a candidate, runs every test on it, and only then publishes it.
    """
    if first_step and only_step:
        raise click.UsageError("--from and --only exclude each other")
    settings = _settings()
    order = _order(
        "cli", only_step or first_step or STEPS[0], only_step=only_step is not None, full_refresh=full_refresh, asked_by=asked_by
    )
    if dry_run:
        _say_plan(settings, order)
        return
    with Stop() as stop:
        _end_unless_done(_execute(settings, order, stop))


@main.command()
@click.argument("name")
@click.option("--window", type=int, help="N: days of silence after which a customer has lapsed.  [the version's]")
@click.option("--from", "start", type=click.DateTime(["%Y-%m-%d"]), help="First day, week or month.")
@click.option("--to", "end", type=click.DateTime(["%Y-%m-%d"]), help="Last day, week or month.")
@click.option("--by", help="Split by a dimension: country, plan, plan_tier, os, age_band ...")
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="DIM=VALUE",
    help="Only these customers. Again with another dimension: and; with the same: or.",
)
@click.option("--grain", type=click.Choice(("day", "week", "month")), help="Length of one point.")
@click.option("--kind", help="Variant of the metric: classic or unbounded, net or gross, recognised or effective ...")
@click.option("--cohort", help="What a cohort shares: first_activity or signup.")
@click.option(
    "--as",
    "who",
    metavar="WHO",
    multiple=True,
    help="As this person sees it, for handing it on: ada@bank.example or @domain; and, once more, each group:name of theirs.",
)
@click.option("--format", "form", type=click.Choice(("table", "csv", "json")), default="table", show_default=True)
def metric(
    name: str,
    window: int | None,
    start: datetime | None,
    end: datetime | None,
    by: str | None,
    conditions: tuple[str, ...],
    grain: str | None,
    kind: str | None,
    cohort: str | None,
    who: tuple[str, ...],
    form: str,
) -> None:
    """Print the published figures of a metric, as the app shows them."""
    from pipeline import listings
    from pipeline.answers import FORMATS
    from pipeline.marts import Question, Reader, reader

    where = tuple(_condition(condition) for condition in conditions)
    question = Question(name, window, _day(start), _day(end), by, where, grain, kind, cohort)
    settings = _settings()
    ask = _ask_as(settings, who) if who else Reader.answer

    def read(version: Version) -> tuple[Answer, ThinTail | None]:
        answer = ask(reader(version), question)
        return answer, reader(version).thin_tail(countries=answer.question.countries)

    found = _publications(settings).read_current(read)
    if found is None:
        raise ConfigurationError(
            "Nothing has been published yet", where=str(settings.home), next="neopulse demo, or neopulse run"
        )
    answer, tail = found
    click.echo(FORMATS[form](answer, settings.language))
    if tail is not None and (question.end is None or question.end >= tail.first):
        click.echo(listings.thin_tail(tail), err=True)  # beside the figures, which a program reads


@main.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(as_json: bool) -> None:
    """Say what is current, what runs and how it went."""
    from pipeline import listings

    settings = _settings()
    store = _run_store(settings)
    is_dead = _holders(settings).is_dead
    store.look_on(is_dead)
    store.reap(is_dead)
    version = _publications(settings).current()
    click.echo(listings.status_as_json(store, version) if as_json else listings.status(store, version))


@main.command()
def versions() -> None:
    """List the published versions, newest first, and the candidate that waits for approval."""
    from pipeline import listings
    from pipeline.warehouse.held import HeldCandidates

    publications = _publications(_settings())
    click.echo(listings.versions(publications.versions(), publications.readable_current()))
    for held in HeldCandidates(publications).waiting():
        click.echo(listings.held(held))


@main.command()
@click.argument("version")
def rollback(version: str) -> None:
    """Make a kept version current again."""
    settings = _settings()
    store, publications = _run_store(settings), _publications(settings)
    before = publications.readable_current()

    def note(after: Version) -> None:
        store.audit(_user(), "rollback", "published version", before=before.name if before else None, after=after.name)

    now = publications.rollback(version, note=note)
    click.echo(f"{now.name}, as of {now.as_of}, is current" + (f"; it was {before.name}" if before else ""))


@main.command()
@click.argument("run", type=click.IntRange(min=1), required=False)
def cancel(run: int | None) -> None:
    """End the run that is going on, wherever it runs, and wait until it has ended.

    Readers keep the version that they see; the run can be taken up later with `neopulse run --from STEP`.
    """
    from pipeline import cancelling
    from pipeline.clock import SystemClock
    from pipeline.runs.records import RunState

    settings = _settings()
    is_dead = _holders(settings).is_dead
    ended = cancelling.cancel(_run_store(settings), run, _user(), clock=SystemClock(), is_dead=is_dead)
    too_late = "" if ended.state is RunState.INTERRUPTED else ": it ended by itself before it could be cancelled"
    click.echo(f"run {ended.id} {ended.standing}{too_late}")


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--logs", "with_logs", is_flag=True, help="The runs' logs as well.")
def backup(file: Path, with_logs: bool) -> None:
    """Write the state into one file, while worker and app go on; - is the standard output.

    Run store, published versions, what was sent, sheet and mails; neither settings and secrets nor what a run makes again.
    """
    from pipeline.backups.making import make_backup
    from pipeline.clock import SystemClock

    settings = _settings()
    store = _run_store(settings)
    made = make_backup(settings, _publications(settings), file, clock=SystemClock(), with_logs=with_logs)
    store.audit(_user(), "backup", str(file), after={"files": made.files, "version": made.version.name if made.version else None})
    click.echo(f"{file}: {made.in_words}", err=True)


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--force", is_flag=True, help="Also where there is a state already, which is kept aside.")
def restore(file: Path, force: bool) -> None:
    """Put the state of a backup back, once it is proven whole; - is the standard input. End worker and app first."""
    from pipeline.backups.restoring import restore as put_back
    from pipeline.clock import SystemClock

    settings = _settings()
    restored = put_back(settings, file, force=force, clock=SystemClock())
    _run_store(settings).audit(_user(), "restore", str(file), after={"made_at": restored.made_at})
    click.echo(restored.in_words)


@main.command()
@click.argument("name", required=False)
@click.option("--apply", "digest", metavar="DIGEST", help="Carry out the plan of that digest, past the guards.")
@click.option("--only", metavar="KEY", default="", help="Of one row alone, to try the sync.")
@click.option("--afresh", is_flag=True, help="Of every row, whatever was sent before.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def syncs(name: str | None, digest: str | None, only: str, afresh: bool, as_json: bool) -> None:
    """Show what the syncs would send now, all of them or one; carry out one plan.

    A guard that stopped a sync in a run is passed by --apply, as long as the plan is still the one that was shown.
    """
    from pipeline import syncs_by_hand
    from pipeline.clock import SystemClock
    from pipeline.reverse_etl.plan import Scope

    if name is None and (only or digest is not None):
        raise click.UsageError("--only and --apply need the name of the sync")
    settings, scope = _settings(), Scope(only, afresh)
    hand = syncs_by_hand.ByHand(
        settings, _run_store(settings), SystemClock(), _publications(settings).current(), _holders(settings)
    )
    if digest is None:
        found = hand.plans(name, scope)
        click.echo(syncs_by_hand.as_json(found) if as_json else syncs_by_hand.in_words(found))
        return
    with Stop() as stop:
        press = syncs_by_hand.Press(str(name), _user(), scope, digest)
        click.echo(syncs_by_hand.outcome(hand.apply(press, is_to_end=stop.is_wanted)))


@main.command()
def worker() -> None:
    """Run the chain on schedule and on request, until told to end."""
    from pipeline import serving

    settings = _settings()
    _run_store(settings)  # a store that does not open is told here, once, instead of on every tick
    serving.become(serving.WORKER, serving.environment(settings))


@main.command()
def app() -> None:
    """Serve the app."""
    from pipeline import serving

    settings = _settings()
    serving.check_address(settings)
    click.echo(f"neopulse is at {settings.app_address}")
    serving.become((serving.ORDERLY, *serving.app_command(settings)), serving.app_environment(settings))


@main.command()
def check() -> None:
    """List every setting; say what is wrong and what to do."""
    from pipeline import checks, listings

    try:
        settings: Settings | None = _settings()
        problems: list[NeopulseError] = []
    except ConfigurationError as error:
        settings, problems = None, [error]
    click.echo(listings.settings(checks.settings_in_force(settings)))
    for finding in checks.findings(settings) if settings is not None else ():
        click.echo(f"{'wrong' if finding.error else 'fine':<6} {finding.subject}: {finding.text}")
        problems += [finding.error] if finding.error else []
    for problem in problems:
        _say_error(str(problem))
    sys.exit(WRONG_USAGE if problems else DONE)


@main.command()
@click.option("--transactions", type=click.IntRange(min=1000), required=True, help="How many.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the Parquet files.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Another seed, another bank.")
def generate(transactions: int, out: Path, seed: int) -> None:
    """Write a demo bank of any size as Parquet files."""
    from pipeline.files import make_folder
    from pipeline.sources.demo import generate as generate_bank
    from pipeline.terminal import Lines, counting

    make_folder(out, named_by="--out")
    lines = Lines(sys.stdout)
    generate_bank(out, transactions=transactions, seed=seed, progress=counting(lines, "transactions"))
    lines.stay(f"{transactions:,} transactions are in {out}; NEOPULSE_RAW={out} neopulse run reads them")


def _execute(settings: Settings, order: Order, stop: Stop) -> Run:
    from pipeline.clock import SystemClock
    from pipeline.runner import Runner
    from pipeline.terminal import Lines, TerminalReporter

    runner = Runner(
        settings=settings,
        store=_run_store(settings),
        publications=_publications(settings),
        clock=SystemClock(),
        holders=_holders(settings),
        reporter=TerminalReporter(Lines(sys.stdout)),
    )
    return runner.execute(order, cancelled=stop.is_wanted)


def _end_unless_done(ended: Run) -> None:
    from pipeline.runs.records import RunState

    if ended.state is RunState.SUCCEEDED:
        click.echo(
            f"run {ended.id} {ended.standing}" + (f": version {ended.version}, as of {ended.as_of}" if ended.version else "")
        )
        return
    if ended.state is RunState.HELD:
        click.echo(ended.error or f"Run {ended.id} {ended.state}", err=True)
        sys.exit(WAITS)
    _say_error(ended.error or f"Run {ended.id} {ended.state}")
    sys.exit(WRONG_USAGE if ended.error_kind == ConfigurationError.kind else FAILED)


def _say_plan(settings: Settings, order: Order) -> None:
    from pipeline.planned_acts import planned_act
    from pipeline.steps import planned_cost

    version = _publications(settings).current()
    click.echo(f"current version: {version.name if version else 'none'}; nothing is changed by this dry run")
    for name in order.steps:
        click.echo(f"  {name:<10} {planned_act(name, settings)}")
    if "transform" in order.steps and (cost := planned_cost(settings)):
        click.echo(cost)


def _order(
    trigger: str,
    first_step: str = STEPS[0],
    *,
    only_step: bool = False,
    full_refresh: bool = False,
    asked_by: str | None = None,
) -> Order:
    from pipeline.runner import Order

    who = (asked_by or _user())[:LONGEST_NAME]
    return Order(trigger, who, first_step=first_step, only_step=only_step, full_refresh=full_refresh)


def _settings() -> Settings:
    from pipeline.settings import load

    return load()


@main.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def docs(file: Path) -> None:
    """Write dbt's documentation of the models as one HTML file: columns, tests, SQL, lineage to the people.

    For a folder of your web server or a mail; no table is looked at.
    """
    from pipeline.transform import DBT_PROJECT
    from pipeline.warehouse import dbt_site

    size = dbt_site.write(DBT_PROJECT, file.absolute())
    click.echo(f"{file}: {size / 1e6:.1f} MB")


def _run_store(settings: Settings) -> RunStore:
    from pipeline.clock import SystemClock
    from pipeline.runs.store import RunStore

    return RunStore.open(settings.run_store_url, clock=SystemClock())


def _holders(settings: Settings) -> Holders:
    from pipeline.runs.holders import Holders

    return Holders.of(settings.home)


def _ask_as(settings: Settings, who: Sequence[str]) -> Callable[[Reader, Question], Answer]:
    """How a person asks: of the countries that they see, and without what their role withholds."""
    from dataclasses import replace

    from pipeline.access import Role, named
    from pipeline.marts.withholding import for_viewers

    rules, person = settings.access_rules(), named(who)
    role, seen = rules.role_of(person), rules.countries_of(person)
    if role is None:
        raise ConfigurationError(
            f"{' '.join(who)} has no role", where="the settings NEOPULSE_ROLE_*", next="docs/sign-in.md says how to give one"
        )
    if rules.asks_for_groups(person):
        raise ConfigurationError(
            f"The countries of {person.name} depend on their groups, which nobody named",
            where="--as",
            next="add --as group:NAME for each group of theirs, or give them countries of their own (docs/sign-in.md)",
        )
    countries = None if seen is None else tuple(sorted(seen))

    def ask(reader: Reader, question: Question) -> Answer:
        answer = reader.answer(replace(question, countries=countries))
        return for_viewers(reader, answer) if role < Role.MANAGER else answer

    return ask


def _publications(settings: Settings) -> Publications:
    from pipeline.warehouse.choice import publications

    return publications(settings)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return f"user {os.getuid()}"


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()


def _condition(text: str) -> tuple[str, str]:
    dimension, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--where {text}: give a dimension and its value, such as --where country=FR")
    return dimension, value


def _say_error(text: str) -> None:
    from pipeline.masking import masked

    click.echo(f"Error: {without_controls(masked(text))}", err=True)


def _unforeseen(error: Exception) -> str:
    """One line for a fault that nobody foresaw; its traceback goes into a file, where one can be written."""
    line = f"{type(error).__name__}: {error}".splitlines()[0]
    try:
        from pipeline.files import make_folder
        from pipeline.logs import LARGEST_BYTES
        from pipeline.masking import masked

        path = make_folder(_settings().home / "logs", private=True) / "neopulse.log"
        mode = "a" if path.exists() and path.stat().st_size < LARGEST_BYTES else "w"
        with path.open(mode, encoding="utf-8") as log:
            log.write(masked("".join(traceback.format_exception(error))))
    except (NeopulseError, OSError):
        return f"{line}\n  next: neopulse check"
    return f"{line}\n  where: {path} has the details\n  next: neopulse check"


main.add_command(cli_approval.approve)
main.add_command(cli_approval.reject)
main.add_command(cli_export.export)
main.add_command(cli_export.powerbi)
