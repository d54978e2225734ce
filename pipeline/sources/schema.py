"""The source contract: the bank's raw tables and their columns, every value a string as it comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class RawTable:
    """One raw table: its columns in order, and whether the bank may leave the whole table out."""

    name: str
    columns: tuple[str, ...]
    optional: bool = False


_TABLES = (
    RawTable(
        "users",
        (
            "user_id",
            "birth_year",
            "country",
            "city",
            "created_date",
            "user_settings_crypto_unlocked",
            "plan",
            "attributes_notifications_marketing_push",
            "attributes_notifications_marketing_email",
            "num_contacts",
            "num_referrals",
            "num_successful_referrals",
        ),
    ),
    RawTable("devices", ("string_field_0", "string_field_1")),
    RawTable("notifications", ("reason", "channel", "status", "user_id", "created_date"), optional=True),
    RawTable(
        "transactions",
        (
            "transaction_id",
            "transactions_type",
            "transactions_currency",
            "amount_usd",
            "transactions_state",
            "ea_cardholderpresence",
            "ea_merchant_mcc",
            "ea_merchant_city",
            "ea_merchant_country",
            "direction",
            "user_id",
            "created_date",
        ),
    ),
)

RAW_TABLES: Mapping[str, RawTable] = MappingProxyType({table.name: table for table in _TABLES})
