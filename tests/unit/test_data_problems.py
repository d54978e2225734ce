"""The words for what can be wrong with the bank's rows: every reason of the models has some, and the page says what to do."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from pipeline.data_problems import WHAT, in_words
from pipeline.transform import DBT_PROJECT
from streamlit_app import messages


def texts(folder: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(Path(DBT_PROJECT, folder).rglob("*.sql")))


def given() -> set[str]:
    """The reasons that stand in the models: the two lists of codes, and the literals that become a column of reasons."""
    found = set[str]()
    for name in ("rejection_reasons", "doubts"):
        listed = re.search(rf"macro {name}\(\).*?return\((\[.*?\])\)", texts("macros"), re.DOTALL)
        assert listed is not None
        found |= set(ast.literal_eval(listed[1]))
    for cases in re.findall(r"case\b((?:(?!\bcase\b).)*?)\bend as (?:rejection_)?reason\b", texts("models"), re.DOTALL):
        found |= set(re.findall(r"(?:then|else) '(\w+)'", cases))
    counted = Path(DBT_PROJECT, "models", "warehouse", "rejected_rows.sql").read_text(encoding="utf-8")
    found |= set(re.findall(r"then '(\w+)'", counted))
    return found | set(re.findall(r"'(\w+)'(?:, '(?:kept|rejected)'| as reason\b)", texts("models")))


def test_each_reason_of_the_models_has_words_in_both_languages_and_an_advice() -> None:
    assert len(given()) >= 21
    for language in messages.LANGUAGES:
        assert given() <= WHAT[language].keys()
        advice = messages.catalogue(language, "definitions")
        assert {f"reasons.{reason}.{part}" for reason in WHAT[language] for part in ("why", "mend")} <= advice.keys()
    assert WHAT["en"].keys() == WHAT["fr"].keys()


def test_a_reason_without_words_is_told_by_its_code() -> None:
    assert in_words("exact_duplicate", "fr") == "lignes présentes deux fois"
    assert in_words("a_new_one", "fr") == "a new one"
