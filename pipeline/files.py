"""Files that are whole or absent: write beside, flush to disk, rename."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigurationError, PermanentError

ABANDONED_AFTER = timedelta(days=1)
PRIVATE = 0o770  # less what the umask takes: what is in a state folder is not for everybody on the machine
_PART = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)\.part")


def make_folder(path: Path, *, named_by: str = "NEOPULSE_HOME", private: bool = False) -> Path:
    """Make a folder that can be written to; raises ConfigurationError, with the setting or option that names it, else.

    One that is `private`, and what it lies in, is made for its owner and the owner's group alone; what is there stays as it is.
    """
    try:
        for missing in reversed([each for each in (path, *path.parents) if not each.is_dir()]):
            missing.mkdir(mode=PRIVATE if private else 0o777, exist_ok=True)
    except OSError as error:
        raise _not_writable(path, named_by, error) from error
    if not os.access(path, os.W_OK):
        raise _not_writable(path, named_by, None)
    return path


def _not_writable(path: Path, named_by: str, error: OSError | None) -> ConfigurationError:
    reason = f": {error.strerror}" if error is not None and error.strerror else ""
    return ConfigurationError(
        f"The folder {path} cannot be written to{reason}",
        where=named_by,
        next=f"make the folder writable or set {named_by} to another one, then the same command",
    )


@contextmanager
def asked_for(target: Path) -> Iterator[None]:
    """What a person asked to be written there: raises PermanentError with the reason where the place does not take it."""
    try:
        yield
    except OSError as error:
        raise PermanentError(
            f"{target} could not be written: {error.strerror or error}",
            where=str(target.absolute()),
            safe="What was there before, and the published version",
            next="make room or name another place, then the same command",
        ) from error


def write_text(path: Path, text: str) -> None:
    """Replace a file's content in one act that survives a power cut."""
    write_whole(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file's content in one act."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, default=str) + "\n")


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make the file under another name, then put it in place by one rename."""
    with beside(path) as temporary:
        write(temporary)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`; renamed onto it when the block ends well, removed when it does not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    finally:
        _remove(temporary)


def remove_remains(folder: Path, is_ours: Callable[[str], object], *, now: datetime | None = None) -> None:
    """Remove what `beside` left in a folder when its process was killed, of the names that are ours.

    A number may belong to another process by now, as in a container, where all are small: told what time it is, it removes
    what was not touched for a day as well.
    """
    for path in folder.iterdir():
        part = _PART.fullmatch(path.name)
        if part and is_ours(part["name"]) and (not _is_running(int(part["process"])) or _is_abandoned(path, now)):
            with suppress(OSError):  # whoever may remove it will
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_abandoned(path: Path, now: datetime | None) -> bool:
    if now is None:
        return False
    with suppress(FileNotFoundError):
        last = max(each.stat().st_mtime for each in (path, *path.glob("*")))
        return now.timestamp() - last > ABANDONED_AFTER.total_seconds()
    return False


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or what it came from, says that the disk had no room; engines say so in words alone."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error):
        return True
    return error.__cause__ is not None and is_disk_full(error.__cause__)


def flush(path: Path) -> None:
    """Ask the system to bring a file or a folder's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link(source: str | Path, target: str | Path) -> None:
    """Give a file that never changes a second name, which is as good as a copy; some file systems know no second names."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def remove_folder(folder: Path) -> None:
    """Take a folder out of sight by one rename, then delete it: nobody opens half of one."""
    if folder.is_dir():
        gone = folder.with_name(f".{folder.name}.gone")
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def literally(path: Path) -> str:
    """A path for what reads files by patterns, as DuckDB does: a name with brackets, stars or question marks is a name."""
    return "".join(f"[{letter}]" if letter in "[*?" else letter for letter in str(path))
