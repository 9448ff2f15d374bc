"""Removes for good what is left of deleted jobs whose time is over: folder, events, request ids, row. Run by service.py.

The order makes it safe to be killed anywhere: first the row says that the job is going (nobody sees it from then on, and
no clock brings it back), then the folder goes, then the events in parts, the row last. What was not finished is found
by its row the next time.
"""

import logging
import shutil
import threading
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, Table, bindparam, delete, exists, select, update

from gradwire.services import schema
from gradwire.services.connections import to_us
from gradwire.services.errors import ServiceError
from gradwire.services.home import Home
from gradwire.services.kill_points import reach
from gradwire.services.security import audit
from gradwire.services.security.callers import LOCAL
from gradwire.services.store import Store
from gradwire.services.writer import StoreClosedError

log = logging.getLogger(__name__)
SWEEP_S = 60.0
EVENTS_AT_ONCE = 2000
"""Rows of one change: other changes wait for no more than these, some 10 ms."""
JOBS_AT_ONCE = 100

_jobs, _events = schema.jobs.c, schema.events.c
_EXPIRED = (
    select(_jobs.id)
    .where(_jobs.expire_time_us <= bindparam("now"))
    .order_by(_jobs.expire_time_us)
    .limit(JOBS_AT_ONCE)
)
_BEGIN = (
    update(schema.jobs)
    .where(_jobs.id == bindparam("job_id"), _jobs.expire_time_us <= bindparam("now"))
    .values(expire_time_us=schema.PURGING)
)
_GOING = select(_jobs.sequence, _jobs.code_sha256).where(
    _jobs.id == bindparam("job_id"), _jobs.expire_time_us == schema.PURGING
)
_SOME_EVENTS = delete(schema.events).where(
    _events.sequence.in_(
        select(_events.sequence).where(_events.job == bindparam("job_sequence")).limit(EVENTS_AT_ONCE)
    )
)


class Purger:
    """Looks for such jobs every so often, in a thread of its own."""

    def __init__(
        self,
        store: Store,
        home: Home,
        held: Callable[[str], bool],
        now: Callable[[], datetime],
        sweep_s: float = SWEEP_S,
    ) -> None:
        """`held` says whether something of a job still runs: then it is left for the next time."""
        self._store, self._home, self._held, self._now, self._sweep_s = store, home, held, now, sweep_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="purger", daemon=True)

    def start(self) -> None:
        """Begins with what is due now."""
        self._thread.start()

    def stop(self) -> None:
        """Ends at the next step of the way."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.sweep()
            except StoreClosedError:
                return
            except (ServiceError, OSError) as error:
                log.error("what is left of deleted jobs could not be removed: %s Trying again.", error)
            self._stopping.wait(self._sweep_s)

    def sweep(self) -> int:
        """Removes what is due now; returns how many jobs are gone."""
        gone = 0
        with self._store.engine.connect() as connection:
            due = [str(row.id) for row in connection.execute(_EXPIRED, {"now": to_us(self._now())}).all()]
        for job_id in due:
            if self._stopping.is_set():
                break
            if not self._held(job_id) and self._purge(job_id):
                gone += 1
        return gone

    def _purge(self, job_id: str) -> bool:
        values = {"job_id": job_id, "now": to_us(self._now())}
        # It may have been undeleted meanwhile.
        if not self._store.write(lambda connection: connection.execute(_BEGIN, values).rowcount).result():
            return False
        reach("purge_begun")
        shutil.rmtree(self._home.job(job_id), ignore_errors=True)
        if self._home.job(job_id).exists():
            log.error("%s can't be removed: remove it by hand", self._home.job(job_id))
            return False
        reach("purge_folder_gone")
        while not (over := self._store.write(lambda connection: self._rows(connection, job_id)).result()):
            reach("purge_some_events_gone")
            if self._stopping.is_set():
                return False
        return over

    def _rows(self, connection: Connection, job_id: str) -> bool:
        """Removes some of its events, or, where there are none left, all else. True when nothing is left."""
        row = connection.execute(_GOING, {"job_id": job_id}).first()
        if row is None:
            return True
        if connection.execute(_SOME_EVENTS, {"job_sequence": row.sequence}).rowcount == EVENTS_AT_ONCE:
            return False
        for table, column in _of_jobs():
            connection.execute(delete(table).where(table.c[column] == row.sequence))
        connection.execute(delete(schema.jobs).where(_jobs.sequence == row.sequence))
        code = schema.code.c
        connection.execute(
            delete(schema.code).where(
                code.sha256 == row.code_sha256, ~exists().where(_jobs.code_sha256 == row.code_sha256)
            )
        )
        audit.note(connection, self._now(), LOCAL, "PurgeJob", job_id)
        return True


def _of_jobs() -> list[tuple[Table, str]]:
    """Every table whose rows belong to a job, and the column that names it."""
    return [
        (table, key.parent.name)
        for table in reversed(schema.metadata.sorted_tables)
        for key in table.foreign_keys
        if key.column.table is schema.jobs
    ]
