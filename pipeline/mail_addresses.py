"""Whether a mail can go to an address at all, asked before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence


def unusable(addresses: Sequence[str]) -> list[str]:
    """Those to which no mail could go: a line break or a missing domain would make another header or bounce."""
    return [address for address in addresses if not _is_usable(address)]


def _is_usable(address: str) -> bool:
    from email.message import EmailMessage

    probe = EmailMessage()
    try:
        probe["To"] = address
        (parsed,) = probe["To"].addresses
    except (ValueError, IndexError):
        return False
    is_whole = bool(parsed.username and parsed.domain) and not probe["To"].defects
    return is_whole and parsed.addr_spec.isascii()  # a mail server that takes other letters is rare
