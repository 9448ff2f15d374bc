"""Owners' accounts in the job store: weight, quotas, what they used and store. Used by the runner, the front end and the command line.

Whoever has a job has an account; a row is there once it was changed or charged. Other processes may change rows while the service runs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, bindparam, func, insert, select, update

from gradwire.services.blobs.tables import blobs
from gradwire.services.connections import to_us, transaction
from gradwire.services.errors import StorageQuotaError
from gradwire.services.scheduling import Account, Quota
from gradwire.services.schema import accounts, jobs
from gradwire.services.security import audit
from gradwire.services.security.callers import Caller

_SELECT = select(accounts)
_STORED = select(jobs.c.owner, func.sum(jobs.c.stored_bytes)).group_by(jobs.c.owner)
_BLOBS = select(blobs.c.owner, func.sum(blobs.c.size)).group_by(blobs.c.owner)
_OWNERS = select(jobs.c.owner).distinct()
_UPDATE = (
    update(accounts)
    .where(accounts.c.owner == bindparam("which"))
    .values(
        {c.name: bindparam(c.name) for c in accounts.c if c.name not in ("owner", "usage", "usage_time_us")}
    )
)
_CHARGE = (
    update(accounts)
    .where(accounts.c.owner == bindparam("which"))
    .values(usage=bindparam("usage"), usage_time_us=bindparam("usage_time_us"))
)


@dataclass(frozen=True, slots=True)
class AccountChange:
    """What to change of an account; None stays. A quota comes whole: what it leaves open is no limit."""

    weight: float | None = None
    quota: Quota | None = None


class Accounts:
    """Reads and changes the accounts of a store. Times are seconds since 1970."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def rows(self) -> dict[str, Account]:
        """All accounts that were changed or charged, without what they store."""
        with self._engine.connect() as connection:
            return {
                row.owner: Account(
                    weight=row.weight,
                    quota=Quota(row.gpus, row.cpus, row.jobs, row.storage_bytes),
                    usage=row.usage,
                    usage_at=row.usage_time_us / 1e6,
                )
                for row in connection.execute(_SELECT).all()
            }

    def stored_bytes(self) -> dict[str, int]:
        """Bytes that each owner stores: of its jobs and its blobs."""
        stored: dict[str, int] = {}
        with self._engine.connect() as connection:
            for statement in (_STORED, _BLOBS):
                for owner, count in connection.execute(statement).all():
                    stored[owner] = stored.get(owner, 0) + int(count or 0)
        return stored

    def owners(self) -> list[str]:
        """Everyone who has a job or an account, by name."""
        with self._engine.connect() as connection:
            having = {row[0] for row in connection.execute(_OWNERS).all()}
            return sorted(having | {row.owner for row in connection.execute(_SELECT).all()})

    def change(self, owner: str, wanted: AccountChange, by: Caller) -> Account:
        """Changes an account, which is made where there is none, and returns it. What is so already is no change."""
        now = datetime.now(UTC)
        with transaction(self._engine) as connection:
            before = _known(connection, owner, now)
            account = replace(
                before,
                weight=before.weight if wanted.weight is None else wanted.weight,
                quota=before.quota if wanted.quota is None else wanted.quota,
            )
            if account == before:
                return account
            quota = account.quota
            values = {"which": owner, "weight": account.weight, "gpus": quota.gpus, "cpus": quota.cpus}
            connection.execute(_UPDATE, {**values, "jobs": quota.jobs, "storage_bytes": quota.storage_bytes})
            audit.note(connection, now, by, "UpdateAccount", owner)
        return account


def charge(connection: Connection, usages: Mapping[str, float], at: float) -> None:
    """Keeps what owners have used up to a time. Called by the scheduler alone, in a transaction that says that it is that."""
    now = datetime.fromtimestamp(at, UTC)
    for owner in sorted(usages):
        _known(connection, owner, now)
        connection.execute(_CHARGE, {"which": owner, "usage": usages[owner], "usage_time_us": to_us(now)})


def check_storage(connection: Connection, owner: str, more: int) -> None:
    """Raises StorageQuotaError where an owner may not store so many bytes more."""
    row = connection.execute(_SELECT.where(accounts.c.owner == owner)).first()
    if row is None or row.storage_bytes is None:
        return
    stored = 0
    for statement, column in ((_STORED, jobs.c.owner), (_BLOBS, blobs.c.owner)):
        stored += sum(int(count or 0) for _, count in connection.execute(statement.where(column == owner)))
    if stored + more > row.storage_bytes:
        raise StorageQuotaError(
            f"{owner} stores {stored} bytes and may store {row.storage_bytes}: there is no room for {more} more; "
            "delete blobs or jobs, or ask for a larger quota",
            {"owner": owner, "stored": str(stored), "quota": str(row.storage_bytes), "more": str(more)},
        )


def _known(connection: Connection, owner: str, now: datetime) -> Account:
    row = connection.execute(_SELECT.where(accounts.c.owner == owner)).first()
    if row is None:
        values = {"owner": owner, "weight": 1.0, "usage": 0.0, "usage_time_us": to_us(now)}
        connection.execute(insert(accounts), values)
        return Account(usage_at=now.timestamp())
    quota = Quota(row.gpus, row.cpus, row.jobs, row.storage_bytes)
    return Account(row.weight, quota, row.usage, row.usage_time_us / 1e6)


def limits_storage(found: Iterable[Account]) -> bool:
    """True where any of these has a quota of storage."""
    return any(account.quota.storage_bytes is not None for account in found)
