"""The right to schedule, which one front end of a store has at a time: a row with holder, token and end. Used by leadership.py.

The token grows with each holder, and every write of a scheduler says it in its WHERE (schema.UPDATE_JOB): what comes from a
front end that held the lease before is refused, however late it comes. Time is the database's own.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, Integer, bindparam, case, or_, select, update
from sqlalchemy.ext.compiler import compiles

from gradwire.services.connections import transaction
from gradwire.services.schema import SCHEDULER, WIDE, leases


class NowUs(ColumnElement[int]):
    """The database's clock: microseconds since 1970."""

    inherit_cache = True
    type = WIDE


@compiles(NowUs, "sqlite")
def _now_of_host(element: NowUs, compiler: Any, **options: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)"


@compiles(NowUs, "postgresql")
def _now_of_server(element: NowUs, compiler: Any, **options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"


_MINE = (leases.c.name == SCHEDULER, leases.c.token == bindparam("mine", type_=WIDE))
_TTL = bindparam("ttl_us", type_=WIDE)
_TAKE = (
    update(leases)
    .where(
        leases.c.name == SCHEDULER,
        or_(
            leases.c.expires_us <= NowUs(),
            leases.c.holder == bindparam("dead"),
            bindparam("alone", type_=Integer) == 1,
        ),
    )
    .values(
        holder=bindparam("new_holder"),
        address=bindparam("new_address"),
        token=leases.c.token + 1,
        expires_us=NowUs() + _TTL,
    )
    .returning(leases.c.token)
)
_RENEW = update(leases).where(*_MINE).values(expires_us=NowUs() + _TTL)
_RELEASE = update(leases).where(*_MINE).values(holder="", address="", expires_us=0)
_LOOK = select(
    leases.c.holder,
    leases.c.address,
    leases.c.token,
    case((leases.c.expires_us > NowUs(), 1), else_=0).label("holds"),
).where(leases.c.name == SCHEDULER)


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Who schedules, and where it answers."""

    holder: str
    address: str
    token: int


class Lease:
    """The scheduler's lease as one front end sees it."""

    def __init__(self, engine: Engine, holder: str, address: str, ttl_s: float) -> None:
        """`holder` names this process among all that ever were."""
        self._engine, self._holder, self._address, self._ttl_us = engine, holder, address, round(ttl_s * 1e6)

    def take(self, dead: str = "", alone: bool = False) -> int | None:
        """The token of a lease that is this front end's now; None where another one holds it.

        `dead`: a holder that is known to be gone, whose end need not be awaited. `alone`: nobody else can hold it.
        """
        # Not by a statement of its own: within a turn of writing, whatever an earlier holder wrote is either committed before
        # this or refused after it.
        with transaction(self._engine) as connection:
            connection.exec_driver_sql(
                f"INSERT INTO leases (name, holder, address, token, expires_us) VALUES ('{SCHEDULER}', '', '', 0, 0) "
                "ON CONFLICT (name) DO NOTHING"
            )
            values = {"dead": dead or "\x01", "alone": int(alone), "ttl_us": self._ttl_us}
            values |= {"new_holder": self._holder, "new_address": self._address}
            return connection.execute(_TAKE, values).scalar()

    def renew(self, token: int) -> bool:
        """Holds the lease for its time from now on; False where another front end has it."""
        with self._engine.connect() as connection:
            return connection.execute(_RENEW, {"mine": token, "ttl_us": self._ttl_us}).rowcount == 1

    def release(self, token: int) -> None:
        """Lets it go, where it is still held."""
        with self._engine.connect() as connection:
            connection.execute(_RELEASE, {"mine": token})


def lease_holder(engine: Engine) -> LeaseHolder | None:
    """Who schedules now; None where nobody does."""
    with engine.connect() as connection:
        row = connection.execute(_LOOK).first()
    return LeaseHolder(row.holder, row.address, row.token) if row is not None and row.holds else None
