"""Refusals as BigQuery words them: an HTTP status, a reason and a text."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer other than 200. `reason` is BigQuery's word, such as notFound or duplicate."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message

    def as_error_proto(self) -> dict[str, str]:
        """The entry of a job's `errorResult` and `errors`."""
        return {"reason": self.reason, "location": "query", "message": self.message}

    def as_body(self) -> dict[str, Any]:
        """The body of an HTTP answer."""
        entry = {"message": self.message, "domain": "global", "reason": self.reason}
        return {
            "error": {"code": self.status, "message": self.message, "errors": [entry], "status": STATUS_WORDS.get(self.status)}
        }


STATUS_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}


def not_found(kind: str, name: str) -> ApiError:
    """A dataset, table or job that is not there."""
    where = " was not found in location EU" if kind == "Table" or kind == "Dataset" else ""
    return ApiError(404, "notFound", f"Not found: {kind} {name}{where}")


def already_exists(kind: str, name: str) -> ApiError:
    """A dataset, table or job of that name is there already."""
    return ApiError(409, "duplicate", f"Already Exists: {kind} {name}")


def invalid_query(message: str) -> ApiError:
    """A statement that BigQuery would not run."""
    return ApiError(400, "invalidQuery", message)


def invalid(message: str) -> ApiError:
    """A request that does not make sense."""
    return ApiError(400, "invalid", message)


def not_in_the_stand_in(what: str) -> ApiError:
    """Something the real service does and the stand-in does not: said by name, never passed over."""
    return ApiError(400, "invalidQuery", f"The BigQuery stand-in does not do this: {what}")
