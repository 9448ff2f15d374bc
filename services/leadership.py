"""Which front end schedules: the one that holds the lease. Started by service.py.

Every front end of a store answers; one at a time has a runner at work. When that one is killed, another takes the lease over after
its end and adopts what runs. On SQLite the home's lock says already that there is one service alone, so it leads for its life.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from gradwire.services.connections import is_shared, others_serve
from gradwire.services.errors import StorageError
from gradwire.services.lease import Lease, lease_holder
from gradwire.services.runner import Runner
from gradwire.services.store import Store

log = logging.getLogger(__name__)
LEASE_S = 10.0
"""How long a front end that does not answer keeps the right to schedule; it is renewed four times in it."""
ALONE_S = 10 * 365 * 86_400.0


class Leadership:
    """Schedules with a runner whenever this front end has the lease, until stopped."""

    def __init__(
        self,
        store: Store,
        make: Callable[[Store], Runner],
        let_go: Callable[[], None],
        holder: str,
        dead: str = "",
        lease_s: float = LEASE_S,
    ) -> None:
        """`make` makes a runner on a store whose writes carry the lease's token; `let_go` leaves what runs to another front end.

        `holder` names this process, `dead` one that held the lease and is surely gone.
        """
        self._store, self._make, self._holder, self._dead, self._lease_s = store, make, holder, dead, lease_s
        self._let_go = let_go
        self._alone = not is_shared(store.engine)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leadership", daemon=True)
        self._token: int | None = None
        self._view = store.under(0)
        self.runner = make(self._view)
        """The runner at work, or, on a front end that does not schedule, one that was not started."""

    def start(self, address: str) -> None:
        """Takes the lease where it is free, and then returns when the jobs that were there stand in line."""
        self._lease = Lease(
            self._store.engine, self._holder, address, ALONE_S if self._alone else self._lease_s
        )
        self._taken = time.monotonic()
        if (token := self._lease.take(self._dead, self._alone)) is not None:
            self._begin(token)
        else:
            log.info("another front end schedules (%s); this one answers, and stands by", self.leader())
        self._thread.start()

    @property
    def leads(self) -> bool:
        """Whether this front end schedules."""
        return self._token is not None

    def keeps(self, job_id: str) -> bool:
        """True where something of a job may still run, as far as this front end knows; one that stands by knows nothing."""
        return not self.leads or self.runner.follows(job_id)

    def leader(self) -> str:
        """Where the front end answers that schedules; '' where none does at this moment."""
        found = lease_holder(self._store.engine)
        return "" if found is None else found.address

    def stop(self) -> None:
        """Ends scheduling. What runs is left to the other front ends, where there are any.

        The lease is still held, so that what this front end runs can be ended first.
        """
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.runner.stop()
        with suppress(StorageError):
            if others_serve(self._store.engine):
                self._let_go()

    def release(self) -> None:
        """Lets another front end take over at once."""
        if self._token is not None:
            with suppress(StorageError):
                self._lease.release(self._token)
            self._token = None

    def _begin(self, token: int) -> None:
        self._view.fence = token
        self._token = token
        try:
            self.runner.start()
        except BaseException:
            self.release()
            self._lose()
            raise

    def _lose(self) -> None:
        """Stops following, and stands by with a runner that was not started."""
        self._token = None
        self._view.leave()
        self.runner.stop()
        self._let_go()
        self._view = self._store.under(0)
        self.runner = self._make(self._view)

    def _run(self) -> None:
        while not self._stopping.wait(self._lease_s / 4):
            if self._alone:
                continue
            try:
                if self._token is None:
                    self._try()
                else:
                    self._renew(self._token)
            except StorageError as error:
                log.warning("the lease could not be looked after: %s", error)
                if self._token is not None and time.monotonic() > self._taken + self._lease_s:
                    log.warning("the lease ran out while the store did not answer: this front end stands by")
                    self._lose()
            except Exception:
                log.exception("taking over as scheduler failed; trying again")
                self._lose()

    def _try(self) -> None:
        if lease_holder(self._store.engine) is not None:
            return
        began = time.monotonic()
        token = self._lease.take()
        if token is not None:
            log.info("this front end schedules from now on (lease %d)", token)
            self._taken = began
            self._begin(token)

    def _renew(self, token: int) -> None:
        began = time.monotonic()
        if self._lease.renew(token):
            self._taken = began
        else:
            log.warning("another front end schedules now (lease %d was lost): this one stands by", token)
            self._lose()
