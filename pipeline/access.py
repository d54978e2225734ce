"""Who may do what, and whose customers they see: rules that name people by e-mail address, domain or group.

An entry is `ada@bank.example`, `@bank.example` (everybody of the domain) or `group:risk` (everybody whom the sign-in
provider puts into the group).
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from pipeline import written_yaml
from pipeline.errors import ConfigurationError

GROUP = "group:"
_NOBODY = ""  # vouched for, and named by no entry
EVERY_COUNTRY = "*"
_EMAIL = re.compile(r"[^@\s,=]+@[^@\s,=]+\.[^@\s,=]+|[^@\s,=]+@localhost")
_DOMAIN = re.compile(r"@[^@\s,=]+\.[^@\s,=]+|@localhost")
_COUNTRY = re.compile(r"[A-Z]{2}|unknown")
_SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class Role(IntEnum):
    """What a person may do; each role may do what the ones below it may."""

    VIEWER = 1
    MANAGER = 2
    ADMIN = 3


@dataclass(frozen=True)
class Identity:
    """Whom a sign-in provider vouches for; `email` and `domain` are None where the provider does not vouch for them."""

    name: str
    email: str | None = None
    domain: str | None = None
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Rules:
    """Entries by role, and entries with the countries that they are confined to (an empty set: none; None: every).

    `domains` are those whose people may sign in; none of them leaves it to the entries.
    """

    by_role: Mapping[Role, tuple[str, ...]]
    countries: Mapping[str, frozenset[str] | None]
    domains: tuple[str, ...] = ()

    def role_of(self, who: Identity) -> Role | None:
        """The highest role that an entry gives; None where none does or the domain may not sign in: the person has no entry."""
        if self.domains and who.domain not in (*self.domains, _NOBODY):
            return None
        given = [role for role, entries in self.by_role.items() if any(_names(entry, who) for entry in entries)]
        return max(given, default=None)

    def countries_of(self, who: Identity) -> frozenset[str] | None:
        """The countries whose customers the person sees; None is every country.

        An entry of the person's own counts before those of groups, and those before that of the domain; several groups add
        up. Who is in no entry is confined to nothing. Whose address or domain the provider does not vouch for may be in an
        entry that confines: no country is seen then.
        """
        for is_of_kind, is_vouched_for in (
            (_is_email, who.email is not None),
            (_is_group, True),
            (_is_domain, who.domain is not None),
        ):
            entries = {entry: kept for entry, kept in self.countries.items() if is_of_kind(entry)}
            if not is_vouched_for and any(kept is not None for kept in entries.values()):
                return frozenset()
            found = [kept for entry, kept in entries.items() if _names(entry, who)]
            if found:
                return None if None in found else frozenset().union(*(kept for kept in found if kept is not None))
        return None

    def asks_for_groups(self, who: Identity) -> bool:
        """Whether the groups of a person decide over the countries, and none is known."""
        own = any(_is_email(entry) and _names(entry, who) for entry in self.countries)
        return not own and not who.groups and any(_is_group(entry) for entry in self.countries)

    def joined(self, other: Rules) -> Rules:
        """Both sets of entries; where both confine the same entry, the other one counts."""
        by_role = {role: (*self.by_role.get(role, ()), *other.by_role.get(role, ())) for role in Role}
        return Rules(by_role, {**self.countries, **other.countries}, self.domains)


def in_small_letters(address: str) -> str:
    """An address or domain as it is compared: A to Z in small letters, and every other letter as it is.

    Unicode would make one of two: `groß.example` and `gross.example` are domains of two owners.
    """
    return address.translate(_SMALL)


def checked_entry(text: str) -> str:
    """An entry as it is compared: addresses in small letters. Raises ValueError where it names nobody."""
    entry = text.strip()
    if _is_group(entry) and entry.removeprefix(GROUP).strip():
        return GROUP + entry.removeprefix(GROUP).strip()
    if _EMAIL.fullmatch(entry) or _DOMAIN.fullmatch(entry):
        return in_small_letters(entry)
    raise ValueError(f"{entry!r} is neither ada@bank.example nor @bank.example nor group:name")


def is_entry(text: str) -> bool:
    """Whether a text can name somebody."""
    try:
        checked_entry(text)
    except ValueError:
        return False
    return True


def named(entries: Sequence[str]) -> Identity:
    """Somebody whom these entries name together: an address or domain, and groups.

    Raises ConfigurationError where one of them names nobody, or two name different people.
    """
    try:
        checked = [checked_entry(entry) for entry in entries]
    except ValueError as error:
        raise ConfigurationError(str(error), where="--as", next="neopulse metric --help") from None
    people = [entry for entry in checked if not _is_group(entry)]
    groups = frozenset(entry.removeprefix(GROUP) for entry in checked if _is_group(entry))
    if len(people) > 1:
        raise ConfigurationError(f"{' and '.join(people)} are not one person", where="--as", next="neopulse metric --help")
    if not people:
        return Identity(checked[0], email=_NOBODY, domain=_NOBODY, groups=groups)
    [who] = people
    return Identity(who, email=who if _is_email(who) else _NOBODY, domain=who.rpartition("@")[2], groups=groups)


def checked_countries(text: str) -> tuple[str, frozenset[str] | None]:
    """`ada@bank.example=FR+DE` as an entry and its countries; `=*` is every country. Raises ValueError else."""
    entry, equals, codes = text.rpartition("=")
    if not equals:
        raise ValueError(f"{text!r} names no countries: write ada@bank.example=FR+DE, or =* for every country")
    return checked_entry(entry), _codes(codes.split("+"))


def _codes(written: Sequence[str]) -> frozenset[str] | None:
    codes = [code.strip() for code in written]
    if codes == [EVERY_COUNTRY]:
        return None
    for code in codes:
        if not _COUNTRY.fullmatch(code):
            raise ValueError(f"{code!r} is not a country's two capital letters, such as FR")
    return frozenset(codes)


def read(path: Path) -> Rules:
    """The rules of a YAML file with `admins`, `managers`, `viewers` (lists of entries) and `countries` (entry: list).

    The file is read anew whenever it has changed. Raises ConfigurationError where it cannot be used: nobody comes in then.
    """
    try:
        stamp = path.stat()
        return _parsed(path, (stamp.st_mtime_ns, stamp.st_size, stamp.st_ino))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise ConfigurationError(
            f"The file of roles cannot be used: {reason}",
            where=str(path),
            safe="Nobody comes in until it can be read",
            next="mend the file; docs/sign-in.md shows one",
        ) from None


@lru_cache(maxsize=4)
def _parsed(path: Path, _stamp: tuple[int, int, int]) -> Rules:
    content = written_yaml.read(path)
    content = {} if content is None else content
    keys = {"admins": Role.ADMIN, "managers": Role.MANAGER, "viewers": Role.VIEWER}
    if not isinstance(content, dict) or set(content) - {*keys, "countries"}:
        raise ValueError("it takes admins, managers, viewers and countries, and nothing else")
    by_role = {role: tuple(checked_entry(entry) for entry in _texts(content.get(key), key)) for key, role in keys.items()}
    countries = content.get("countries") or {}
    if not isinstance(countries, dict):
        raise ValueError("countries takes entries, each with a list of countries")
    return Rules(
        by_role, by_entry((checked_entry(str(entry)), _codes(_texts(codes, str(entry)))) for entry, codes in countries.items())
    )


def by_entry(given: Iterable[tuple[str, frozenset[str] | None]]) -> dict[str, frozenset[str] | None]:
    """Entries with their countries; raises ValueError where one stands there twice, of which one would count in silence."""
    found: dict[str, frozenset[str] | None] = {}
    for entry, countries in given:
        if entry in found:
            raise ValueError(f"{entry} has countries twice: write them as one entry")
        found[entry] = countries
    return found


def _texts(value: Any, key: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"{key} takes a list of texts (NO, the country, needs quotation marks)")
    return value


def _is_group(entry: str) -> bool:
    return entry.startswith(GROUP)


def _is_domain(entry: str) -> bool:
    return entry.startswith("@")


def _is_email(entry: str) -> bool:
    return not _is_group(entry) and not _is_domain(entry)


def _names(entry: str, who: Identity) -> bool:
    if _is_group(entry):
        return entry.removeprefix(GROUP) in who.groups
    if _is_domain(entry):
        return who.domain is not None and entry == f"@{in_small_letters(who.domain)}"
    return who.email is not None and entry == in_small_letters(who.email)
