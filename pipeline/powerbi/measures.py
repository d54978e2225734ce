"""The measures: the metrics of the registry as DAX over the star, and beside them n, interval, and whether they are final.

The marts have done the hard part: a measure adds up counts and divides them. It is about everybody where the reader has chosen
no segment, about the values chosen of one dimension, and blank where values of two dimensions are chosen: those overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import indent

from pipeline.powerbi.star import CAME_BACK_DAYS
from pipeline.powerbi.words import Words

Z_95 = "1.959963984540054"
COUNT, SHARE, RATIO, USD, DAY, TEXT = "#,0", "#,0.0%;-#,0.0%;#,0.0%", "0.00", "#,0.00", "yyyy-mm-dd", ""
YES_NO = '"""TRUE"";""TRUE"";""FALSE"""'
PAGES = ("overview", "activity", "retention", "churn")
PERIOD = "Retention[Months since]"
FRONT_PAGE = "overview"  # the app serves it at / alone
IN_THE_APP = ("country", "plan", "plan_tier", "os", "age_band", "signup_cohort")  # the segments that the app's pages filter by


@dataclass(frozen=True)
class Measure:
    """A measure: its name, the table where it stands, its DAX, its format, and the metric that it is, if it is one."""

    name: str
    table: str
    dax: str
    format: str
    folder: str
    metric: str = ""
    is_link: bool = False


def measures(words: Words) -> tuple[Measure, ...]:
    """Every measure, table by table."""
    named = {name: metric.label["en"] for name, metric in words.registry.items()}
    facts = (_growth, _activity, _churn, _retention, _came_back, _amounts, _transactions, _frequency)
    return (*_about_the_version(), *(measure for made in facts for measure in made(named)), *_rest())


def _about_the_version() -> list[Measure]:
    folder = "Version"
    return [
        Measure("As of", "Publication", "MAX(Publication[Last day])", DAY, folder),
        Measure("Version", "Publication", "MAX(Publication[Version name])", TEXT, folder),
        Measure("Window N", "Publication", "MAX(Publication[Inactivity days])", COUNT, folder),
        Measure("Is final", "Publication", _final("MAX(Dates[Date])"), YES_NO, folder),
    ]


def _growth(named: dict[str, str]) -> list[Measure]:
    def of(metric: str, dax: str, format: str = COUNT) -> Measure:
        return Measure(named[metric], "Growth", dax, format, "Growth", metric)

    came = f"[{named['new_customers']}] + [{named['resurrected_customers']}]"
    return [
        of("active_customers", _latest("Growth[date]", "SUM(Growth[active_customers])")),
        of("new_customers", _chosen("SUM(Growth[new_customers])")),
        of("resurrected_customers", _chosen("SUM(Growth[resurrected_customers])")),
        of("churned_customers", _chosen("SUM(Growth[churned_customers])")),
        of("quick_ratio", f"DIVIDE({came}, [{named['churned_customers']}])", RATIO),
        Measure("Left, below the line", "Growth", f"[{named['churned_customers']}] * -1", COUNT, "Growth"),
    ]


def _activity(named: dict[str, str]) -> list[Measure]:
    def of(metric: str, expression: str, format: str = COUNT) -> Measure:
        return Measure(named[metric], "Activity", _latest("Activity[date]", expression), format, "Activity", metric)

    return [
        of("dau", "SUM(Activity[dau])"),
        of("wau", "SUM(Activity[wau])"),
        of("mau", "SUM(Activity[mau])"),
        of("stickiness", "DIVIDE(SUM(Activity[dau_in_28_days]), 28 * SUM(Activity[mau]))", RATIO),
    ]


def _churn(named: dict[str, str]) -> list[Measure]:
    folder, rate = "Churn", named["monthly_churn_rate"]
    n, churned = "Customers at the month's start", "Left within the month"
    return [
        Measure(n, "Churn", _latest("Churn[month_end]", "SUM(Churn[customers_at_start])"), COUNT, folder),
        Measure(churned, "Churn", _latest("Churn[month_end]", "SUM(Churn[churned_customers])"), COUNT, folder),
        Measure(rate, "Churn", f"DIVIDE([{churned}], [{n}])", SHARE, folder, "monthly_churn_rate"),
        Measure(f"{rate}, low", "Churn", _wilson(f"[{churned}]", f"[{n}]", "low"), SHARE, folder),
        Measure(f"{rate}, high", "Churn", _wilson(f"[{churned}]", f"[{n}]", "high"), SHARE, folder),
        Measure(f"{rate} is final", "Churn", _final("MAX(Churn[month_end])"), YES_NO, folder),
    ]


def _retention(named: dict[str, str]) -> list[Measure]:
    folder, share, n = "Retention", named["retention_cohort"], "SUM(Retention[cohort_customers])"
    size = _at("MIN", PERIOD, n)
    active, of_one = _chosen("SUM(Retention[active_customers])"), f"IF(HASONEVALUE({PERIOD}), [Cohort size])"

    def kept(column: str) -> str:
        return f"IF(\n    HASONEVALUE({PERIOD}),\n{indent(_chosen(f'DIVIDE(SUM(Retention[{column}]), {n})'), '    ')}\n)"

    return [
        Measure("Cohort size", "Retention", size, COUNT, folder),
        Measure(share, "Retention", kept("active_customers"), SHARE, folder, "retention_cohort"),
        Measure(f"{share}, low", "Retention", _wilson(active, of_one, "low"), SHARE, folder),
        Measure(f"{share}, high", "Retention", _wilson(active, of_one, "high"), SHARE, folder),
        Measure(f"{share} is final", "Retention", _final("MAX(Retention[final_on])"), YES_NO, folder),
        Measure("Unbounded retention", "Retention", kept("active_customers_unbounded"), SHARE, folder),
        Measure("Unbounded retention is final", "Retention", _final("MAX(Retention[final_on_unbounded])"), YES_NO, folder),
    ]


def _came_back(named: dict[str, str]) -> list[Measure]:
    folder, share, n = "Came back", named["came_back_share"], "SUM(Gaps[lapsed_customers])"
    came_back = _chosen(f"DIVIDE(SUM(Gaps[came_back_customers]) + 0, {n})")
    return [
        Measure("Recognised lapses", "Gaps", _chosen(n), COUNT, folder),
        Measure(share, "Gaps", came_back, SHARE, folder, "came_back_share"),
        Measure(f"{share} is final", "Gaps", _final("MAX(Dates[Date])", f" + {CAME_BACK_DAYS}", of=f"[{share}]"), YES_NO, folder),
    ]


def _amounts(named: dict[str, str]) -> list[Measure]:
    def kept(column: str) -> str:
        return _latest("Amounts[month_end]", f"DIVIDE(SUM(Amounts[{column}]), SUM(Amounts[amount_before_usd]))")

    folder = "Amounts"
    return [
        Measure(named["amount_retention"], "Amounts", kept("amount_after_usd"), RATIO, folder, "amount_retention"),
        Measure("Gross amount retention", "Amounts", kept("amount_kept_usd"), RATIO, folder),
        Measure(
            "Customers of the month before", "Amounts", _latest("Amounts[month_end]", "SUM(Amounts[customers])"), COUNT, folder
        ),
    ]


def _transactions(named: dict[str, str]) -> list[Measure]:
    def completed(column: str) -> str:
        """Of the state that the reader has chosen, else the completed ones."""
        everybody = _chosen(f"SUM(Transactions[{column}])")
        one_state = indent(everybody, "    ").lstrip()
        done = f'CALCULATE({everybody}, Transactions[State] = "COMPLETED")'
        return f"IF(\n    ISFILTERED(Transactions[State]),\n    {one_state},\n    {indent(done, '    ').lstrip()}\n)"

    return [
        Measure(named["transactions"], "Transactions", completed("transactions"), COUNT, "Transactions", "transactions"),
        Measure(named["transaction_amount"], "Transactions", completed("amount_usd"), USD, "Transactions", "transaction_amount"),
    ]


def _frequency(named: dict[str, str]) -> list[Measure]:
    latest = _latest("Frequency[date]", "SUM(Frequency[customers])")
    return [Measure(named["l28"], "Frequency", latest, COUNT, "Activity", "l28")]


def _rest() -> list[Measure]:
    links = [Measure(f"Link to {page}", "Publication", _link(page), TEXT, "Links", is_link=True) for page in PAGES]
    return [Measure("Customers in the list", "Customers", "COUNTROWS(Customers)", COUNT, "Customers"), *links]


def _chosen(expression: str) -> str:
    """The expression over the chosen values of one dimension, else over everybody."""
    return (
        f'IF(\n    HASONEVALUE(Segments[Segment]),\n    {expression},\n    CALCULATE({expression}, Segments[Segment] = "all")\n)'
    )


def _latest(column: str, expression: str) -> str:
    """The same at the last date among those shown: stocks are not added up over time.

    The star has a row for each segment value at each date, so that the last date is the same for all of them, in a role as well.
    """
    return _at("MAX", column, expression)


def _at(extreme: str, column: str, expression: str) -> str:
    """The same at the first or last of what is shown of a column."""
    name = {"MAX": "last_date", "MIN": "first_shown"}[extreme]
    everybody = f'CALCULATE({expression}, {column} = {name}, Segments[Segment] = "all")'
    return (
        f"VAR {name} = {extreme}({column})\nRETURN\n    IF(\n        HASONEVALUE(Segments[Segment]),\n"
        f"        CALCULATE({expression}, {column} = {name}),\n        {everybody}\n    )"
    )


def _final(last: str, later: str = "", *, of: str = "last_day") -> str:
    """Whether a last day is over; blank where there is no figure, for a table has a row wherever one of its measures is not."""
    return f"VAR last_day = {last}\nRETURN\n    IF(NOT(ISBLANK({of})), last_day{later} <= [As of])"


def _wilson(successes: str, n: str, end: str) -> str:
    """One end of the Wilson 95 % interval of successes / n, blank without n; the formula of pipeline/statistics.py."""
    sign, within = {"low": ("-", "MAX(0, {})"), "high": ("+", "MIN(1, {})")}[end]
    half_width = "z * SQRT(DIVIDE(k * (n - k), n) + z * z / 4)"
    value = within.format(f"DIVIDE(k + z * z / 2 {sign} {half_width}, n + z * z)")
    many = f"\n{indent(successes, '    ')}" if "\n" in successes else f" {successes}"
    return f"VAR z = {Z_95}\nVAR n = {n}\nVAR k ={many}\nRETURN\n    IF(n > 0, {value})"


def _link(page: str) -> str:
    """The address of a page of the app with the segment and the days shown, in the reader's language."""
    address = "" if page == FRONT_PAGE else page
    known = ", ".join(f'"{name}"' for name in IN_THE_APP)
    return f"""VAR chosen_segment = SELECTEDVALUE(Segments[Segment], "all")
VAR chosen_value = SELECTEDVALUE(Segments[Segment value])
VAR segment_filter =
    IF(
        chosen_segment IN {{{known}}} && NOT(ISBLANK(chosen_value)),
        "&" & chosen_segment & "=" & SUBSTITUTE(SUBSTITUTE(chosen_value, "+", "%2B"), " ", "%20"),
        ""
    )
RETURN
    MAX(Publication[app_address]) & "/{address}?lang=" & IF(LEFT(USERCULTURE(), 2) = "fr", "fr", "en")
        & "&from=" & FORMAT(MIN(Dates[Date]), "yyyy-mm-dd")
        & "&to=" & FORMAT(MIN(MAX(Dates[Date]), [As of]), "yyyy-mm-dd") & segment_filter"""
