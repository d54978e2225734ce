"""Secrets in files, as Docker and Kubernetes mount them: NEOPULSE_X_FILE names the file that holds the secret NEOPULSE_X."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.setting_types import absolute

SUFFIX = "_FILE"
LARGEST_BYTES = 64 * 1024


def paths(given: Mapping[str, str | None], secrets: Collection[str], prefix: str) -> dict[str, Path]:
    """The file of each secret that is given by one; raises ConfigurationError where it is given by its value as well."""
    found = {}
    for name in secrets:
        variable = prefix + name.upper()
        path = given.get(variable + SUFFIX)
        if not path:
            continue
        if given.get(variable):
            raise ConfigurationError(
                f"{variable} and {variable}{SUFFIX} are both set",
                where="the environment or .env",
                safe="Nothing was started",
                next="keep one of the two: the value, or the file that holds it; then neopulse check",
            )
        try:
            found[name] = absolute(Path(path))
        except ValueError as error:
            raise _unusable(Path(path), variable, str(error)) from None
    return found


def read(path: Path, variable: str) -> str:
    """The secret in a file, without the line's end; raises ConfigurationError that names variable and file, never the content."""
    try:
        content = path.read_bytes()
        text = content.decode("utf-8").rstrip("\r\n")
    except OSError as error:
        raise _unusable(path, variable, error.strerror or "it cannot be read") from None
    except UnicodeDecodeError:
        raise _unusable(path, variable, "it is no text") from None
    if not text or len(content) > LARGEST_BYTES or "\n" in text or "\0" in text:
        raise _unusable(path, variable, "it holds nothing" if not text else "it is no single line")
    return text


def _unusable(path: Path, variable: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"The secret {variable} cannot be read from its file: {reason}",
        where=f"{variable}{SUFFIX}={path}",
        safe="Nothing was started",
        next="let the file hold the secret alone, readable for the user of the process; then neopulse check",
    )
