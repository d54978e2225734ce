"""The audit log can be added to and read, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from page_kit import HARMLESS, HOSTILE, whole
from postgres_kit import PostgreSQL, plain_engine
from sqlalchemy import Executable, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from pipeline.clock import FixedClock
from pipeline.runs import migrations, schema
from pipeline.runs.records import AuditRow
from pipeline.runs.schema import audit
from pipeline.runs.store import RunStore
from pipeline.runs.trail import Acts
from streamlit_app import auth, data
from streamlit_app.auth import Role, User

MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
OPENED = {"sqlite": ("audit_refuses_update", "audit_refuses_delete"), "postgresql": ("audit_refuses on audit",)}


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(MONDAY)


@pytest.fixture
def store(run_store_url: str, clock: FixedClock) -> Iterator[RunStore]:
    """A store with three acts, a day apart."""
    opened = RunStore.open(run_store_url, clock=clock)
    for day, (who, action) in enumerate((("ada", "run_now"), ("max", "export"), ("ada", "export"))):
        opened.audit(who, action, f"thing {day}", before={"day": day}, after={"day": day + 1})
        clock.sleep(24 * 3600)
    yield opened
    opened.close()


@pytest.mark.parametrize("change", [update(audit).values(who="eve"), delete(audit), delete(audit).where(audit.c.id == 1)])
def test_the_database_itself_refuses_to_change_or_remove_an_act(store: RunStore, run_store_url: str, change: Executable) -> None:
    before = every_act(store)
    refused(change, run_store_url)
    assert every_act(store) == before


def test_postgresql_refuses_to_empty_the_log_at_one_stroke(postgresql: PostgreSQL, clock: FixedClock) -> None:
    url = postgresql.url()
    store = RunStore.open(url, clock=clock)
    store.audit("ada", "run_now", "full run")
    refused(text("truncate audit"), url)
    assert len(every_act(store)) == 1
    store.close()


def every_act(store: RunStore) -> list[AuditRow]:
    return store.acts(Acts(), limit=10)


def refused(change: Executable, url: str) -> None:
    """The database does not do it for somebody who comes past the product."""
    engine = plain_engine(url)
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(change)
    engine.dispose()


def test_an_older_store_is_closed_too_and_keeps_its_acts(run_store_url: str, clock: FixedClock) -> None:
    engine = plain_engine(run_store_url)
    with engine.begin() as connection:
        schema.METADATA.create_all(connection)
        connection.execute(insert(schema.migrations).values(number=1, applied_at=MONDAY))
        for trigger in OPENED[connection.dialect.name]:
            connection.execute(text(f"drop trigger {trigger}"))
        connection.execute(text("drop table sign_ins"))
        connection.execute(insert(audit).values(at=MONDAY, who="ada", action="run_now", what="full run"))
    store = RunStore.open(run_store_url, clock=clock)
    assert [row.who for row in every_act(store)] == ["ada"]
    assert store.begin_session("a", "ada")
    refused(delete(audit), run_store_url)
    with engine.begin() as connection:
        assert max(connection.execute(select(schema.migrations.c.number)).scalars()) == migrations.LATEST
    engine.dispose()
    store.close()


def test_acts_are_found_by_person_act_and_days(store: RunStore) -> None:
    def found(**asked: object) -> list[str]:
        return [row.what for row in store.acts(Acts(**asked), limit=10)]  # type: ignore[arg-type]

    assert found() == ["thing 2", "thing 1", "thing 0"]
    assert found(who="ada") == ["thing 2", "thing 0"]
    assert found(action="export", who="max") == ["thing 1"]
    assert found(since=MONDAY + timedelta(days=1), until=MONDAY + timedelta(days=2)) == ["thing 1"]
    assert store.actors() == ["ada", "max"]
    assert store.kinds_of_acts() == ["export", "run_now"]
    assert [row.what for row in store.acts(Acts(), limit=1)] == ["thing 2"]


def test_the_page_shows_filters_and_texts_that_stay_texts(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "run_store", lambda: store)
    monkeypatch.setattr(auth, "current_user", lambda: User("ada", Role.ADMIN))
    store.audit("eve", "export", HOSTILE, after={"filters": {"search": HOSTILE}, "rows": 3})
    page = whole("ops_audit")
    (shown,) = page.table
    assert list(shown.value.columns) == ["When", "Act"]
    assert [cell.partition(" · ")[0] for cell in shown.value["Act"]] == ["eve", "ada", "max", "ada"]
    assert shown.value["When"][1] == "25\u00a0Nov\u00a02026  \n09:00:00"
    assert shown.value["Act"][0] == f"eve · **downloaded** · {HARMLESS}  \nAfter: filters (search {HARMLESS}) · rows 3"
    assert shown.value["Act"][1] == "ada · **downloaded** · `thing 2`  \nBefore: day 2  \nAfter: day 3"
    narrowed = page.selectbox(key="who").set_value("max").run()
    assert [cell.splitlines()[0] for cell in narrowed.table[0].value["Act"]] == ["max · **downloaded** · `thing 1`  "]
    assert narrowed.query_params["who"] == "max"


@pytest.mark.parametrize(
    ("language", "told"),
    [
        (
            "en",
            "addresses `ada@bank.example`, `bob@bank.example` · countries – · switched on yes · threshold 0.0375 · value 1,100"
            " · Plan `METAL` · Created 3 · some thing `new` · A Tier `premium` · A against A set of its own"
            " · B Country `FR`, `ES` · frequency Each week · split by Plan · a customer counts as gone `yesterday`",
        ),
        (
            "fr",
            "adresses `ada@bank.example`, `bob@bank.example` · pays – · actif oui · seuil 0,0375 · valeur 1\u202f100"
            " · Offre `METAL` · Créées 3 · some thing `new` · A Gamme `premium` · A face à Un autre groupe · B Pays `FR`, `ES`"
            " · fréquence Chaque semaine · ventilé par Offre · un client compte comme parti `yesterday`",
        ),
    ],
)
def test_what_was_noted_down_is_told_in_the_readers_words(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, language: str, told: str
) -> None:
    monkeypatch.setattr(data, "run_store", lambda: store)
    monkeypatch.setattr(auth, "current_user", lambda: User("ada", Role.ADMIN))
    noted = {"addresses": ["ada@bank.example", "bob@bank.example"], "countries": [], "enabled": True, "threshold": 0.0375}
    noted |= {"value": 1100.0, "plan": "METAL", "created": 3, "some_thing": "new", "window": None}
    noted |= {"a_plan_tier": "premium", "against": "set", "b_country": ["FR", "ES"]}
    noted |= {"frequency": "weekly", "by": "plan", "clock": "yesterday"}  # of which there is no name
    store.audit("eve", "set_target", "target", after=noted)
    cell = whole("ops_audit", lang=language).table[0].value.iloc[0, 1]
    assert cell.splitlines()[1].partition(told[:3])[1:] == (told[:3], told[3:])
