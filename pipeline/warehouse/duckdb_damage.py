"""What DuckDB says of a file that is damaged, as opposed to one that it may not, or cannot just now, read.

DuckDB checks a sum over each block that it reads, but has no class of errors for what it finds: several classes, among them
the most general one, say it in these words. A file that is locked, forbidden or on a full disk says none of them.
"""

from __future__ import annotations

from pathlib import Path

_DAMAGED = (
    "Corrupt database file",
    "Corrupt WAL file",
    "WAL does not match database file",
)
_DAMAGED_FILE = (  # with the name of the file, for the landed ones can be cut short too; a log begins with the same name
    'Could not read enough bytes from file "{path}',
    'The file "{path}" exists, but it is not a valid DuckDB database file',
)


def is_damage(message: str, path: Path) -> bool:
    """Whether the engine's words are about damage of the database `path` or of its log."""
    return any(words in message for words in (*_DAMAGED, *(words.format(path=path) for words in _DAMAGED_FILE)))
