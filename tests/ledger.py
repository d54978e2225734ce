"""A bank whose files come day by day, and everything that can happen to them between two runs.

A batch is a function that changes the ledger in one way and is named after it. Files that a batch leaves alone are not
written again, so that a run sees as changed what has changed.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import oracle
from histories import History, Row, stamp

FIRST_DAY = date(2020, 1, 10)
DAYS = 55  # to 4 March: a leap day behind, the clocks go forward ahead
N = 14
GAPS = (1, 1, 2, 3, 7, 13, 14, 15, 28, 29)


@dataclass
class Ledger:
    """The bank's rows by file, the current bank day, and the settings of the next run."""

    chance: random.Random
    history: History = field(default_factory=History)
    files: dict[str, list[Row]] = field(default_factory=dict)
    gone: dict[str, list[Row]] = field(default_factory=dict)
    today: date = FIRST_DAY + timedelta(days=DAYS)
    settings: dict[str, Any] = field(default_factory=lambda: {"inactivity_days": N})

    @property
    def now(self) -> datetime:
        """Noon of the current bank day."""
        return datetime.combine(self.today, time(11), UTC)

    @property
    def newest(self) -> str:
        """The name of the last file that is there."""
        return max(self.files)

    def any_file(self) -> str:
        """A file that is there, the first and the last as likely as all between."""
        names = sorted(self.files)
        return self.chance.choice((names[0], names[-1], self.chance.choice(names)))

    def any_row(self) -> Row:
        """A transaction that is there and has a day."""
        rows = [row for name in sorted(self.files) for row in self.files[name] if oracle.moment(row["created_date"])]
        return self.chance.choice(rows)

    def any_user(self) -> Row:
        """A row of users."""
        return self.chance.choice(self.history.users)

    def pay(self, file: str, day: date, *, number: int | None = None, **row: str) -> Row:
        """A transaction of some customer on a bank day, in a file."""
        who = self.chance.randint(1, 44) if number is None else number  # the last few have no row of users
        at = datetime.combine(day, self.chance.choice((time(0, 30), time(12), time(23, 45))), oracle.ZoneInfo("Europe/Paris"))
        given = {"amount": f"{self.chance.randint(1, 9_999) / 100}", "type": self.chance.choice(("CARD_PAYMENT", "ATM", "TOPUP"))}
        paid = self.history.transaction(who, stamp(at), **(given | {"presence": self.chance.choice(("TRUE", "false", ""))} | row))
        self.files.setdefault(file, []).append(paid)
        return paid

    def write(self, folder: Path) -> Path:
        """Make a folder the bank's: files that are as they were are not touched."""
        wanted = {f"transactions/{name}.csv": _csv(rows) for name, rows in self.files.items()}
        wanted |= {"users.csv": _csv(self.history.users), "devices.csv": _csv(self.history.devices)}
        for path in folder.glob("transactions/*.csv"):
            if str(path.relative_to(folder)) not in wanted:
                path.unlink()
        for name, content in wanted.items():
            path = folder / name
            if not path.exists() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        return folder


def _csv(rows: list[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else list(HEADER))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


HEADER = tuple(History().transaction(0, FIRST_DAY))


def opening_bank(seed: int) -> Ledger:
    """Forty customers with a row of users, a few without, and their first eight weeks in one file a day."""
    ledger = Ledger(random.Random(seed))
    for number in range(1, 41):
        ledger.history.customer(
            number,
            opened=FIRST_DAY + timedelta(days=ledger.chance.randrange(DAYS)),
            country=ledger.chance.choice(("GB", "FR", "PL")),
            plan=ledger.chance.choice(("STANDARD", "PREMIUM")),
            brand=ledger.chance.choice(("Apple", "Android")),
        )
    for number in range(1, 45):
        day = FIRST_DAY + timedelta(days=ledger.chance.randrange(DAYS // 2))
        while day < ledger.today:
            ledger.pay(day.isoformat(), day, number=number)
            day += timedelta(days=ledger.chance.choice(GAPS))
    return ledger


# --- what can happen between two runs ---------------------------------------------------------------------------------


def a_day_passes(ledger: Ledger) -> None:
    """The usual: the current day is over and its file comes."""
    for _ in range(8):
        ledger.pay(ledger.today.isoformat(), ledger.today)
    ledger.today += timedelta(days=1)


def nothing_changes(ledger: Ledger) -> None:
    """The same files on the same day."""


def only_time_passes(ledger: Ledger) -> None:
    """A day without any file; what waited for its end counts now."""
    ledger.today += timedelta(days=1)


def the_clock_goes_back(ledger: Ledger) -> None:
    """The machine's clock was ahead: what was loaded until now is dated after the day that it is, openings among it."""
    ledger.today -= timedelta(days=ledger.chance.choice((2, 5)))


def weeks_pass(ledger: Ledger) -> None:
    """Nothing for longer than N, then a day with a few rows: many have lapsed in between."""
    ledger.today += timedelta(days=N + 3)
    a_day_passes(ledger)


def rows_of_today_come(ledger: Ledger) -> None:
    """Rows of the day that is not over: they wait."""
    for _ in range(4):
        ledger.pay(f"{ledger.today}-morning", ledger.today)


def rows_of_tomorrow_come(ledger: Ledger) -> None:
    """Rows that cannot be, until their day has come."""
    for days in (1, 1, 2):
        ledger.pay(f"{ledger.today}-early", ledger.today + timedelta(days=days))


def late_rows_come(ledger: Ledger) -> None:
    """The day's file with rows of days long over, one from before the bank's first."""
    name = ledger.today.isoformat()
    for days in (1, 2, 13, 14, 15, 36, 50):
        ledger.pay(name, ledger.today - timedelta(days=days))
    ledger.pay(name, FIRST_DAY - timedelta(days=3))
    a_day_passes(ledger)


def one_late_row_fills_a_gap(ledger: Ledger) -> None:
    """A single row in the middle of a customer's silence: a lapse that was published never happened."""
    ledger.pay(f"{ledger.today}-late", ledger.today - timedelta(days=ledger.chance.choice((7, 20, 40))))


def a_row_is_corrected_where_it_stands(ledger: Ledger) -> None:
    """A file is written again with one row changed: state, amount, day, customer or country of the merchant."""
    row = ledger.any_row()
    moved = oracle.moment(row["created_date"]) or ledger.now
    row |= ledger.chance.choice(
        (
            {"transactions_state": "REVERTED"},
            {"amount_usd": "1234.5"},
            {"created_date": stamp(moved - timedelta(days=2))},
            {"user_id": "user_7"},
            {"ea_merchant_country": "FRA"},
        )
    )


def a_correction_comes_in_a_later_file(ledger: Ledger) -> None:
    """The same id again, later and otherwise; of two copies the later counts."""
    row = ledger.any_row()
    at = (oracle.moment(row["created_date"]) or ledger.now) + timedelta(hours=ledger.chance.choice((1, 30)))
    corrected = row | {"created_date": stamp(at), "transactions_state": ledger.chance.choice(("REVERTED", "COMPLETED"))}
    ledger.files.setdefault(f"{ledger.today}-corrections", []).append(corrected | {"amount_usd": "3.21"})


def a_correction_of_today_comes(ledger: Ledger) -> None:
    """Ids again, dated the day that is not over: until it is, the copy before counts."""
    for hour in (8, 9):
        moved = stamp(datetime.combine(ledger.today, time(hour), UTC))
        row = ledger.any_row() | {"created_date": moved, "amount_usd": "6.54"}
        ledger.files.setdefault(f"{ledger.today}-corrections-of-today", []).append(row)


def corrections_come_weeks_later(ledger: Ledger) -> None:
    """Ids again, each on a day since: an as_of between the two knows the first, a later one the second."""
    for days in (1, 2, 6, 12, 18, 24, 29):
        row = ledger.any_row()
        moved = datetime.combine(ledger.today - timedelta(days=days), time(10), UTC)
        changed = {"created_date": stamp(moved), "user_id": ledger.chance.choice((row["user_id"], "user_7"))}
        ledger.files.setdefault(f"{ledger.today}-weeks-later", []).append(row | changed)


def copies_of_one_moment_differ(ledger: Ledger) -> None:
    """Ids again at the same moment, otherwise: by the state one of them counts, by the text where it is the same."""
    for state in ("REVERTED", "COMPLETED", "PENDING", "CANCELLED", "LOST"):
        row = ledger.any_row() | {"transactions_state": state, "amount_usd": f"{ledger.chance.randint(1, 99)}"}
        ledger.files.setdefault(f"{ledger.today}-one-moment", []).append(row)


def rows_come_twice(ledger: Ledger) -> None:
    """Exact copies of rows of earlier files."""
    ledger.files.setdefault(f"{ledger.today}-again", []).extend(dict(ledger.any_row()) for _ in range(5))


def a_whole_file_comes_twice(ledger: Ledger) -> None:
    """A file under a second name."""
    ledger.files[f"{ledger.today}-copy"] = [dict(row) for row in ledger.files[ledger.any_file()]]


def the_newest_file_is_taken_back(ledger: Ledger) -> None:
    """What came last is gone again; the last day with data may move back."""
    if len(ledger.files) > 10:
        name = ledger.newest
        ledger.gone[name] = ledger.files.pop(name)


def an_old_file_is_taken_back(ledger: Ledger) -> None:
    """A day in the middle, or the first, is gone."""
    names = sorted(ledger.files)
    name = ledger.chance.choice((names[0], names[len(names) // 2]))
    ledger.gone[name] = ledger.files.pop(name)


def what_was_taken_back_comes_again(ledger: Ledger) -> None:
    """Files that were gone are there as they were."""
    for name, rows in ledger.gone.items():
        ledger.files[name] = [*ledger.files.get(name, ()), *rows]
    ledger.gone.clear()


def a_file_loses_half_its_rows(ledger: Ledger) -> None:
    """A file is written again and is shorter."""
    name = ledger.any_file()
    ledger.files[name] = ledger.files[name][::2]


def rows_move_to_another_file(ledger: Ledger) -> None:
    """The same rows, parted otherwise: no figure may change."""
    name = ledger.any_file()
    rows = ledger.files[name]
    ledger.files[name], ledger.files[f"{name}-rest"] = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    if not ledger.files[name]:
        del ledger.files[name]


def files_change_their_names(ledger: Ledger) -> None:
    """The same rows under other names: no figure may change."""
    for name in sorted(ledger.files)[3:9]:
        ledger.files[f"{name}-renamed"] = ledger.files.pop(name)


def two_files_change_places(ledger: Ledger) -> None:
    """Each has the rows of the other: no figure may change."""
    names = sorted(ledger.files)
    one, other = names[2], names[-2]
    ledger.files[one], ledger.files[other] = ledger.files[other], ledger.files[one]


def files_come_empty(ledger: Ledger) -> None:
    """The last files have their first line alone."""
    for name in sorted(ledger.files)[-3:]:
        ledger.gone[name], ledger.files[name] = ledger.files[name], []


def the_rows_of_a_file_are_shuffled(ledger: Ledger) -> None:
    """The same rows in another order."""
    ledger.chance.shuffle(ledger.files[ledger.any_file()])


def a_customer_moves(ledger: Ledger) -> None:
    """Another country and another plan: the whole past of that customer counts elsewhere."""
    ledger.any_user().update(country=ledger.chance.choice(("ES", "GB", "FR")), plan=ledger.chance.choice(("METAL", "STANDARD")))


def a_customer_changes_what_no_segment_sees(ledger: Ledger) -> None:
    """Another town."""
    ledger.any_user()["city"] = ledger.chance.choice(("Nantes", "Wigan", "12 rue X"))


def an_account_opened_earlier_than_was_said(ledger: Ledger) -> None:
    """The opening day is corrected, to an earlier or a later month."""
    user = ledger.any_user()
    opened = oracle.moment(user["created_date"]) or ledger.now
    user["created_date"] = stamp(opened + timedelta(days=ledger.chance.choice((-40, -1, 3, 30))))


def a_row_of_users_goes(ledger: Ledger) -> None:
    """A customer is known by transactions alone, or not at all."""
    ledger.history.users.remove(ledger.any_user())


def the_missing_rows_of_users_come(ledger: Ledger) -> None:
    """Who was known by transactions alone gets a row of users."""
    for number in range(41, 45):
        ledger.history.customer(number, opened=FIRST_DAY + timedelta(days=number - 40), country="IE", plan="METAL")


def new_customers_open(ledger: Ledger) -> None:
    """Accounts, of which one transacts at once and one never."""
    for number in (ledger.chance.randint(1_000, 1_999), ledger.chance.randint(2_000, 2_999)):
        ledger.history.customer(number, opened=ledger.today, country=ledger.chance.choice(("GB", "SE")))
    ledger.pay(f"{ledger.today}-new", ledger.today, number=number)
    a_day_passes(ledger)


def ids_are_written_otherwise(ledger: Ledger) -> None:
    """A file names other customers, by texts; the next the same ones, as floats; a third other transactions."""
    texts, floats, others = sorted(ledger.files)[5:8]
    for row in ledger.files[texts]:
        row["user_id"] = f"ab-{row['user_id']}"
    for row in ledger.files[floats]:
        row["user_id"] = f"{row['user_id'].removeprefix('user_')}.0"
    for row in ledger.files[others]:
        row["transaction_id"] = f"x{row['transaction_id']}"


def words_that_nobody_knows_come(ledger: Ledger) -> None:
    """A type, a state, a country and an amount that no list has, each in a file of its own."""
    changes = ({"transactions_type": "GIFT"}, {"transactions_state": "HELD"}, {"ea_merchant_country": "zz"}, {"amount_usd": "-5"})
    for name, change in zip(sorted(ledger.files)[10:14], changes, strict=True):
        for row in ledger.files[name]:
            row |= change


def dates_that_cannot_be_come(ledger: Ledger) -> None:
    """A file of the beginning of the last century, and one of the last days that there are."""
    names = sorted(ledger.files)
    for name, day in ((names[4], "1901-01-01"), (names[-1], "9999-12-30")):
        for row in ledger.files[name]:
            row["created_date"] = day


def a_telephone_changes(ledger: Ledger) -> None:
    """Another operating system."""
    ledger.chance.choice(ledger.history.devices)["string_field_0"] = ledger.chance.choice(("Android", "Unknown", "Apple"))


def telephones_go_and_come_twice(ledger: Ledger) -> None:
    """Half of the devices are gone; of the others some stand twice, one with two systems and one of nobody."""
    kept = ledger.history.devices[::2]
    other = {"Apple": "Android"}.get(kept[0]["string_field_0"], "Apple")
    more = [*map(dict, kept[:5]), kept[0] | {"string_field_0": other}, kept[1] | {"string_field_1": ""}]
    ledger.history.devices[:] = [*kept, *more]


def accounts_open_on_other_days(ledger: Ledger) -> None:
    """Openings before and after what was said, one of them on the last day; a user comes twice, and one without an id."""
    users = ledger.history.users
    for user, days in zip(users, (-50, 30, -1, 1, 60), strict=False):
        user["created_date"] = stamp((oracle.moment(user["created_date"]) or ledger.now) + timedelta(days=days))
    users[5]["created_date"] = stamp(ledger.today - timedelta(days=1))
    users += [users[6] | {"country": "SE", "created_date": stamp(FIRST_DAY - timedelta(days=40))}, users[7] | {"user_id": ""}]


def only_unusable_rows_come(ledger: Ledger) -> None:
    """A file of which no row can be used."""
    for column, value in (("created_date", "soon"), ("user_id", ""), ("transaction_id", " ")):
        ledger.pay(f"{ledger.today}-bad", ledger.today - timedelta(days=1))[column] = value


def the_first_day_of_a_customer_goes(ledger: Ledger) -> None:
    """The earliest transaction of somebody is reverted: new on another day, in another cohort."""
    who = ledger.any_row()["user_id"]
    mine = [row for rows in ledger.files.values() for row in rows if row["user_id"] == who and oracle.moment(row["created_date"])]
    min(mine, key=lambda row: oracle.moment(row["created_date"]) or ledger.now)["transactions_state"] = "REVERTED"


def another_window_is_set(ledger: Ledger) -> None:
    """N changes; what is stored for every N does not."""
    ledger.settings["inactivity_days"] = 5 if ledger.settings["inactivity_days"] == N else N


def a_longer_window_is_set(ledger: Ledger) -> None:
    """N is longer than the bank is old, or short again."""
    ledger.settings["inactivity_days"] = 200 if ledger.settings["inactivity_days"] < 200 else N


def another_rule_is_set(ledger: Ledger) -> None:
    """What counts as activity changes, for the whole past."""
    if ledger.settings.pop("activity_excluded_types", None) is None:
        ledger.settings["activity_excluded_types"] = "TOPUP"


def another_zone_is_set(ledger: Ledger) -> None:
    """Days begin at another moment, for the whole past."""
    if ledger.settings.pop("bank_timezone", None) is None:
        ledger.settings["bank_timezone"] = "America/New_York"


def an_earlier_day_is_pinned(ledger: Ledger) -> None:
    """as_of is set back to a day in the past, or let go."""
    if ledger.settings.pop("as_of", None) is None:
        ledger.settings["as_of"] = ledger.today - timedelta(days=20)


def the_pin_moves(ledger: Ledger) -> None:
    """as_of is set to another day in the past, nearer or farther."""
    ledger.settings["as_of"] = ledger.today - timedelta(days=ledger.chance.choice((3, 9, 15, 21, 27)))


BATCHES: tuple[Callable[[Ledger], None], ...] = (
    a_day_passes,
    nothing_changes,
    only_time_passes,
    the_clock_goes_back,
    weeks_pass,
    rows_of_today_come,
    rows_of_tomorrow_come,
    late_rows_come,
    one_late_row_fills_a_gap,
    a_row_is_corrected_where_it_stands,
    a_correction_comes_in_a_later_file,
    a_correction_of_today_comes,
    corrections_come_weeks_later,
    copies_of_one_moment_differ,
    rows_come_twice,
    a_whole_file_comes_twice,
    the_newest_file_is_taken_back,
    an_old_file_is_taken_back,
    what_was_taken_back_comes_again,
    a_file_loses_half_its_rows,
    rows_move_to_another_file,
    files_change_their_names,
    two_files_change_places,
    files_come_empty,
    ids_are_written_otherwise,
    words_that_nobody_knows_come,
    dates_that_cannot_be_come,
    the_rows_of_a_file_are_shuffled,
    a_customer_moves,
    a_customer_changes_what_no_segment_sees,
    an_account_opened_earlier_than_was_said,
    a_row_of_users_goes,
    the_missing_rows_of_users_come,
    new_customers_open,
    a_telephone_changes,
    telephones_go_and_come_twice,
    accounts_open_on_other_days,
    only_unusable_rows_come,
    the_first_day_of_a_customer_goes,
    another_window_is_set,
    a_longer_window_is_set,
    another_rule_is_set,
    another_zone_is_set,
    an_earlier_day_is_pinned,
    the_pin_moves,
)
