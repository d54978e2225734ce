"""Last days that hold far fewer active customers than usual, in words: above every page, and on cards that show them."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pipeline.marts.thin_tail import SHARE
from streamlit_app import data, formats
from streamlit_app.data import ThinTail
from streamlit_app.messages import t

Way = Literal["rise", "change"]


def in_words(tail: ThinTail) -> str:
    """Which days, how much of the usual they hold, and what follows."""
    values = {"days": formats.number(tail.days), "first": formats.day(tail.first), "last": formats.day(tail.last)}
    told = t(f"common.thin_tail.{'one' if tail.days == 1 else 'many'}", share=_share(tail), **values)
    return f"{told} {t('common.thin_tail.follows')}"


def _share(tail: ThinTail) -> str:
    if tail.low is None or tail.high is None:
        return t("common.thin_tail.less_than", share=formats.share(SHARE, 0))
    low, high = formats.share(tail.low, 0), formats.share(tail.high, 0)
    return high if low == high else formats.interval(tail.low, tail.high, 0)


def in_short(*, until: date | None = None) -> str:
    """The same in one sentence for figures up to a day; nothing where no thin day is among them."""
    tail = data.thin_tail()
    return "" if tail is None or not are_counted(until) else t("common.thin_tail.short", first=formats.day(tail.first))


def are_counted(until: date | None) -> bool:
    """Whether a thin day is among those that a figure up to a day counts; None is the last loaded day."""
    tail = data.thin_tail()
    return tail is not None and (until is None or until >= tail.first)


def on_a_card(way: Way, *, until: date) -> str:
    """What a figure up to a day has to say beside it; nothing where no thin day is among those that it counts."""
    tail = data.thin_tail()
    return "" if tail is None or not are_counted(until) else t(f"common.thin_tail.card.{way}", first=formats.day(tail.first))
