"""One whole measurement of one size: the floor over and over, and between its passes everything that is compared with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import banks, chain, machine, sessions, spans
from benchmarks.banks import Bank
from benchmarks.chain import Chain
from benchmarks.job import Job
from benchmarks.peers.engines import PEERS, Peer, python, version_of
from benchmarks.processes import FailedError, Watched, watch
from benchmarks.questions import EACH
from pipeline.settings import Settings
from pipeline.warehouse.memory import granted_memory

LONG_SECONDS = 60.0
REPEATS = 3
FLOORS_AT_A_TIME = 2
PARTS = ("reads", "app", "peers", "increment")  # what is measured beside the build

Say = Callable[[str], None]


class Bench:
    """Measures one size; what it finds is in `found`, part by part.

    `repeats` is how often a peer does its job, `each` how many questions there are for a metric and a kind of filter.
    """

    def __init__(self, bank: Bank, *, say: Say, repeats: int = REPEATS, each: int = EACH) -> None:
        self._bank = bank
        self._say = say
        self._repeats = repeats
        self._each = each
        self.job = job(bank.transaction_file)
        self.found: dict[str, Any] = {"transactions": bank.transactions, "machine": machine.facts(), "floors": []}

    def measure(self, *, without: Sequence[str] = ()) -> dict[str, Any]:
        """Everything, or all but some of PARTS, with the floor before, between and after."""
        with self._scratch() as scratch:
            self.floor()
            built = self.build(scratch / "whole")
            self.floor()
            parts: dict[str, Callable[[], None]] = {
                "reads": lambda: self.reads(scratch / "whole"),
                "app": lambda: self.app(scratch / "whole"),
                "peers": lambda: self.peers(built),
                "increment": lambda: self.increment(scratch / "by_day", built),
            }
            for part in (part for part in PARTS if part not in without):
                parts[part]()
                self.floor()
        return self.found

    def floor(self) -> None:
        """The floor, and the same with the timestamp parsed as one would write it, a few times."""
        for _ in range(FLOORS_AT_A_TIME):
            load = machine.load()
            process = watch([sys.executable, "-m", "benchmarks.floor", self.job.as_text()])
            self.found["floors"].append(process.outcome | {"peak_mb": process.peak_mb, "load": load})
            self._say(f"floor {process.outcome['seconds']:.2f} s, plain {process.outcome['plain_seconds']:.2f} s (load {load})")

    def build(self, home: Path) -> Chain:
        """`neopulse run` on the whole bank in an empty home."""
        load = machine.load()
        built = chain.run(self._bank.whole, home, self.job)
        self.found["build"] = told(built) | {"load": load, "models_alone": self._models_alone(home)}
        self._say(
            "models alone {models_alone[seconds]:.1f} s; with their tests {model_seconds:.1f} s, run without the time in which "
            "there were only tests {run_seconds_without_tests:.1f} s".format(**self.found["build"])
        )
        return built

    def _models_alone(self, home: Path) -> dict[str, Any]:
        """The same build without a test beside a model."""
        process = watch([sys.executable, "-m", "benchmarks.models"], environment=chain.environment(home, self.job))
        spans_of_models = [(begin, end) for begin, end in process.outcome["spans"]]
        return {
            "seconds": spans.length(spans_of_models),
            "cpu_seconds": process.cpu_within(spans_of_models),
            "peak_mb": process.peak_mb,
            "models": process.outcome["models"],
        }

    def increment(self, home: Path, whole: Chain) -> None:
        """A build without the last day, then that day; the stretches have to come out as those of the whole bank."""
        days = banks.cut_by_day(self._bank)
        raw = banks.linked(self._bank.by_day, home / "raw", without=(days[-1].name,))
        before = chain.run(raw, home / "home", self.job)
        banks.link(days[-1], raw / "transactions" / days[-1].name)
        after = chain.run(raw, home / "home", self.job)
        same = after.stretches().checksum() == whole.stretches().checksum()
        self.found["increment"] = {"day": days[-1].stem, "before": told(before), "after": told(after), "same_stretches": same}
        self._say(f"increment {told(after)['model_seconds']:.1f} s of {told(before)['model_seconds']:.1f} s, equal: {same}")

    def reads(self, home: Path) -> None:
        """The questions of the read side."""
        process = watch([sys.executable, "-m", "benchmarks.questions", str(home), str(self._each)])
        self.found["reads"] = process.outcome | {"peak_mb": process.peak_mb}
        self._say(f"questions p95 {process.outcome['all']['p95_ms']:.0f} ms of {process.outcome['all']['n']}")

    def app(self, home: Path) -> None:
        """The memory of the app."""
        self.found["app"] = sessions.measure(home)
        self._say(f"app {self.found['app']['peak_mb']:.0f} MB at most")

    def peers(self, built: Chain) -> None:
        """Every peer that is installed and takes this size; whose stretches differ from ours has no time."""
        ours = built.stretches()
        self.found["ours"] = {
            "seconds": built.seconds_to_stretches,
            "stretches": len(ours.customers),
            "checksum": ours.checksum(),
        }
        self.found["peers"] = {}
        for peer in PEERS:
            self.found["peers"][peer.name] = self._peer(peer, ours.checksum())
            self._say(f"{peer.label}: {self.found['peers'][peer.name]}")

    def _peer(self, peer: Peer, checksum: int) -> dict[str, Any]:
        engine = version_of(peer, python())
        if engine is None:
            return {"left_out": f"{peer.package} is not installed"}
        if not peer.takes(self._bank.transactions):
            return {"left_out": "does not fit into memory"}
        try:
            runs = repeated(lambda: peer.run(self.job, python()), self._repeats)
        except FailedError as error:
            return {"left_out": f"failed: {error}", "version": engine}
        if any(run.outcome["checksum"] != checksum for run in runs):
            return {"left_out": "its stretches are not the same", "version": engine}
        seconds = [run.outcome["seconds"] for run in runs]
        peak_mb = max(run.peak_mb for run in runs)
        return {"version": engine, "seconds": statistics.median(seconds), "all_seconds": seconds, "peak_mb": peak_mb}

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A folder for the builds beside the banks, gone afterwards."""
        folder = banks.place() / f"builds-{self._bank.transactions}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def job(*files: Path) -> Job:
    """The job under the product's default settings."""

    defaults = Settings.model_construct()
    return Job(
        files=tuple(str(path) for path in files),
        bank_timezone=defaults.bank_timezone,
        states=defaults.activity_states,
        excluded_types=defaults.activity_excluded_types,
        window_days=defaults.inactivity_days,
        threads=defaults.threads or os.cpu_count() or 1,
        memory_limit=defaults.memory_limit or granted_memory(),
    )


def repeated(measure: Callable[[], Watched], repeats: int) -> list[Watched]:
    """That many measurements; one only of what takes longer than LONG_SECONDS."""
    runs = [measure()]
    while len(runs) < repeats and runs[0].seconds <= LONG_SECONDS:
        runs.append(measure())
    return runs


def told(run: Chain) -> dict[str, Any]:
    """What a run of the product took."""
    return {
        "model_seconds": spans.length(run.timings.model_spans),
        "model_cpu_seconds": run.process.cpu_within(run.timings.model_spans),
        "test_seconds": spans.length(run.timings.test_spans),
        "dbt_start_seconds": run.dbt_start_seconds,
        "run_seconds": run.process.seconds,
        "run_seconds_without_tests": run.seconds_without_tests,
        "cpu_seconds": run.process.cpu_seconds,
        "cpu_seconds_without_tests": run.process.cpu_seconds - run.process.cpu_within(run.timings.test_spans),
        "step_seconds": dict(run.steps),
        "peak_mb": run.process.peak_mb,
        "models": run.timings.by_model(),
    }
