"""What a run would do, step by step, in words: the same in every language."""

from __future__ import annotations

from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from pipeline.metrics import LANGUAGES
from pipeline.planned_acts import TEXTS, planned_act
from pipeline.settings import Settings
from pipeline.steps import STEPS

ID = "1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcd"


def in_force(home: Path, **given: Any) -> Settings:
    return Settings(_env_file=None, home=home, **given)


def test_every_language_has_every_text_with_the_same_places_in_it() -> None:
    assert set(TEXTS) == set(LANGUAGES)
    for name, text in TEXTS["en"].items():
        places = {place for _, place, _, _ in Formatter().parse(text) if place}
        for texts in TEXTS.values():
            assert {place for _, place, _, _ in Formatter().parse(texts[name]) if place} == places, name
    assert all(set(texts) == set(TEXTS["en"]) for texts in TEXTS.values())


def test_the_words_are_those_of_the_language(tmp_path: Path) -> None:
    settings = in_force(tmp_path, demo_transactions=2_000_000, demo_seed=7)
    told = {language: [planned_act(step, settings, language) for step in STEPS] for language in LANGUAGES}
    assert told["en"][0].startswith(
        f"land the demo bank (2,000,000 transactions, seed 7, in {tmp_path / 'demo'}) and the shipped"
    )
    assert told["fr"][0].startswith("déposer la banque de démonstration (2\u202f000\u202f000 transactions, graine 7, dans ")
    assert told["fr"][2] == f"écrire le classeur {tmp_path / 'sheet' / 'neopulse.xlsx'}"
    assert not set(told["en"]) & set(told["fr"])


@pytest.mark.parametrize(
    ("step", "given", "says"),
    [
        ("extract", {"raw": "/bank"}, "déposer les tables de la banque de /bank et les données des pays livrées"),
        ("extract", {"facts_live": True}, "de la Banque mondiale et les taux de change de Frankfurter"),
        ("sheet", {"google_sheets_id": ID}, "écrire les onglets du classeur Google Sheets " + ID),
        ("activate", {"google_sheets_syncs_id": ID}, "customer_status vers l'onglet Customers du classeur Google Sheets " + ID),
        ("notify", {"smtp_url": "smtps://mail.bank.example"}, "envoyer un courriel par smtps://mail.bank.example:465 à "),
        (
            "notify",
            {"n8n_url": "http://n8n:5678/x", "n8n_secret": "s" * 32},
            "faire envoyer par n8n à http://n8n:5678/x un courriel à ",
        ),
    ],
)
def test_each_service_that_is_set_is_named(step: str, given: dict[str, Any], says: str, tmp_path: Path) -> None:
    assert says in planned_act(step, in_force(tmp_path, **given), "fr")


def test_the_plan_of_bigquery_names_source_and_datasets(tmp_path: Path) -> None:
    settings = in_force(tmp_path, warehouse="bigquery", bigquery_source="bank.raw", bigquery_project="bank", bigquery_prefix="np")
    assert planned_act("extract", settings).startswith("look at the bank's tables in bank.raw and ")
    assert planned_act("transform", settings, "fr").endswith(" et dans les jeux de données np_v.... de bank")
