"""Writes docs/performance.md from latest.json and from nothing else: `python -m benchmarks.page`."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks import figures
from benchmarks.app import figures as app
from benchmarks.floor import FLOOR, PLAIN
from benchmarks.peers.engines import BREAKS, PEERS
from benchmarks.processes import PROJECT

PAGE = PROJECT / "docs" / "performance.md"
MODELS_SHOWN = 8

# Name in latest.json, what it is, goal in words, the most it may be.
GOALS = (
    ("full_build_over_floor", "full build over the floor", "2.0, at most 3.0", 3.0),
    ("run_over_floor", "whole run without tests over the floor", "at most 4.0", 4.0),
    ("full_build_over_plain_floor", "full build over the plain floor", "", None),
    ("run_over_plain_floor", "whole run without tests over the plain floor", "", None),
    ("full_build_cpu_over_floor_cpu", "full build over the floor, processor time", "", None),
    ("run_cpu_over_floor_cpu", "whole run without tests over the floor, processor time", "", None),
    ("increment_over_full_build", "one new day over the full build", "at most 0.03", 0.03),
    ("metric_p95_ms", "any figure for any N, 95th percentile, ms", "under 50", 50.0),
    ("peak_memory_mb", "peak memory of a run, MB", "under 6,000", 6000.0),
    ("app_memory_mb", "peak memory of the app, MB", "under 300", 300.0),
)
GROWTH_GOAL = 1.5

Found = Mapping[str, Any]

_INTRO = """
# Performance

Measured by `make bench` in one go, on a generated bank, with the same threads and memory for everybody, and told as ratios.
(Written by `python -m benchmarks.page` from `benchmarks/latest.json`; how to measure: [benchmarks](../benchmarks/README.md).)
"""

_MEANING = """
## What is measured

- **Floor**: one DuckDB pass over the raw transactions, text as they are landed: customer's number and bank day found in the
  cheapest correct way, activity rule applied, distinct customer-days counted, nothing written. No model of activity can do
  with less. The **plain floor** is the same with the timestamp parsed as one would write it. Both are passed again before,
  between and after everything else; ratios are over the median, and the spread below is the machine's noise.
- **Full build**: dbt builds every model, staging to marts, from the first one's begin to the last one's end, and no test.
  The run tests each model as soon as it stands, beside the ones that come after it; how long that takes is told apart, and
  so is dbt's own start, which comes before. Both are in the run.
- **Processor time** is of all threads. On a machine with other work it is the better ratio of the two; the clock is what
  people wait for.
- **Run**: the whole process `neopulse run`, extract to notify, without the time in which there were only tests.
- **One new day**: the bank without its last day is built; that day's file is added; the second run's build over the first's.
- **Questions**: every metric, N drawn from 7 to 180, no filter, one, two, or split by a dimension; each asked once, with
  nothing kept from the ones before.
- **Memory**: resident memory of the process and all its children, looked at 20 times a second. The app draws every page
  for several sessions at once, twice.
- **Peers**: the same activity stretches (N = 90) from the same files to a result in the engine's own form, each in a process
  of its own, its start and imports not counted. Its time counts only where its stretches are ours, by a checksum. *Ours* is
  the time in which the product worked on any model that the stretches are made from: it reads every column, keeps what it
  rejects, finds repeated ids and writes tables, which no peer does. The *bare statement* is our way without all that.
"""

_APP_MEANING = """
## The app

Measured by `make bench-app` on a published bank, in Chromium without a graphics card and by clients over the websocket, on the
same two cores as the app itself. The clock begins with the browser's own event of the press and ends with the frame in which
the last chart or figure of the page was drawn; all charts of the page count, also those below the fold. *Filter* is one country
after another on Overview and on Activity, *slider* is N on Activity and on Churn. A browser *that knows the app* was here
before, was ended and started again, and has on disk what it fetched and compiled; a *new* one has nothing. Sessions move the
slider on Activity to any N from 7 to 180; *thinking* is the second of two rounds, in which some of the answers are known. *Over
plain Streamlit* is the ratio to a page of the same charts in Streamlit and Altair as it is usually written, on the same read
side, in the same run. A part that was left out keeps its last figures. The load of the machine says whether anything else ran:
two cores are busy at 2."""


def page(kept: Found) -> str:
    """The whole page."""
    sizes: Mapping[str, Found] = kept.get("sizes", {})
    if not sizes:
        return _INTRO.strip() + "\n\nNothing has been measured yet.\n"
    parts = [
        _INTRO,
        _goals(kept, sizes),
        _MEANING,
        _floor(sizes),
        _seconds(sizes),
        _peers(kept, _with(sizes, "peers")),
        _questions(_with(sizes, "reads")),
        _models(sizes),
        _app(kept),
        _machine(sizes),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _with(sizes: Mapping[str, Found], part: str) -> dict[str, Found]:
    """The sizes at which a part was measured."""
    return {size: found for size, found in sizes.items() if part in found}


def _goals(kept: Found, sizes: Mapping[str, Found]) -> str:
    rows = [[label, goal, *(_judged(kept.get(name, {}).get(size), most) for size in sizes)] for name, label, goal, most in GOALS]
    growth = [
        ["questions, growth " + pair, f"at most {GROWTH_GOAL}", "", _judged(grown, GROWTH_GOAL)] for pair, grown in _pairs(kept)
    ]
    return "\n".join(["## Figures", "", *_table(["", "goal", *_names(sizes)], rows), *_lines(growth, len(sizes) + 2)])


def _pairs(kept: Found) -> list[tuple[str, float]]:
    named = kept.get("metric_p95_growth", {}).items()
    return [(" to ".join(f"{int(size):,}" for size in pair.split(" to ")), grown) for pair, grown in named]


def _judged(value: float | None, most: float | None) -> str:
    if value is None:
        return ""
    return _number(value) + ("" if most is None else " ✓" if value <= most else " ✗")


def _floor(sizes: Mapping[str, Found]) -> str:
    rows = [
        [f"{_transactions(size)}{kind}", *_spread([one[name] for one in found["floors"]]), _loads(found)]
        for kind, name in (("", "seconds"), (", plain", "plain_seconds"))
        for size, found in sizes.items()
    ]
    heads = ["floor, seconds", "passes", "shortest", "median", "longest", "load of the machine"]
    return "\n".join(["## The floor", "", *_table(heads, rows), "", *_sql("floor", FLOOR), "", *_sql("plain floor", PLAIN)])


def _spread(values: Sequence[float]) -> list[str]:
    return [str(len(values)), _number(min(values)), _number(statistics.median(values)), _number(max(values))]


def _loads(found: Found) -> str:
    loads = [one["load"] for one in found["floors"]]
    return f"{_number(min(loads))} to {_number(max(loads))}"


def _sql(name: str, statement: str) -> list[str]:
    note = "; `hours` is a calendar of hours and their bank days" if "hours" in statement else ""
    return [f"The {name}{note}:", "", "```sql", textwrap.dedent(statement).strip(), "```"]


def _seconds(sizes: Mapping[str, Found]) -> str:
    lines: tuple[tuple[str, Any], ...] = (
        ("full build (models alone)", lambda found: found["build"]["models_alone"]["seconds"]),
        ("models with their tests beside them", lambda found: found["build"]["model_seconds"]),
        ("dbt's start before the first model", lambda found: found["build"]["dbt_start_seconds"]),
        ("tests with no model beside them", lambda found: found["build"]["test_seconds"]),
        ("whole run without tests", lambda found: found["build"]["run_seconds_without_tests"]),
        ("whole run", lambda found: found["build"]["run_seconds"]),
        ("floor, processor time", lambda found: statistics.median(one["cpu_seconds"] for one in found["floors"])),
        ("full build (models alone), processor time", lambda found: found["build"]["models_alone"]["cpu_seconds"]),
        ("whole run without tests, processor time", lambda found: found["build"]["cpu_seconds_without_tests"]),
        ("build before the new day", lambda found: found["increment"]["before"]["model_seconds"]),
        ("build of the new day", lambda found: found["increment"]["after"]["model_seconds"]),
        ("run with the new day, without tests", lambda found: found["increment"]["after"]["run_seconds_without_tests"]),
    )
    rows = [[label, *(_measured(value, found) for found in sizes.values())] for label, value in lines]
    same = ["stretches equal after the new day", *(_same(found) for found in sizes.values())]
    return "\n".join(["## Seconds", "", *_table(["", *_names(sizes)], [*rows, same])])


def _measured(value: Callable[[Found], float], found: Found) -> str:
    """A figure, or nothing where its part was left out."""
    try:
        return _number(value(found))
    except KeyError:
        return ""


def _same(found: Found) -> str:
    return "" if "increment" not in found else "yes" if found["increment"]["same_stretches"] else "NO"


def _peers(kept: Found, sizes: Mapping[str, Found]) -> str:
    heads = [
        "",
        *(f"{name}: {what}" for name in _names(sizes) for what in ("seconds", "over ours", "over the bare statement", "MB")),
    ]
    ours = ["neopulse, to its stretches", *(cell for found in sizes.values() for cell in _ours(found))]
    rows = [
        [peer.label, *(cell for size, found in sizes.items() for cell in _peer(kept, size, found, peer.name))] for peer in PEERS
    ]
    return "\n".join(
        ["## Peers", "", *_table(heads, [ours, *rows]), "", *(_losses(size, found) for size, found in sizes.items())]
    )


def _ours(found: Found) -> list[str]:
    bare = found["peers"][BREAKS].get("seconds")
    over_bare = _number(found["ours"]["seconds"] / bare) if bare else ""
    return [_number(found["ours"]["seconds"]), "1", over_bare, _number(found["build"]["peak_mb"])]


def _peer(kept: Found, size: str, found: Found, name: str) -> list[str]:
    peer = found["peers"].get(name, {"left_out": "not measured"})
    if "left_out" in peer:
        return [peer["left_out"], "", "", ""]
    over_ours = peer["seconds"] / found["ours"]["seconds"]
    over_bare = kept.get(f"{name}_over_bare_statement", {}).get(size, 1.0)
    return [_number(peer["seconds"]), _number(over_ours), _number(over_bare), _number(peer["peak_mb"])]


def _losses(size: str, found: Found) -> str:
    """Who is quicker than we are."""
    timed = {peer.label: found["peers"][peer.name].get("seconds") for peer in PEERS if peer.name in found["peers"]}
    bare = found["peers"][BREAKS].get("seconds")
    product = [label for label, seconds in timed.items() if seconds and seconds < found["ours"]["seconds"]]
    statement = [label for label, seconds in timed.items() if seconds and bare and seconds < bare]
    return (
        f"- {_transactions(size)}: quicker than the product's stretches, with all that it checks on the way: "
        f"{'; '.join(product) or 'nobody'}. Quicker than the bare statement: {'; '.join(statement) or 'nobody'}."
    )


def _questions(sizes: Mapping[str, Found]) -> str:
    heads = ["", *(f"{name}: {what}" for name in _names(sizes) for what in ("p50", "p95", "longest, ms"))]
    all_read = [found["reads"] for found in sizes.values()]
    rows = [
        ["all", *(cell for reads in all_read for cell in _percentiles(reads["all"]))],
        ["all, processor time", *(cell for reads in all_read for cell in _percentiles(reads.get("all_cpu")))],
    ]
    for part in ("by_filters", "by_metric"):
        names = dict.fromkeys(name for reads in all_read for name in reads[part])
        rows += [[name, *(cell for reads in all_read for cell in _percentiles(reads[part].get(name)))] for name in names]
    slowest = [f"- {_transactions(size)}: the slowest of {_asked(found['reads'])}." for size, found in sizes.items()]
    return "\n".join(["## Questions", "", *_table(heads, rows), "", *slowest])


def _asked(reads: Found) -> str:
    return f"{reads['all']['n']} questions was {reads['slowest']}"


def _percentiles(summary: Mapping[str, float] | None) -> list[str]:
    return ["", "", ""] if summary is None else [_number(summary[name]) for name in ("p50_ms", "p95_ms", "max_ms")]


def _models(sizes: Mapping[str, Found]) -> str:
    parts = []
    for size, found in sizes.items():
        longest = list(found["build"]["models_alone"]["models"].items())[:MODELS_SHOWN]
        told = ", ".join(f"`{name}` {_number(seconds)} s" for name, seconds in longest)
        parts.append(f"- {_transactions(size)}: {told}.")
    return "\n".join(
        ["## Where the build's time goes", "", "Models are worked on at the same time, so these do not add up.", "", *parts]
    )


def _app(kept: Found) -> str:
    """What readers of the app wait for, where that was measured."""
    measured: Mapping[str, Found] = kept.get(app.SIZES, {})
    if not measured:
        return ""
    heads = ["", "goal", *(cell for size in measured for cell in (_transactions(size), "over plain Streamlit"))]
    moved = [
        f"- {_transactions(size)}, {name}: median {app.number(one['p50_ms'])}, "
        f"95th percentile {app.number(one['p95_ms'])} ms of {one['n']}."
        for size, found in measured.items()
        for name, one in found.get("screen", {}).items()
        if name.startswith(("filter", "slider"))
    ]
    machines = [f"- {_transactions(size)}: {_facts(found['machine'])}." for size, found in measured.items()]
    loads = [
        f"- {_transactions(size)}, {part}: load of the machine {_between(found[part]['load_of_the_machine'])}."
        for size, found in measured.items()
        for part in ("screen", "load", "peer")
        if "load_of_the_machine" in found.get(part, {})
    ]
    return "\n".join([_APP_MEANING.strip(), "", *_table(heads, app.table(kept)), "", *moved, *loads, *machines])


def _between(values: Sequence[float]) -> str:
    return f"{app.number(values[0])} before and {app.number(values[-1])} after"


def _machine(sizes: Mapping[str, Found]) -> str:
    return "\n".join(
        ["## Machine", "", *(f"- {_transactions(size)}: {_facts(found['machine'])}." for size, found in sizes.items())]
    )


def _facts(machine: Found) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return (
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gb']} GB, {machine['system']}, {versions}; "
        f"{machine['measured_at'][:10]}, {machine['commit']}"
    )


def _names(sizes: Mapping[str, Found]) -> list[str]:
    return [_transactions(size) for size in sizes]


def _transactions(size: str) -> str:
    millions = int(size) / 1_000_000
    return f"{millions:g} million" if millions >= 1 else f"{int(size):,}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *_lines(rows, len(heads))]


def _lines(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    return [f"| {' | '.join([*row, *[''] * (width - len(row))])} |" for row in rows]


def _number(value: float) -> str:
    """Three significant digits; whole numbers from a hundred on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    PAGE.write_text(page(figures.read()), encoding="utf-8")
