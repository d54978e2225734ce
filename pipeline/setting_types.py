"""Kinds of values that settings take, read alike whichever setting they are of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _none_for_nothing(value: Any) -> Any:
    return None if value == "" else value


def _absolute(value: Path | None) -> Path | None:
    # dbt and the app work in other folders: a relative path would mean something else there
    return None if value is None else value.absolute()


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
OptionalPath = Annotated[Path | None, BeforeValidator(_none_for_nothing), AfterValidator(_absolute)]
