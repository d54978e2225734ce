"""The outbox: each mail one `.eml` file that any mail program opens."""

from __future__ import annotations

from pathlib import Path

from pipeline import files
from pipeline.notify.letter import Letter

SERVICE = "outbox"


class Outbox:
    """A folder of mails."""

    service = SERVICE

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def check(self) -> str:
        """Make the folder, where it is not there."""
        return f"mails are files in {files.make_folder(self._folder)}: neither n8n nor a mail server is set"

    def carry(self, letter: Letter, key: str) -> str:
        """Write the mail, whole, under a name that its key makes; returns its path."""
        files.make_folder(self._folder)
        path, message = self._folder / f"{key}.eml", letter.message()
        files.write_whole(path, lambda beside: beside.write_bytes(message))
        return str(path)
