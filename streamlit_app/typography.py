"""Spaces at which no line breaks: before `: ; ? ! %` and within « », as French sets them.

The catalogues are written with ordinary spaces, which are seen and searched for more easily.
"""

from __future__ import annotations

import re

NARROW, FIXED = "\u202f", "\u00a0"  # the narrow one as in numbers; before a colon and within « » the wide one
# What machines read, and words that a colon begins (`:material/flag:`, `:gray[...]`), stays as it is.
KEPT = r"(?P<fence>`+).*?(?P=fence)|\{[^{}]*\}|\]\([^)]*\)|https?://\S+"
AT_AN_END = r"(?=$|[\s*_)»\],.;:])"
SPACE = re.compile(rf"{KEPT}|(?<=\S) (?:(?P<narrow>[;?!%])|(?P<wide>[:»])){AT_AN_END}|(?P<opening>«) (?=\S)", re.DOTALL)


def french(text: str) -> str:
    """A French text whose double punctuation, percent signs and quotation marks stay with their words."""
    return SPACE.sub(_kept_together, text)


def _kept_together(found: re.Match[str]) -> str:
    if found["narrow"]:
        return NARROW + found["narrow"]
    if found["wide"]:
        return FIXED + found["wide"]
    return found["opening"] + FIXED if found["opening"] else found[0]
