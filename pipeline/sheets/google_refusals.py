"""What may go wrong in a call to Google Sheets, told so that a person, or the caller, can act on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import requests
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from gspread.exceptions import APIError

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, NeopulseError, PermanentError, TransientError
from pipeline.http import LONGEST_QUOTE, LostAnswerError, asked_pause, is_worth_another_try
from pipeline.sheets.google_sign_in import Account

SERVICE = "Google Sheets"
QUOTA_REASONS = ("rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "RATE_LIMIT_EXCEEDED")
_OUTDATED = ("already exists", "No grid with id", "No sheet with id", "Unable to parse range", "exceeds grid limits")


class UnclearError(LostAnswerError):
    """The call may have been carried out; `asked_pause` is the least pause in seconds that the service asks for."""

    asked_pause = 0.0


class OutdatedError(UnclearError):
    """What is asked for does not fit the spreadsheet any more: an answer was lost, or somebody changed its tabs."""


class PutOffError(Exception):
    """Not now: why, and the least pause in seconds that the service asks for."""

    def __init__(self, why: TransientError, asked_pause: float = 0.0) -> None:
        super().__init__(why.what)
        self.why = why
        self.asked_pause = asked_pause


class Refusals:
    """The words for what an account meets at a spreadsheet, which `named_by`, a setting, names."""

    def __init__(self, account: Account, spreadsheet_id: str, clock: Clock, *, named_by: str) -> None:
        self._account = account
        self._spreadsheet_id = spreadsheet_id
        self._clock = clock
        self._named_by = named_by

    @contextmanager
    def in_words(self, is_repeatable: bool) -> Iterator[None]:
        """Turn whatever may go wrong into what a person, or the loop above, can act on."""
        try:
            yield
        except APIError as error:
            raise self._refused(error.response, is_repeatable) from None
        except RefreshError as error:
            if error.retryable or not _is_googles_word(error):
                raise PutOffError(_unreached(error)) from None
            raise self._no_sign_in(error) from None
        except (TransportError, requests.ConnectTimeout) as error:
            raise PutOffError(_unreached(error)) from None  # the call itself was never sent
        except GoogleAuthError as error:
            raise self._no_sign_in(error) from None
        except (requests.RequestException, TimeoutError) as error:
            why = _unreached(error)
            raise PutOffError(why) if is_repeatable else _unclear(why) from None
        except (TypeError, ValueError) as error:  # google-auth, where a page of a proxy stands in the place of a token
            if not _is_from_sign_in(error):
                raise
            raise PutOffError(_unreached(error)) from None

    def _refused(self, response: requests.Response, is_repeatable: bool) -> Exception:
        status, words = response.status_code, _message(response)
        pause = asked_pause(response.headers.get("Retry-After", ""), self._clock.now())
        if status == 429 or (status == 403 and any(reason in response.text for reason in QUOTA_REASONS)):
            return PutOffError(_answered(status, words), pause)
        if is_worth_another_try(status):
            return PutOffError(_answered(status, words), pause) if is_repeatable else _unclear(_answered(status, words), pause)
        return self._explained(status, words)

    def _explained(self, status: int, words: str) -> NeopulseError:
        account, where = self._account.address, f"spreadsheet {self._spreadsheet_id}"
        if status == 401:
            return ConfigurationError(
                f"{SERVICE} does not accept the sign-in of {account}: {words}", where=where, next="neopulse check"
            )
        if status == 403 and ("has not been used" in words or "disabled" in words):
            return ConfigurationError(
                f"The Google Sheets API is not switched on in the project of {account}: {words}",
                where=where,
                next="switch on the Google Sheets API in the project's API library, then neopulse check",
            )
        if status in (403, 404):
            what = "may not use the spreadsheet" if status == 403 else "finds no such spreadsheet"
            return ConfigurationError(
                f"{account} {what}: {words}",
                where=where,
                safe="Nothing was written",
                next=f"see whether {self._named_by} is right, share the spreadsheet with {account} as an editor, "
                "then neopulse check",
            )
        if status == 400 and "protected" in words:
            return ConfigurationError(
                f"{account} may not edit a range that somebody has protected: {words}",
                where=where,
                safe="Nothing was written",
                next=f"add {account} to the editors of that protection, or lift it, then neopulse run --from sheet",
            )
        if status == 400 and any(word in words for word in _OUTDATED):
            return OutdatedError(f"{SERVICE} answers 400: {words}", where=where, next="neopulse run --from sheet")
        return PermanentError(f"{SERVICE} refuses with {status}: {words}", where=where, next="neopulse check")

    def _no_sign_in(self, error: Exception) -> ConfigurationError:
        return ConfigurationError(
            f"Google does not let {self._account.address} sign in: {_quoted(str(error.args[0] if error.args else error))}",
            where=self._account.source,
            safe="Nothing was written",
            next="see whether the key is still valid and the machine's clock is right, then neopulse check",
        )


def _unclear(why: TransientError, pause: float = 0.0) -> UnclearError:
    unclear = UnclearError(why.what, where=why.where, next=why.next)
    unclear.asked_pause = pause
    return unclear


def _is_googles_word(error: RefreshError) -> bool:
    """Whether a refused sign-in came with Google's own reasons; without them something on the way failed."""
    return any(isinstance(told, Mapping) for told in error.args)


def _is_from_sign_in(error: Exception) -> bool:
    """Whether it was raised where google-auth reads the answer to a sign-in."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__", "")).startswith("google.")


def _unreached(error: Exception) -> TransientError:
    return TransientError(f"{SERVICE} cannot be reached: {type(error).__name__}", where=SERVICE, next="neopulse check")


def _answered(status: int, words: str) -> TransientError:
    return TransientError(f"{SERVICE} answers {status}: {words}", where=SERVICE, next="neopulse check")


def json_answer(response: requests.Response, is_repeatable: bool) -> requests.Response:
    """The answer, if it is one: a sign-in page of some proxy answers 200 too."""
    if "json" in response.headers.get("Content-Type", ""):
        return response
    what = f"{SERVICE} answers {response.status_code} with something that is no JSON: {_quoted(response.text)}"
    next_step = "see whether a proxy or a sign-in page stands before the service, then neopulse check"
    raise (PermanentError if is_repeatable else UnclearError)(what, where=SERVICE, next=next_step)


def _message(response: requests.Response) -> str:
    """What the service says, in one line; its HTML page where it says no more."""
    try:
        return _quoted(str(response.json()["error"]["message"]))
    except (ValueError, KeyError, TypeError):
        return _quoted(response.text)


def _quoted(words: str) -> str:
    line = " ".join(words.split())
    return line if len(line) <= LONGEST_QUOTE else line[:LONGEST_QUOTE] + " ..."
