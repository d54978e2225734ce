"""`python -m benchmarks --transactions N`: measure, keep the figures, write the page anew."""

from __future__ import annotations

import click

from benchmarks import banks, figures, page
from benchmarks.bench import PARTS, Bench


@click.command()
@click.option("--transactions", type=click.IntRange(min=1000), default=10_000_000, show_default=True)
@click.option("--without", multiple=True, type=click.Choice(PARTS), help="Leave a part out; its figures are then missing.")
def main(transactions: int, without: tuple[str, ...]) -> None:
    """Measure one size against the floor and the peers; the machine should have nothing else to do."""
    click.echo(f"{transactions:,} transactions; the bank is kept in {banks.place()}")
    found = Bench(banks.bank(transactions), say=click.echo).measure(without=without)
    kept = figures.merged(figures.read(), found)
    figures.write(kept)
    page.PAGE.write_text(page.page(kept), encoding="utf-8")


if __name__ == "__main__":
    main()
