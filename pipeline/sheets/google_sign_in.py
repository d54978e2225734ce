"""Who signs in to Google: a service account by its key file, or the application default credentials."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google.auth
from google.auth.exceptions import DefaultCredentialsError
from google.oauth2 import service_account

from pipeline.errors import ConfigurationError

SCOPES = ("https://www.googleapis.com/auth/spreadsheets",)


@dataclass(frozen=True)
class Account:
    """Credentials, the address that a spreadsheet has to be shared with, and where they come from."""

    credentials: Any
    address: str
    source: str


def sign_in(key_file: Path | None) -> Account:
    """The account of a key file, or of the application default credentials. Raises ConfigurationError where there is none.

    Nothing is sent yet: the first call fetches a token.
    """
    if key_file is not None:
        return _account(_of_key_file(key_file), str(key_file))
    try:
        credentials, _ = google.auth.default(scopes=SCOPES)
    except DefaultCredentialsError:
        raise ConfigurationError(
            "There are no application default credentials on this machine",
            where="NEOPULSE_GOOGLE_SHEETS_CREDENTIALS",
            next="name the key file of a service account, or gcloud auth application-default login, then neopulse check",
        ) from None
    return _account(credentials, "the application default credentials")


def _of_key_file(key_file: Path) -> Any:
    try:
        return service_account.Credentials.from_service_account_file(str(key_file), scopes=SCOPES)  # type: ignore[no-untyped-call]
    except OSError as error:
        raise _unusable(key_file, f"cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):  # its text may quote the key
        raise _unusable(key_file, "is not the key file of a service account") from None


def _unusable(key_file: Path, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The key file {key_file.name} {what}",
        where=f"NEOPULSE_GOOGLE_SHEETS_CREDENTIALS: {key_file}",
        next="fetch a JSON key of the service account from the Google Cloud console, then neopulse check",
    )


def _account(credentials: Any, source: str) -> Account:
    # google-auth looks up in a thread of its own where the account may be used, at a fixed address of Google's, even when
    # everything else goes to a stand-in. The Sheets API does not need to know.
    credentials._is_regional_access_boundary_lookup_required = lambda: False
    address = getattr(credentials, "service_account_email", None) or getattr(credentials, "account", None)
    return Account(credentials, address or "the account of the application default credentials", source)
