"""Refusals in the words of Google's APIs: an HTTP status, a status word and a message."""

from __future__ import annotations

from typing import Any

STATUS_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
}


class ApiError(Exception):
    """An answer other than 2xx."""

    def __init__(self, status: int, message: str, details: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details

    def as_body(self) -> dict[str, Any]:
        """The body of the answer."""
        error: dict[str, Any] = {"code": self.status, "message": self.message, "status": STATUS_WORDS.get(self.status, "UNKNOWN")}
        if self.details:
            error["details"] = self.details
        return {"error": error}


def invalid(message: str) -> ApiError:
    """A request that does not make sense."""
    return ApiError(400, message)


def in_request(place: int, kind: str, message: str) -> ApiError:
    """A sub-request of a batch that does not make sense: nothing of the batch is applied."""
    return ApiError(400, f"Invalid requests[{place}].{kind}: {message}")


def not_found() -> ApiError:
    """A spreadsheet that is not there."""
    return ApiError(404, "Requested entity was not found.")


def forbidden() -> ApiError:
    """A spreadsheet that is not shared with the caller."""
    return ApiError(403, "The caller does not have permission")


def not_in_the_stand_in(what: str) -> ApiError:
    """Something the real service does and the stand-in does not: said by name, never passed over."""
    return ApiError(400, f"The Google Sheets stand-in does not do this: {what}")
