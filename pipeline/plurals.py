"""Numbers before words: which form of a text goes with one, and lengths of time in words.

The keys of a text that has forms end in `one` and `other`.
"""

from __future__ import annotations

from babel import Locale
from babel.units import format_unit

FORMS = ("one", "other")


def form(count: int, language: str) -> str:
    """`one` or `other`, by the rules of the language: 0 is `other` in English and `one` in French.

    The third form of French is that of whole millions in words ("un million de clients"); here numbers stand in figures.
    """
    return "one" if Locale.parse(language).plural_form(count) == "one" else "other"


def length(value: int, unit: str, language: str) -> str:
    """A number of hours or days: 1 day, 90 days."""
    return str(format_unit(value, f"duration-{unit}", length="long", locale=language))
