"""What can be wrong with the bank's rows, in words for pages and mails.

Why it matters and how to mend it is told on the page Definitions, by its catalogue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MISSING_DAYS = "day_without_activity"  # about days instead of rows
DAYS_WITH_FEW = "day_with_few_customers"  # the same
NO_USERS = "no_users"  # about all customers
OF_NO_ROW = (MISSING_DAYS, DAYS_WITH_FEW, NO_USERS)

WHAT: Mapping[str, Mapping[str, str]] = {
    "en": {
        "missing_transaction_id": "transactions without an id",
        "missing_user_id": "rows without a customer",
        "unreadable_created_date": "rows whose date cannot be read",
        "in_the_future": "rows dated after today",
        "exact_duplicate": "rows that stand there twice",
        "conflicting_duplicate": "the same id with different content",
        "stray_header_row": "a header row among the data",
        "repeated_device": "more than one device of a customer",
        "unreadable_amount": "transactions whose amount cannot be read",
        "missing_amount": "completed transactions without an amount",
        "negative_amount": "transactions with a negative amount",
        "unknown_state": "transactions in a state that neopulse does not know",
        "unknown_type": "transactions of a type that neopulse does not know",
        "customer_without_user_row": "transactions of customers who are missing from users",
        "no_users": "customers of whom only transactions are known: the table users has no row",
        "before_account_opening": "transactions older than the account",
        "absurd_amount": "completed transactions of 100 million USD or more",
        "too_long_ago": "rows dated before 1990",
        "day_without_activity": "days on which nobody was active, between days with dozens",
        "day_with_few_customers": "days on which fewer than a quarter of the usual customers were active",
        "city_with_digits": "cities that are telephone numbers or codes",
    },
    "fr": {
        "missing_transaction_id": "transactions sans identifiant",
        "missing_user_id": "lignes sans client",
        "unreadable_created_date": "lignes dont la date est illisible",
        "in_the_future": "lignes datées d'après aujourd'hui",
        "exact_duplicate": "lignes présentes deux fois",
        "conflicting_duplicate": "le même identifiant avec un contenu différent",
        "stray_header_row": "une ligne d'en-tête parmi les données",
        "repeated_device": "plus d'un appareil pour un client",
        "unreadable_amount": "transactions dont le montant est illisible",
        "missing_amount": "transactions abouties sans montant",
        "negative_amount": "transactions au montant négatif",
        "unknown_state": "transactions dans un état inconnu de neopulse",
        "unknown_type": "transactions d'un type inconnu de neopulse",
        "customer_without_user_row": "transactions de clients absents de users",
        "no_users": "clients dont on ne connaît que les transactions : la table users n'a aucune ligne",
        "before_account_opening": "transactions plus anciennes que le compte",
        "absurd_amount": "transactions abouties de 100 millions USD ou plus",
        "too_long_ago": "lignes datées d'avant 1990",
        "day_without_activity": "jours où personne n'a été actif, entre des jours où des dizaines l'étaient",
        "day_with_few_customers": "jours où moins d'un quart du nombre habituel de clients ont été actifs",
        "city_with_digits": "villes qui sont des numéros de téléphone ou des codes",
    },
}


def in_words(reason: str, language: str) -> str:
    """A reason of `mart_data_quality` in a language; its code where it has no words yet."""
    return WHAT[language].get(reason, reason.replace("_", " "))


def rows(problems: Iterable[Mapping[str, Any]]) -> int:
    """How many rows these problems of mart_data_quality are about: one with several things wrong is one row.

    A missing day is none, nor is one with few customers, nor a customer of a bank without users. Versions that were published
    before rows were counted once have the rows of each problem alone; these are added up.
    """

    def once(problem: Mapping[str, Any]) -> int:
        return int(problem.get("rows_counted_once", 0 if problem["reason"] in OF_NO_ROW else problem["rows_affected"]))

    return sum(map(once, problems))
