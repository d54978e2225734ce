"""Every text stands in both languages, every text that is asked for exists, and no text stands there for nothing."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.metrics import Metric
from pipeline.plurals import FORMS, form
from streamlit_app import messages, typography
from streamlit_app.components import metric_help

APP = Path(messages.__file__).parent
AREAS = sorted(path.stem for path in (messages.CATALOGUES / "en").glob("*.yml"))
FINDERS = {"t", "text", "has"}


def placeholders(message: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(message) if name}


@pytest.mark.parametrize("area", AREAS)
def test_the_catalogues_of_an_area_have_the_same_keys_and_placeholders(area: str) -> None:
    english, french = messages.catalogue("en", area), messages.catalogue("fr", area)
    assert set(english) == set(french)
    assert {key: placeholders(english[key]) for key in english} == {key: placeholders(french[key]) for key in french}


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("area", AREAS)
def test_a_text_by_number_has_the_forms_of_its_language_and_the_same_placeholders_in_each(area: str, language: str) -> None:
    texts = messages.catalogue(language, area)
    for name in by_number(language, area):
        assert {key.removeprefix(f"{name}.") for key in texts if key.startswith(f"{name}.")} == set(FORMS), f"{area}.{name}"
        assert len({frozenset(placeholders(texts[f"{name}.{one}"])) for one in FORMS}) == 1, f"{area}.{name}"
    assert {form(number, language) for number in range(200)} == set(FORMS)


def test_no_placeholder_has_the_name_of_what_chooses_the_form() -> None:
    assert [key for _, _, key, message in every_message() if "count" in placeholders(message)] == []


def test_both_languages_have_the_same_areas() -> None:
    french = sorted(path.stem for path in (messages.CATALOGUES / "fr").glob("*.yml"))
    assert french == AREAS


def test_no_text_is_empty() -> None:
    empty = [(language, area, key) for language, area, key, message in every_message() if not message.strip()]
    assert empty == []


def test_french_texts_keep_the_space_before_double_punctuation() -> None:
    wrong = [key for language, _, key, message in every_message() if language == "fr" and re.search(r"\w[!?;]", message)]
    assert wrong == []


def test_no_line_of_a_french_text_breaks_before_its_punctuation_or_within_its_quotation_marks() -> None:
    breaks = [
        key for language, _, key, message in every_message() if language == "fr" and re.search(r" [:;?!%»](?!\w)|« ", message)
    ]
    assert breaks == []
    assert messages.catalogue("en", "common")["between"] == "95%: {interval}, n {n}"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (
            "Ensuite : « {metric} » ; 95 %, vrai ? Oui !",
            "Ensuite\u00a0: «\u00a0{metric}\u00a0»\u202f; 95\u202f%, vrai\u202f? Oui\u202f!",
        ),
        ("**Pourquoi :** (10 %)", "**Pourquoi\u00a0:** (10\u202f%)"),
        ("à 12:30, https://bank.example/a?b=c ; fin", "à 12:30, https://bank.example/a?b=c\u202f; fin"),
    ],
)
def test_french_punctuation_stays_with_its_word(written: str, kept: str) -> None:
    assert typography.french(written) == kept


@pytest.mark.parametrize(
    "machine_read",
    [
        ":material/flag: fini",
        "fini :material/flag:",
        "un :gray[mot] et :orange-badge[un autre] :+1:",
        "{share: %} et {count: !>5}",
        "`neopulse run : ?` et ``a ` ; b``",
        "```\nun : deux\n```",
        "voir ![image](x)",
        "un lien [là](<a : b>)",
        "| un | deux |\n| :- | -: |",
        " : au début",
    ],
)
def test_what_machines_read_in_a_french_text_stays_as_it_is(machine_read: str) -> None:
    assert typography.french(machine_read) == machine_read


def test_what_a_metric_means_is_set_as_the_catalogues_are() -> None:
    written = {"en": "Wilson: 95 %; n", "fr": "Wilson : 95 % ; n"}
    metric = Metric("m", written, written, "share", "mart", "value")
    assert metric_help.meaning(metric, "fr") == "Wilson\u00a0: 95\u202f%\u202f; n"
    assert metric_help.meaning(metric, "en") == written["en"]


def by_number(language: str, area: str) -> set[str]:
    """The names of the texts that have forms."""
    return {name.removesuffix(".other") for name in messages.catalogue(language, area) if name.endswith(".other")}


def every_message() -> Iterator[tuple[str, str, str, str]]:
    for language in messages.LANGUAGES:
        for area in AREAS:
            for key, message in messages.catalogue(language, area).items():
                yield language, area, key, message


def asked_for() -> Iterator[tuple[str, str]]:
    """Where in the app, and which key as a pattern: what an f-string fills in may be anything, and a key may be a beginning."""
    for path in sorted(APP.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[a-z_]+(\.\w+)+", node.value):
                yield path.name, re.escape(node.value) + r"(\..+)?"
            if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                parts = [re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in node.values]
                yield path.name, "".join(parts)


def full_key(node: ast.AST) -> str | None:
    """The key of a call such as t("area.name"), that of a form where it has a count; None for anything else."""
    if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
        return None
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", None)
    key = str(node.args[0].value)
    if name not in FINDERS or "." not in key:
        return None
    return f"{key}.other" if has_count(node) else key


def has_count(call: ast.Call) -> bool:
    return any(keyword.arg == "count" for keyword in call.keywords)


def test_every_text_that_the_app_asks_for_by_its_full_key_exists() -> None:
    known = {f"{area}.{key}" for _, area, key, _ in every_message()}
    missing = []
    for path in sorted(APP.rglob("*.py")):
        keys = (full_key(node) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        missing += [f"{path.name}: {key}" for key in keys if key is not None and key not in known]
    assert missing == []


def keys_in(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """The places of a tree that may be a key, or the pattern of one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node, re.escape(node.value)
        if isinstance(node, ast.JoinedStr):
            yield node, "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in node.values)


def test_a_text_by_number_is_asked_for_with_a_count_and_no_other_text_is() -> None:
    named = {f"{area}.{name}" for area in AREAS for name in by_number("en", area)}
    others = {f"{area}.{name}" for _, area, name, _ in every_message()} - {f"{name}.{one}" for name in named for one in FORMS}
    wrong, asked = [], set[str]()
    for path in sorted(APP.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args and has_count(node)]
        counted = {place for call in calls for place, _ in keys_in(call.args[0])}
        for place, pattern in keys_in(tree):
            is_a_key = re.match(r"[a-z_]+\\\.", pattern) is not None
            found = {name for name in named if is_a_key and re.fullmatch(pattern, name)}
            asked |= found
            wrong += [f"{path.name}: {name} without a count" for name in found if place not in counted]
            if place in counted and is_a_key:
                wrong += [f"{path.name}: {name} has no forms" for name in others if re.fullmatch(pattern, name)]
    assert wrong == []
    assert asked == named  # in words that this test can read: the key in full, or a group of its own


def test_no_place_asks_for_just_any_text_of_a_catalogue() -> None:
    """Such a place would make the test below say nothing about its catalogue: the key in full, or a group of its own."""
    whole_areas = [f"{place}: {pattern}" for place, pattern in asked_for() if re.fullmatch(r"[a-z_]+\\\.(\.\+)+", pattern)]
    assert whole_areas == []


def test_no_text_stands_in_the_catalogues_for_nothing() -> None:
    patterns = [re.compile(pattern) for pattern in {pattern for _, pattern in asked_for()}]
    keys = {f"{area}.{key}" for _, area, key, _ in every_message()}
    unused = sorted(key for key in keys if not any(pattern.fullmatch(key) for pattern in patterns))
    assert unused == []


def test_a_missing_key_or_language_is_an_error_that_names_both() -> None:
    for key, language in (("common.nothing_of_that_name", "en"), ("nowhere.at_all", "en"), ("common.csv", "de")):
        with pytest.raises(messages.MissingMessageError, match=f"{key} in {language}"):
            messages.text(key, language)


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", {0: "0 doubtful rows", 1: "1 doubtful row", 2: "2 doubtful rows", 1_000_000: "1000000 doubtful rows"}),
        ("fr", {0: "0 ligne douteuse", 1: "1 ligne douteuse", 2: "2 lignes douteuses", 1_000_000: "1000000 lignes douteuses"}),
    ],
)
def test_a_text_by_number_takes_the_form_of_its_count(language: str, told: dict[int, str]) -> None:
    assert {number: messages.text("common.problems", language, count=number, rows=number) for number in told} == told


def test_a_text_by_number_without_a_count_and_a_count_for_a_text_without_forms_are_errors() -> None:
    with pytest.raises(messages.MissingMessageError, match=r"common\.problems in en"):
        messages.text("common.problems", "en", rows="1")
    with pytest.raises(messages.MissingMessageError, match=r"common\.as_of in en"):
        messages.text("common.as_of", "en", count=1, day="15 May 2019")


def test_values_are_filled_in() -> None:
    assert messages.text("common.as_of", "en", day="15 May 2019") == "data to 15 May 2019"


class Surroundings:
    """What Streamlit knows of a reader."""

    def __init__(self, *, switch: str | None = None, url: str | None = None, browser: str | None = None) -> None:
        self.session_state = {"lang": switch} if switch else {}
        self.query_params = {"lang": url} if url else {}
        self.context = type("Context", (), {"locale": browser})()


@pytest.mark.parametrize(
    ("surroundings", "expected"),
    [
        (Surroundings(switch="fr", url="en", browser="en-GB"), "fr"),
        (Surroundings(url="fr", browser="en-GB"), "fr"),
        (Surroundings(browser="fr-CA"), "fr"),
        (Surroundings(browser="de-DE"), "en"),
        (Surroundings(url="klingon", browser="fr"), "fr"),
        (Surroundings(), "en"),
    ],
)
def test_the_language_comes_from_the_switch_then_the_url_then_the_browser(
    surroundings: Surroundings, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "st", surroundings)
    assert messages.language() == expected


def test_within_a_drawing_the_language_stays_until_the_switch_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = ["fr"]
    monkeypatch.setattr(messages, "_switched", lambda: asked[0])
    with messages.one_language():
        asked[0] = "en"
        assert messages.language() == "fr"
        with messages.one_language():  # a part within it
            assert messages.language() == "fr"
        assert messages.language() == "fr"
        messages.look_again()
        assert messages.language() == "en"
    asked[0] = "fr"
    assert messages.language() == "fr"
    messages.look_again()
    asked[0] = "en"
    assert messages.language() == "en"  # outside a drawing nothing is kept
