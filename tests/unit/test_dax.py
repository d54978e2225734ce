"""The evaluator of DAX that the tests of Power BI rest on, against answers worked out by hand from the language's reference."""

from __future__ import annotations

from datetime import date
from typing import Any

import dax
import numpy as np
import pytest

DAYS = [float(dax.days(date(2024, 5, day))) for day in (1, 2, 3)]
MODEL_TABLES = {
    "Days": {"Day": np.array(DAYS), "Weekday": np.array(["Wed", "Thu", "Fri"], dtype=object)},
    "Shops": {"Shop": np.array(["a", "b"], dtype=object), "Town": np.array(["Lyon", "LYON"], dtype=object)},
    "Sales": {
        "Day": np.array([DAYS[0], DAYS[0], DAYS[1], DAYS[2], np.nan]),
        "Shop": np.array(["a", "b", "a", "b", "a"], dtype=object),
        "Amount": np.array([1.0, 10.0, 100.0, 1000.0, np.nan]),
    },
}
RELATIONSHIPS = ((("Sales", "Day"), ("Days", "Day")), (("Sales", "Shop"), ("Shops", "Shop")))
WEEKDAY, SHOP, TOWN = ("Days", "Weekday"), ("Shops", "Shop"), ("Shops", "Town")


def value(text: str, filters: dict[dax.Column, Any] | None = None, *, role: dax.Role | None = None, **others: str) -> Any:
    model = dax.Model(MODEL_TABLES, {"asked": text, **others}, RELATIONSHIPS)
    return model.evaluate("asked", filters, role=role)


@pytest.mark.parametrize(
    ("text", "filters", "expected"),
    [
        ("SUM(Sales[Amount])", {}, 1111),
        ("SUM(Sales[Amount])", {WEEKDAY: "Wed"}, 11),  # a filter passes from the one side to the many
        ("SUM(Sales[Amount])", {WEEKDAY: "Wed", SHOP: "b"}, 10),
        ("COUNTROWS(Days)", {SHOP: "b"}, 3),  # and not the other way
        ("COUNTROWS(Sales)", {}, 5),  # also what belongs to no day
        ("COUNTROWS(Sales)", {WEEKDAY: "Sun"}, None),  # nothing is blank, not 0
        ("SUM(Sales[Amount])", {WEEKDAY: "Sun"}, None),
        ("SUM(Sales[Amount])", {TOWN: "lyon"}, 1111),  # text has no case
        ("MAX(Sales[Day]) = MAX(Days[Day])", {}, True),
        ("MAX(Sales[Day]) - MIN(Sales[Day])", {SHOP: "a"}, 1),
        ('CALCULATE(SUM(Sales[Amount]), Days[Weekday] = "Fri")', {WEEKDAY: "Wed"}, 1000),  # a condition replaces the filter
        ('CALCULATE(SUM(Sales[Amount]), Days[Weekday] = "Fri")', {WEEKDAY: "Wed", SHOP: "a"}, None),  # of its column alone
        ("VAR day = MAX(Sales[Day]) RETURN CALCULATE(SUM(Sales[Amount]), Sales[Day] = day)", {SHOP: "a"}, 100),
        ("HASONEVALUE(Shops[Shop])", {}, False),
        ("HASONEVALUE(Shops[Shop])", {TOWN: "Lyon", SHOP: "a"}, True),
        ("ISFILTERED(Shops[Shop])", {TOWN: "Lyon"}, False),
        ('SELECTEDVALUE(Shops[Shop], "many")', {}, "many"),
        ('SELECTEDVALUE(Shops[Shop], "many")', {SHOP: "b"}, "b"),
        ("DIVIDE(1, 0)", {}, None),
        ("DIVIDE(SUM(Sales[Amount]), 2)", {WEEKDAY: "Sun"}, None),
        ("SUM(Sales[Amount]) + 0", {WEEKDAY: "Sun"}, 0),  # blank counts as 0 in a sum
        ("SUM(Sales[Amount]) * 2", {WEEKDAY: "Sun"}, None),  # and stays blank in a product
        ("SUM(Sales[Amount]) * -1", {WEEKDAY: "Wed"}, -11),
        ("SUM(Sales[Amount]) * -1", {WEEKDAY: "Sun"}, None),
        ("SUM(Sales[Amount]) <= 0", {WEEKDAY: "Sun"}, True),
        ('1 + 2 * 3 & "!"', {}, "7.0!"),
        ("(1 + 2) * 3", {}, 9),
        ("10 - 3 - 2", {}, 5),
        ('"A" IN {"a", "b"} && NOT(1 > 2)', {}, True),
        ('IF(1 > 2, "yes")', {}, None),
        ('FORMAT(MAX(Days[Day]), "yyyy-mm-dd")', {}, "2024-05-03"),
        ('SUBSTITUTE("65+", "+", "%2B")', {}, "65%2B"),
        ("MAX(0, 1 - 3)", {}, 0),
        ("SQRT(2 * 8)", {}, 4),
    ],
)
def test_an_expression_has_the_value_that_the_reference_gives_it(
    text: str, filters: dict[dax.Column, Any], expected: Any
) -> None:
    assert value(text, filters) == expected


def test_a_measure_is_evaluated_where_it_is_asked_for() -> None:
    asked = 'CALCULATE([Turnover], Shops[Shop] = "b")'
    assert value(asked, {WEEKDAY: "Wed"}, Turnover="SUM(Sales[Amount])") == 10


def test_what_a_role_does_not_see_no_condition_brings_back() -> None:
    role = dax.Role({"Shops": 'Shops[Shop] = "a"'})
    assert value("SUM(Sales[Amount])", role=role) == 101
    assert value('CALCULATE(SUM(Sales[Amount]), Shops[Shop] = "b")', role=role) is None
    assert value("HASONEVALUE(Shops[Shop])", role=role) is True


@pytest.mark.parametrize("text", ["SUM(Sales[Amount]", "1 +", "SUM(Sales[Amount]) SUM(Sales[Amount])", "{1}", "VAR a = 1"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(SyntaxError):
        dax.parse(text)


def test_a_function_that_it_does_not_know_is_refused() -> None:
    with pytest.raises(KeyError, match="TOTALYTD"):
        value("TOTALYTD(SUM(Sales[Amount]), Days[Day])")
