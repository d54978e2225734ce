"""The read side: what a published version answers."""

from pipeline.marts.behind import Behind
from pipeline.marts.customers import Customer, Listed, Page, Search, Together
from pipeline.marts.headline import Headline
from pipeline.marts.question import CUSTOMER_DIMENSIONS, Answer, ConfinedError, OlderVersionError, Question, TogetherError
from pipeline.marts.reader import METRICS, Reader, family, reader
from pipeline.marts.risk import Warned
from pipeline.marts.thin_tail import ThinTail

__all__ = [
    "CUSTOMER_DIMENSIONS",
    "METRICS",
    "Answer",
    "Behind",
    "ConfinedError",
    "Customer",
    "Headline",
    "Listed",
    "OlderVersionError",
    "Page",
    "Question",
    "Reader",
    "Search",
    "ThinTail",
    "Together",
    "TogetherError",
    "Warned",
    "family",
    "reader",
]
