"""The settings of Google Sheets: which spreadsheet, who signs in, and where; without a spreadsheet, the workbook."""

from __future__ import annotations

import re

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from pipeline.addresses import is_loopback
from pipeline.setting_types import OptionalPath

_IN_ADDRESS = re.compile(r"/spreadsheets/(?:u/\d+/)?d/([A-Za-z0-9_-]+)")
_SPREADSHEET_ID = re.compile(r"[A-Za-z0-9_-]{20,200}")


class GoogleSheetsSettings(BaseSettings):
    """What the sheet needs to be kept in Google Sheets.

    The validators carry the service in their names: of two mixins' validators of the same name only one would be in force.
    """

    google_sheets_id: str = Field(
        default="",
        description="Google spreadsheet that the sheet is written to: its id, or its address; empty means the workbook on disk.",
    )
    google_sheets_syncs_id: str = Field(
        default="",
        description="Google spreadsheet whose tabs the embedded reverse ETL keeps, one customer a row, so better not the one "
        "that all may read; its id or address. Empty means the workbook on disk.",
    )
    google_sheets_credentials: OptionalPath = Field(
        default=None, description="Key file of the service account; empty means the application default credentials."
    )
    google_sheets_endpoint: str = Field(
        default="", description="Address of the Sheets API where it is not Google's: a loopback address, for tests."
    )

    @field_validator("google_sheets_id", "google_sheets_syncs_id")
    @classmethod
    def _google_sheets_is_a_spreadsheet(cls, value: str) -> str:
        found = _IN_ADDRESS.search(value)
        value = found[1] if found else value.strip()
        if value and not _SPREADSHEET_ID.fullmatch(value):
            raise ValueError(
                "is not the id or the address of a spreadsheet, such as https://docs.google.com/spreadsheets/d/1AbC..."
            )
        return value

    @field_validator("google_sheets_endpoint")
    @classmethod
    def _google_sheets_is_on_this_machine(cls, value: str) -> str:
        if value and not is_loopback(value):
            raise ValueError("has to be an address on this machine, such as http://127.0.0.1:9050: it is for tests")
        return value.rstrip("/")
