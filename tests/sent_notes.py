"""What was sent, noted down in memory instead of in the run store."""

from __future__ import annotations

from collections.abc import Mapping


class Notes:
    """A run store's notes in memory."""

    def __init__(self) -> None:
        self._sent: dict[str, dict[str, str]] = {}

    def sent_rows(self, sync: str) -> dict[str, str]:
        return dict(self._sent.get(sync, {}))

    def replace_sent_rows(self, sync: str, changes: Mapping[str, str | None]) -> None:
        after = self.sent_rows(sync) | changes
        self._sent[sync] = {key: value for key, value in after.items() if value is not None}
