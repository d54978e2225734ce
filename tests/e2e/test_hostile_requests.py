"""What a signed-in viewer gets who speaks to the app without a browser: no customer, no file, no act, whatever is asked for."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import builds
import chain
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import free_port, process
from pages_bank import LAST_DAY
from playwright.sync_api import BrowserContext
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from test_sign_in import COOKIE, ROLES, SigningBank, provider, sign_in

from benchmarks import sessions
from pipeline.marts import reader
from pipeline.runs.records import Doing
from pipeline.sources.demo import generate
from pipeline.warehouse.publication import Publications

__all__ = ["provider"]  # the fixture

FIRST_ID = 7_000_000
AN_ID = re.compile(rb"7000\d{3}")
A_HASH = re.compile(rb"\x20(?=\d*[a-f])[0-9a-f]{32}")  # of a part of a page: in it, too, digits may stand like these
VIEWS = sorted(path.stem for path in (Path(sessions.PROJECT) / "streamlit_app" / "views").glob("*.py"))
PAGES = ["", *(view for view in VIEWS if view not in ("__init__", "overview"))]
QUERIES = [
    "",
    f"customer={FIRST_ID + 1}",
    f"search={FIRST_ID + 1}&q={FIRST_ID + 1}",
    "by=country&country=FR&plan=METAL&os=Apple&age_band=65%2B",
    "section=rules&metric=silence_risk&by=silence_band",
    "country=%27%20or%201%3D1%20--&window=7",
    "window=180&grain=week&kind=unbounded&cohort=signup&compare=v0001",
    "role=admin&user=ada%40bank.example&as=ada%40bank.example",
]
PATHS = ["/run_store.db", "/media/../run_store.db", "/media/0123456789abcdef", "/app/static/../../versions/current"]
PATHS += ["/static/..%2f..%2frun_store.db", "/versions/current", "/_stcore/metrics", "/logs/run-1.log", "/.env"]

pytestmark = pytest.mark.proof


class HostileSession(sessions.Session):
    """A tab that keeps whatever the app sends it, byte by byte."""

    def ask(self, page: str, query: str, *, pressed: str = "") -> bytes:
        asked = BackMsg()
        asked.rerun_script.query_string = query
        asked.rerun_script.page_name = page
        if pressed:
            state = asked.rerun_script.widget_states.widgets.add()
            state.id, state.trigger_value = pressed, True
        self._connection.send(asked.SerializeToString())
        told = b""
        while True:
            message = self._next()
            told += message.SerializeToString()
            ended = message.WhichOneof("type") == "script_finished"
            if ended and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                return told


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo bank whose customers have numbers that stand nowhere else."""
    folder = tmp_path_factory.mktemp("raw")
    generate(folder, transactions=8_000, seed=7)
    for path in folder.rglob("*.parquet"):
        table = pq.read_table(path)
        for name in {"user_id", "string_field_1"} & set(table.column_names):
            moved = pa.array([_moved(number) for number in table[name].to_pylist()])
            table = table.set_column(table.column_names.index(name), name, moved)
        pq.write_table(table, path)
    return folder


def _moved(number: str) -> str:
    """A customer's number, moved; one row of the bank's files is a heading and stays."""
    return f"user_{FIRST_ID + int(number[5:])}" if number[5:].isdigit() else number


@pytest.fixture(scope="module")
def bank(provider: str, raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningBank]:
    bank = SigningBank(tmp_path_factory.mktemp("home"), provider=provider, port=free_port())
    with builds.building(builds.direct):
        chain.publish(raw, bank.home, as_of=LAST_DAY)
    bank.give_roles({**ROLES, "countries": {"maria@bank.example": ["FR"]}, "managers": ["maria@bank.example"]})
    with process(bank, "app", port=bank.port):
        yield bank


def customers(bank: SigningBank, country: str | None = None) -> set[bytes]:
    version = Publications(bank.home, keep=5).current()
    assert version is not None
    rows = reader(version).relation("mart_customers").to_pylist()
    return {str(row["user_id"]).encode() for row in rows if country in (None, row["country"])}


def ids(told: bytes) -> set[bytes]:
    """What looks like a customer's number in what was sent."""
    return set(AN_ID.findall(A_HASH.sub(b"", told)))


def cookie_of(window: BrowserContext, bank: SigningBank, who: str) -> str:
    """The cookie of somebody who has signed in."""
    window.clear_cookies()
    with window.new_page() as page:
        sign_in(page, bank, who)
        page.get_by_role("button", name=who).wait_for()
        return "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in window.cookies())


def everything(bank: SigningBank, cookie: str) -> bytes:
    """What the app sends for every page with every query."""
    told = b""
    with sessions.tab(bank.port, host="localhost", cookie=cookie) as connection:
        session = HostileSession(connection)
        for page in PAGES:
            for query in QUERIES:
                told += session.ask(page, query)
    return told


def test_a_viewer_is_sent_no_customer_and_a_manager_of_one_country_none_of_another(
    window: BrowserContext, bank: SigningBank
) -> None:
    viewer = cookie_of(window, bank, "vera@bank.example")
    assert COOKIE in viewer
    assert all(AN_ID.fullmatch(number) for number in customers(bank))
    told = everything(bank, viewer)
    assert b"v0001" in told  # pages were drawn
    assert ids(told) - {str(FIRST_ID + 1).encode()} == set()  # but for the number that was asked for
    told = everything(bank, cookie_of(window, bank, "maria@bank.example"))
    seen = ids(told)
    assert seen & customers(bank, "FR")
    assert seen - {str(FIRST_ID + 1).encode()} <= customers(bank, "FR")


def test_a_viewer_who_sends_the_press_of_an_admins_button_does_nothing(window: BrowserContext, bank: SigningBank) -> None:
    admin, viewer = cookie_of(window, bank, "ada@bank.example"), cookie_of(window, bank, "vera@bank.example")
    with sessions.tab(bank.port, host="localhost", cookie=admin) as connection:
        buttons = set(re.findall(rb"\$\$ID-[0-9a-f]+-[a-z_0-9]+", HostileSession(connection).ask("ops_runs", "")))
    [run_now] = [button.decode() for button in buttons if button.endswith(b"-run_now")]
    bank.store.beat("worker-1", started_at=datetime.now(UTC), doing=Doing.WAITING)  # an admin's press would be served
    acts = bank.store.acts()
    with sessions.tab(bank.port, host="localhost", cookie=viewer) as connection:
        session = HostileSession(connection)
        for button in sorted(button for button in buttons if b"sign_out" not in button):  # that one is theirs, too
            for page in ("ops_runs", ""):
                session.ask(page, "", pressed=button.decode())
    assert bank.store.requests() == []
    assert bank.store.acts() == acts
    with sessions.tab(bank.port, host="localhost", cookie=cookie_of(window, bank, "ada@bank.example")) as connection:
        session = HostileSession(connection)
        bank.store.beat("worker-1", started_at=datetime.now(UTC), doing=Doing.WAITING)
        session.ask("ops_runs", "")
        session.ask("ops_runs", "", pressed=run_now)
    assert len(bank.store.requests()) == 1  # the same press, by whom it is for


@pytest.mark.parametrize("path", PATHS)
def test_no_address_hands_out_a_file(bank: SigningBank, path: str) -> None:
    connection = http.client.HTTPConnection("localhost", bank.port, timeout=10)
    connection.request("GET", path)  # as it is written: nothing folds the dots before they arrive
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    is_the_page = (answer.getheader("content-type") or "").startswith("text/html") and b"SQLite" not in content
    assert answer.status >= 300 or is_the_page or path == "/_stcore/metrics"
    assert not AN_ID.search(content)
