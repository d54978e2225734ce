"""`neopulse approve` and `neopulse reject`: what becomes of a candidate that waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipeline.stop import Stop

if TYPE_CHECKING:
    from pipeline.warehouse.publication import Publications

NOTE = click.option("--note", default="", help="Why; the audit log keeps it.")
WHICH = click.argument("run", required=False)


@click.command()
@WHICH
@NOTE
def approve(run: str | None, note: str) -> None:
    """Publish the candidate that waits, and go on with sheet, activate and notify.

    RUN is the run that made it; without one, it is the one that waits. What is published is exactly what was held.
    """
    from pipeline import approval, cli
    from pipeline.runner import Order

    settings = cli._settings()
    store, publications = cli._run_store(settings), cli._publications(settings)
    run_id = _which(run, publications)
    is_dead = cli._holders(settings).is_dead
    store.look_on(is_dead)
    store.reap(is_dead)
    store.assert_free()  # an approval that nobody carries out would only look like one
    approval.approve(store, publications, run_id, who=cli._user(), note=note)
    with Stop() as stop:
        cli._end_unless_done(cli._execute(settings, Order("approval", cli._user(), approves=run_id), stop))


@click.command()
@WHICH
@NOTE
def reject(run: str | None, note: str) -> None:
    """Delete the candidate that waits; readers keep the version that they see."""
    from pipeline import approval, cli

    settings = cli._settings()
    publications = cli._publications(settings)
    held = approval.reject(cli._run_store(settings), publications, _which(run, publications), who=cli._user(), note=note)
    click.echo(f"the candidate of {held.name} is gone. {publications.in_words()}")


def _which(run: str | None, publications: Publications) -> int:
    """The run that is named, by its number alone or with a word before it, or the one whose candidate waits."""
    from pipeline.errors import ConfigurationError
    from pipeline.warehouse.held import HeldCandidates

    if run is not None:
        number = run.removeprefix("run").strip(" -_")
        if not number.isdecimal():
            raise click.UsageError(f"{run} is not the number of a run")
        return int(number)
    waiting = HeldCandidates(publications).waiting()
    if not waiting:
        raise ConfigurationError("No candidate waits for approval", safe=publications.in_words(), next="neopulse versions")
    return waiting[0].run_id
