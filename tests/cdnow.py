"""Files of purchases as marketing studies publish them (customer, date, number, amount) as the bank's raw tables.

The CDNOW data: every purchase up to June 1998 of the 23,570 customers who first bought in the first quarter of 1997; Fader
and Hardie (2001), Interfaces 31:94-107. The package `lifetimes` ships the file; none of its code runs here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from histories import History

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "cdnow" / "CDNOW_master.txt"
CUSTOMERS, PURCHASES = 23_570, 69_659


def master_file() -> Path | None:
    """The master file: the one that the package ships, else the one in the shared data, else none."""
    try:
        shipped = [path for path in files("lifetimes") or () if path.name == SHARED.name]
    except PackageNotFoundError:
        shipped = []
    return next((path for path in [*(Path(str(one.locate())) for one in shipped), SHARED] if path.exists()), None)


def purchases(path: Path) -> Iterator[tuple[str, date, str, str]]:
    """Customer, day, number bought and amount of every line; a heading is left out."""
    for line in path.read_text(encoding="ascii").splitlines():
        words = line.split()
        if len(words) == 4 and words[0].isdigit():
            yield words[0], datetime.strptime(words[1], "%Y%m%d").date(), words[2], words[3]


def as_bank(path: Path) -> History:
    """Each purchase as a completed card payment at noon of its day; an account opens with the first one."""
    history, opened = History(), dict[int, date]()
    for customer, day, _, amount in purchases(path):
        number = int(customer)
        opened[number] = min(day, opened.get(number, day))
        history.transaction(number, day, amount=amount)
    for number, day in opened.items():
        history.customer(number, opened=day, country="US")
    return history
