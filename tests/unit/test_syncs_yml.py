"""syncs.yml: what can be said in it, and how a mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import written_yaml
from pipeline.errors import ConfigurationError
from pipeline.reverse_etl.registry import read_syncs
from pipeline.reverse_etl.syncs import Destination, Field, Guards, Sync


def test_the_shipped_syncs_are_guarded_mirrors_with_an_owner() -> None:
    syncs = {sync.name: sync for sync in read_syncs()}
    assert {name: (sync.source, sync.key, sync.mode, sync.may_be_empty) for name, sync in syncs.items()} == {
        "customer_status": ("sync_customer_status", "user_id", "mirror", False),
        "lapsed_customers": ("sync_lapsed_customers", "user_id", "mirror", True),
        "early_warnings": ("sync_early_warnings", "user_id", "mirror", True),
    }
    assert [sync.guards.max_delete_percent for sync in syncs.values()] == [20, 100, 100]
    assert all(sync.owner and sync.description for sync in syncs.values())


def read(tmp_path: Path, text: str) -> tuple[Sync, ...]:
    path = tmp_path / "syncs.yml"
    path.write_text(text)
    return read_syncs(path)


def test_an_entry_may_change_what_it_takes_over_from_another(tmp_path: Path) -> None:
    path = tmp_path / "syncs.yml"
    path.write_text("guards: {<<: &all {<<: &some {creates: 1, deletes: 1}, deletes: 2}, creates: 3}\nothers: *all\n")
    assert written_yaml.read(path) == {"guards": {"creates": 3, "deletes": 2}, "others": {"creates": 1, "deletes": 2}}


def test_every_entry_has_its_meaning(tmp_path: Path) -> None:
    text = """
    syncs:
      winback:
        sheet_tab: Do not contact
        key: customer
        upsert: {address: "https://api.crm.example/objects/contacts/batch/upsert", batch_rows: 50, token: crm}
        mode: upsert
        owner: marketing
        description: who is not to be called
        may_be_empty: true
        guards: {max_deletes: 10, max_delete_percent: 2.5, max_creates: 1000}
        fields:
          id: customer
          reason: {column: why}
          source: {constant: neopulse}
          flag: {constant: true}
          told_on: {run: as_of}
    """
    assert read(tmp_path, text) == (
        Sync(
            name="winback",
            source="Do not contact",
            from_tab=True,
            key="customer",
            destination=Destination("upsert", "https://api.crm.example/objects/contacts/batch/upsert", 50, "crm"),
            mode="upsert",
            owner="marketing",
            description="who is not to be called",
            may_be_empty=True,
            guards=Guards(10, 2.5, 1000),
            fields=(
                Field("id", column="customer"),
                Field("reason", column="why"),
                Field("source", constant="neopulse"),
                Field("flag", constant=True),
                Field("told_on", run="as_of"),
            ),
        ),
    )


def test_a_sync_that_sets_no_guard_may_delete_half(tmp_path: Path) -> None:
    [sync] = read(tmp_path, f"syncs: {{a: {GOOD}}}")
    assert sync.guards == Guards(max_delete_percent=50)


@pytest.mark.parametrize(
    ("destination", "modes"),
    [
        ("tab: A", "mirror upsert update_only create_only append replace"),
        ("csv: a.csv", "mirror upsert update_only create_only append replace"),
        ("http: http://127.0.0.1:9/rows", "mirror upsert update_only create_only append"),
        ("upsert: https://crm.example/upsert", "upsert"),
    ],
)
def test_a_destination_has_the_modes_that_it_can_do(tmp_path: Path, destination: str, modes: str) -> None:
    for mode in ["mirror", "upsert", "update_only", "create_only", "append", "replace"]:
        text = f"syncs: {{a: {GOOD.replace('tab: A', destination).replace('mirror', mode)}}}"
        if mode in modes.split():
            assert read(tmp_path, text)[0].mode == mode
        else:
            with pytest.raises(ConfigurationError, match=f"a has the mode {mode}, which a destination .* cannot do"):
                read(tmp_path, text)


GOOD = "{mart: sync_a, key: id, tab: A, mode: mirror, owner: o, description: d}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "cannot be read"),
        ("syncs: [", "cannot be read"),
        (f"syncs: {{a: {GOOD.replace('key: id', 'keys: id')}}}", "a has the entry keys, which means nothing"),
        (f"syncs: {{a: {GOOD.replace('owner: o, ', '')}}}", "a lacks the entry owner"),
        (f"syncs: {{a: {GOOD.replace('mirror', 'merge')}}}", "a has the mode merge; known are mirror, upsert"),
        (f"syncs: {{a: {GOOD.replace('mart: sync_a, ', '')}}}", "a lacks the entry mart or sheet_tab"),
        (f"syncs: {{a: {GOOD.replace('tab: A', 'tab: A, csv: a.csv')}}}", "a has tab and csv, of which there can be one"),
        (f"syncs: {{a: {GOOD.replace('tab: A', 'csv: ../a.csv')}}}", "a csv that is no plain file name"),
        (f"syncs: {{a: {GOOD.replace('tab: A', 'http: ftp://crm')}}}", "a has an entry http.address that is no address"),
        (f"syncs: {{a: {GOOD.replace('tab: A', 'http: http://crm.example/')}}}", "has to be https:// beyond this machine"),
        (f"syncs: {{a: {GOOD.replace('tab: A', 'http: https://u:p@crm.example/')}}}", "has a password in http.address"),
        (f"syncs: {{a: {GOOD.replace('tab: A', 'http: {address: https://c.example, rows: 5}')}}}", "the entry http.rows, which"),
        (f"syncs: {{a: {GOOD.replace('tab: A', 'http: {address: https://c.example, batch_rows: 0}')}}}", "http.batch_rows that"),
        (f"syncs: {{a: {GOOD.replace('owner', 'guards: {max_delete: 5}, owner')}}}", "the entry guards.max_delete, which means"),
        (f"syncs: {{a: {GOOD.replace('owner', 'guards: {max_deletes: many}, owner')}}}", "guards.max_deletes that is no whole"),
        (f"syncs: {{a: {GOOD.replace('owner', 'guards: {max_delete_percent: 101}, owner')}}}", "is no number from 0 to 100: 101"),
        (f"syncs: {{a: {GOOD.replace('owner', 'fields: {name: who}, owner')}}}", "a sends no field from its key id"),
        (f"syncs: {{a: {GOOD.replace('owner', 'fields: {id: id, n: {run: weather}}, owner')}}}", "with the run's weather; known"),
        (f"syncs: {{a: {GOOD.replace('owner', 'fields: {id: id, n: {table: x}}, owner')}}}", "a has the entry fields.n.table"),
        (f"syncs: {{a: {GOOD.replace('owner', 'fields: {id: id, n: 5}, owner')}}}", "fields.n that is neither a column nor one"),
        (f"syncs: {{a: {GOOD.replace('mart: sync_a', 'sheet_tab: T')}}}", "reads a sheet_tab and needs fields"),
        (f"syncs: {{A-B: {GOOD}}}", "A-B is not a name for a sync"),
        ("syncs: {a: 5}", "a has no entries"),
        (f"syncs: {{a: {GOOD.replace('description: d', 'description: 5')}}}", "an entry description that is no text"),
        (f"syncs: {{a: {GOOD.replace('owner', 'may_be_empty: perhaps, owner')}}}", "neither true nor false"),
        (f"syncs: {{a: {GOOD.replace('tab: A', 'tab: A/B')}}}", "a tab name that a workbook cannot have: A/B"),
        (f"syncs: {{a: {GOOD}, a: {GOOD.replace('tab: A', 'tab: B')}}}", "a stands there twice, on line 1"),
        (f"syncs: {{a: {GOOD.replace('owner: o', 'owner: o, owner: p')}}}", "owner stands there twice"),
        (f"syncs: {{a: {GOOD}, b: {GOOD}}}", "a and b have the same destination, tab A"),
    ],
)
def test_a_faulty_list_of_syncs_names_the_entry_to_mend(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "syncs.yml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"syncs\.yml") as caught:
        read_syncs(path)
    assert told in str(caught.value)
