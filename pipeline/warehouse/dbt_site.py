"""dbt's own documentation of the models as one HTML file: columns, tests, SQL, and the lineage from the bank to people."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from pipeline import files, scratch
from pipeline.errors import PermanentError
from pipeline.warehouse.dbt_build import child_process

NO_WAREHOUSE = {"DBT_WAREHOUSE_FILE": ":memory:", "DBT_THREADS": "1", "DBT_MEMORY_LIMIT": "1GB"}


def write(project: Path, target: Path) -> int:
    """Write the site of a dbt project to that file, whole or not at all; returns its size in bytes. Both are absolute paths.

    Needs no build: the statements are compiled with the variables of dbt_project.yml, and no table is looked at. Raises
    PermanentError where dbt could not read the project.
    """
    with tempfile.TemporaryDirectory(prefix="docs-", dir=scratch.folder()) as folder:
        command = [
            *(sys.executable, "-m", "pipeline.warehouse.dbt_child", "docs", "generate", "--static", "--empty-catalog"),
            *("--project-dir", str(project), "--profiles-dir", str(project)),
            *("--target-path", f"{folder}/target", "--log-path", f"{folder}/logs"),
            *("--quiet", "--no-use-colors", "--no-version-check", "--no-send-anonymous-usage-stats"),
        ]
        with child_process(command, {**NO_WAREHOUSE, "DBT_TEMP_FOLDER": folder}) as child:
            said = child.stdout.read() if child.stdout else ""
            child.wait()
        site = Path(folder) / "target" / "static_index.html"
        if child.returncode != 0 or not site.exists():
            raise PermanentError(
                f"dbt could not document the project: {said.strip() or 'it gave no reason'}",
                where=str(project),
                safe=f"{target} is as it was",
                next="mend the project or the installation",
            )
        files.make_folder(target.parent, named_by="the file's folder")
        with files.asked_for(target):
            files.write_whole(target, lambda beside: shutil.copyfile(site, beside))
        return target.stat().st_size
