"""`python -m benchmarks.app`: measure the app on a published bank, keep the figures, write the page anew."""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks import banks, chain, figures, page
from benchmarks.app.figures import merged
from benchmarks.app.measure import PARTS, measure
from benchmarks.bench import job
from pipeline.warehouse.publication import Publications

TIMES = 12


@click.command()
@click.option(
    "--transactions", type=click.IntRange(min=1000), default=10_000_000, show_default=True, help="How many the bank has."
)
@click.option("--home", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A home with a published version.")
@click.option("--times", type=click.IntRange(min=1), default=TIMES, show_default=True, help="How often each thing is done.")
@click.option("--without", multiple=True, type=click.Choice(PARTS), help="Leave a part out; its last figures then stay.")
def main(transactions: int, home: Path | None, times: int, without: tuple[str, ...]) -> None:
    """Measure the screen, the load and a peer; the machine should have nothing else to do."""
    for found in measure(home or published(transactions), say=click.echo, times=times, without=without):
        kept = merged(figures.read(), found, transactions=transactions)
        figures.write(kept)
        page.PAGE.write_text(page.page(kept), encoding="utf-8")


def published(transactions: int) -> Path:
    """A home with this bank published, kept from one measurement to the next; delete it after the models have changed."""
    home = banks.place() / f"published-{transactions}"
    if Publications(home, keep=1).current() is None:
        bank = banks.bank(transactions)
        chain.run(bank.whole, home, job(bank.transaction_file))
    return home


if __name__ == "__main__":
    main()
