"""What dbt made of a project's files, kept from one build to the next: reading them takes longer than most models do.

dbt keeps that itself, but throws all of it away once any variable has another value, and ours name the day. Of the variables of
the day no model's references depend on more than whether there is a value, so only that is part of the name under which the
parsed project is kept; of everything else the name has the whole content.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.errors import ConfigurationError
from pipeline.warehouse.signature import texts

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

WRITTEN_BY_DBT = "partial_parse.msgpack"  # in the target folder
MOST_BYTES = 64_000_000  # of all that is kept: some twenty projects of this size
OF_THE_DAY = frozenset({"current_bank_day", "previous_as_of", "as_of"})
# What the profile says of a build and not of what is built; the rest of it is in the relations' names.
OF_THE_BUILD = frozenset({"DBT_THREADS", "DBT_MEMORY_LIMIT", "DBT_TEMP_FOLDER", "DBT_LABELS", "DBT_WAREHOUSE_FILE"})
PACKAGES = ("dbt-core", "dbt-duckdb", "dbt-bigquery")


def folder() -> Path:
    """Where parsed projects are kept: in the user's cache, for every home on the machine."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "neopulse" / "dbt"


def path_of(project: Path, *, variables: Mapping[str, Any], environment: Mapping[str, str], full_refresh: bool) -> Path:
    """The file that has this project parsed for a build like this one, if any has."""
    known = {name: bool(value) if name in OF_THE_DAY else value for name, value in variables.items()}
    around = {name: value for name, value in environment.items() if name not in OF_THE_BUILD}
    state = Path(environment.get("DBT_WAREHOUSE_FILE", "")).stem  # the database's name
    versions = [sys.version, *map(_version, PACKAGES)]
    told = json.dumps([known, around, state, full_refresh, versions], sort_keys=True, default=str)
    digest = hashlib.sha256(told.encode())
    for path in sorted([*texts(project, "models", "macros", "tests"), project / "profiles.yml"]):
        if not path.exists():
            continue  # dbt says so better
        digest.update(f"\0{path.relative_to(project)}\0".encode() + path.read_bytes())
    return folder() / f"{digest.hexdigest()[:32]}.msgpack"


def _version(package: str) -> str:
    """The installed version; nothing where it is not installed, as an adapter that nobody asked for."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def lend(path: Path, target: Path) -> None:
    """Put a parsed project, where it is kept, into the folder that dbt is to write to."""
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        os.utime(path)
        files.make_folder(target)
        (target / WRITTEN_BY_DBT).write_bytes(content)


def keep(target: Path, path: Path) -> None:
    """Keep what dbt parsed; what was not used for longest makes room. Not where nobody may write."""
    with contextlib.suppress(OSError, ConfigurationError):
        parsed = (target / WRITTEN_BY_DBT).read_bytes()
        if path.exists() and path.read_bytes() == parsed:
            return
        files.make_folder(path.parent)
        files.write_whole(path, lambda beside: beside.write_bytes(parsed))
        files.remove_remains(path.parent, lambda name: name.endswith(".msgpack"))
        _make_room(path.parent)


def _make_room(kept_in: Path) -> None:
    kept = sorted(kept_in.glob("*.msgpack"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path, before in zip(kept, accumulate(path.stat().st_size for path in kept), strict=True):
        if before > MOST_BYTES:
            path.unlink(missing_ok=True)


def read(target: Path) -> Manifest | None:
    """The project that was lent to a folder; None where there is none, or none that this dbt can read: it then parses anew."""
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumuro_decoder

    try:
        manifest = Manifest.from_msgpack((target / WRITTEN_BY_DBT).read_bytes(), decoder=extended_mashumuro_decoder)
    except Exception:  # whatever is wrong with a cache, the build goes on without it
        return None
    manifest.build_parent_and_child_maps()  # type: ignore[no-untyped-call]
    manifest.build_flat_graph()  # type: ignore[no-untyped-call]
    return manifest
