"""The read side: what a published version answers."""

from pipeline.marts.behind import Behind
from pipeline.marts.customers import Customer, Page, Search
from pipeline.marts.headline import Headline
from pipeline.marts.question import CUSTOMER_DIMENSIONS, Answer, ConfinedError, OlderVersionError, Question, TogetherError
from pipeline.marts.reader import METRICS, Reader, family, reader
from pipeline.marts.thin_tail import ThinTail

__all__ = [
    "CUSTOMER_DIMENSIONS",
    "METRICS",
    "Answer",
    "Behind",
    "ConfinedError",
    "Customer",
    "Headline",
    "OlderVersionError",
    "Page",
    "Question",
    "Reader",
    "Search",
    "ThinTail",
    "TogetherError",
    "family",
    "reader",
]
