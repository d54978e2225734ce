"""What a state was built under: another signature, and the next build starts from nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# These may differ from run to run: they decide what is read and shown, not what a row that was read means.
OF_THE_RUN = frozenset({"current_bank_day", "as_of", "inactivity_days", "source_name"})


def signature(project: Path, variables: Mapping[str, Any], *, engine: str) -> str:
    """A digest of models, contracts and macros, of the settings that give rows their meaning, and of the engine's version."""
    meaning = {name: value for name, value in variables.items() if name not in OF_THE_RUN}
    meaning["shortest_window_days"] = min(7, int(variables["inactivity_days"]))
    digest = hashlib.sha256(json.dumps([meaning, engine], sort_keys=True).encode())
    for path in sorted(texts(project, "models", "macros")):
        digest.update(str(path.relative_to(project)).encode() + path.read_bytes())
    return digest.hexdigest()


def texts(project: Path, *folders: str) -> list[Path]:
    """What is written by hand of a dbt project, in these folders of it and in its own file."""
    found = [path for name in folders for kind in ("*.sql", "*.yml") for path in (project / name).rglob(kind)]
    return [project / "dbt_project.yml", *found]
