"""Accounts of owners: who sees and changes them, over the service and in its home; storage quotas; the policy file."""

import doctest
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from people import People
from serving_harness import code, run_cli
from waiting import wait_until

from gradwire.services import policy_file
from gradwire.services.accounts import AccountChange, Accounts, charge
from gradwire.services.client import Client
from gradwire.services.connections import Where
from gradwire.services.errors import ForbiddenError, InvalidRequestError, StorageQuotaError
from gradwire.services.policy_file import PolicyError, read_policy
from gradwire.services.scheduling import Account, Policy, Quota
from gradwire.services.security.callers import LOCAL
from gradwire.services.service import Service
from gradwire.services.states import JobState
from gradwire.services.store import StaleLeaseError, Store


@pytest.fixture
def people(guarded: Service) -> Iterator[People]:
    known = People(guarded)
    yield known
    known.close()


def test_everyone_sees_their_own_account_and_admins_change_all(people: People) -> None:
    mine = people.ann.account()
    assert (mine.owner, mine.weight, mine.quota, mine.jobs) == ("ann", 1.0, Quota(), 0)
    job = people.ann.submit(code(), workers=3, overrides={"steps": "2", "hold_at": "1"})
    wait_until(lambda: people.ann.account().cpus == 3)
    assert people.ann.account().jobs == 1
    wait_until(lambda: people.ann.account().recent_share > 0)
    changed = people.root.update_account("ann", weight=2.5, quota=Quota(gpus=4, storage_bytes=10**12))
    assert (changed.weight, changed.quota) == (2.5, Quota(gpus=4, storage_bytes=10**12))
    # What is not named stays, and a quota comes whole.
    assert people.root.update_account("ann", quota=Quota(jobs=7)).weight == 2.5
    assert people.ann.account().quota == Quota(jobs=7)
    assert [each.owner for each in people.ann.accounts()] == ["ann"]
    assert [each.owner for each in people.root.accounts()] == ["ann"]
    people.bob.submit(code()).wait()
    assert [each.owner for each in people.root.accounts()] == ["ann", "bob"]
    for call in (
        lambda: people.ann.account("bob"),
        lambda: people.ann.update_account("ann", weight=9.0),
        lambda: people.bob.update_account("ann", quota=Quota()),
    ):
        with pytest.raises(ForbiddenError):
            call()
    assert people.root.account("ann").weight == 2.5
    job.cancel()


def test_wrong_changes_are_named_all_at_once(people: People) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        people.root.update_account("No Name", weight=-1.0, quota=Quota(gpus=-1, storage_bytes=-5))
    assert [v.field for v in caught.value.violations] == [
        "owner",
        "weight",
        "quota.gpus",
        "quota.storage_bytes",
    ]
    with pytest.raises(InvalidRequestError, match="something to change"):
        people.root.update_account("ann")
    with pytest.raises(InvalidRequestError, match="finite"):
        people.root.update_account("ann", weight=float("nan"))


def test_a_full_store_takes_no_new_jobs_of_its_owner(people: People) -> None:
    job = people.ann.submit(code())
    job.wait()
    wait_until(lambda: people.ann.account().stored_bytes > 1000)
    stored = people.ann.account().stored_bytes
    people.root.update_account("ann", quota=Quota(storage_bytes=stored - 1))

    def refused() -> bool:
        try:
            people.ann.submit(code()).cancel()
        except StorageQuotaError as error:
            assert f"owner ann may have {stored - 1} stored bytes, and has {stored}:" in error.message
            return True
        return False

    # Accounts are looked at every few seconds.
    wait_until(refused)
    assert people.bob.submit(code()).wait().state == JobState.SUCCEEDED


def test_accounts_are_kept_and_charged_in_the_store(where: Where) -> None:
    store = Store(where)
    accounts = Accounts(store.engine)
    accounts.change("ann", AccountChange(weight=2.0, quota=Quota(gpus=3)), LOCAL)
    store.write_leading(lambda connection: charge(connection, {"ann": 0.25, "bob": 0.5}, 1000.0)).result()
    rows = accounts.rows()
    assert rows["ann"] == Account(2.0, Quota(gpus=3), 0.25, 1000.0)
    assert rows["bob"] == Account(1.0, Quota(), 0.5, 1000.0)
    assert accounts.change("ann", AccountChange(quota=Quota()), LOCAL) == Account(2.0, Quota(), 0.25, 1000.0)
    assert accounts.owners() == ["ann", "bob"]
    # Whoever lost the lease of the scheduler charges nobody.
    with pytest.raises(StaleLeaseError):
        store.under(7).write_leading(lambda connection: charge(connection, {"bob": 1.0}, 2000.0)).result()
    assert accounts.rows()["bob"].usage == 0.5
    store.close()


def test_the_command_line_shows_accounts_and_changes_them_in_a_home(client: Client, tmp_path: Path) -> None:
    job = client.submit(code(), workers=4, overrides={"steps": "2", "hold_at": "1"})
    home = str(tmp_path / "home")
    bad = run_cli("account", "set", "local", "--cpus", "many", "--home", home)
    assert bad.returncode == 2
    assert "expected a number, 0 or more, or none, not 'many'" in " ".join(bad.stderr.split())
    # Without tokens nobody is an administrator over the service.
    refused = run_cli("account", "set", "local", "--cpus", "4", "--address", client.address)
    assert refused.returncode != 0
    assert "admin" in refused.stderr
    done = run_cli("account", "set", "local", "--cpus", "4", "--storage", "2G", "--home", home)
    assert done.returncode == 0, done.stderr
    second = client.submit(code(), overrides={"steps": "1"})
    wait_until(lambda: second.explain().code == "QUOTA")
    shown = run_cli("account", "show", "--json", "--address", client.address)
    fields = json.loads(shown.stdout)
    assert (fields["owner"], fields["cpus"]) == ("local", 4)
    assert fields["quota"] == {"gpus": None, "cpus": 4, "jobs": None, "storage_bytes": 2 * 10**9}
    listed = run_cli("account", "list", "--address", client.address)
    assert "4 of 4" in listed.stdout
    run_cli("account", "set", "local", "--cpus", "none", "--home", home)
    assert second.wait().state == JobState.SUCCEEDED
    with sqlite3.connect(tmp_path / "home" / "jobs.db") as connection:
        noted = connection.execute("SELECT count(*) FROM audit WHERE action = 'UpdateAccount'").fetchone()
    connection.close()
    assert noted == (2,)
    job.cancel()


def test_a_policy_file_sets_the_scheduler_and_wrong_settings_are_named_all(tmp_path: Path) -> None:
    assert doctest.testmod(policy_file).failed == 0
    file = tmp_path / "policy.toml"
    file.write_text("preempt_after_s = 5\nbackfill = false\n")
    assert read_policy(file) == Policy(preempt_after_s=5.0, backfill=False)
    file.write_text("aging_s = 0\nhalf_life_s = 'long'\npreempt = 1\nspeed = 3\n")
    with pytest.raises(PolicyError) as caught:
        read_policy(file)
    for words in (
        "aging_s must be positive, got 0.0",
        "half_life_s: expected a number of seconds, not 'long'",
        "preempt: expected true or false, not 1",
        "speed is no setting (those are aging_s,",
    ):
        assert words in str(caught.value)
    file.write_text("aging_s = = 1")
    with pytest.raises(PolicyError, match="is no TOML"):
        read_policy(file)
    with pytest.raises(PolicyError, match="can't be read"):
        read_policy(tmp_path / "nowhere.toml")
    said = run_cli("serve", "--home", str(tmp_path / "home"), "--policy", str(file))
    assert said.returncode == 2
    assert "is no TOML" in " ".join(said.stderr.split())
