"""gradwire.v1.Accounts. Everyone sees their own account; others', and changes, are for admins."""

import math
import time
from collections.abc import Callable

from gradwire.proto.v1 import accounts_pb2 as pb
from gradwire.proto.v1 import accounts_pb2_grpc
from gradwire.services.accounts import Accounts
from gradwire.services.accounts_and_reasons import (
    QUOTA_FIELDS,
    OwnerAccount,
    account_to_message,
    change_from_message,
)
from gradwire.services.errors import ForbiddenError, InvalidRequestError, Violation
from gradwire.services.faces.calls import Context, Readers, caller, unary
from gradwire.services.ledger import Ledger
from gradwire.services.scheduling import Account
from gradwire.services.security.callers import Caller, Scope
from gradwire.services.security.tokens import TokenError, checked_owner

PAGE_SIZE = 50
PAGE_LIMIT = 1000


class AccountsFace(accounts_pb2_grpc.AccountsServicer):
    """Reads and changes accounts."""

    def __init__(self, accounts: Accounts, ledger: Callable[[], Ledger], readers: Readers) -> None:
        self._accounts, self._ledger, self._readers = accounts, ledger, readers

    @unary
    async def GetAccount(self, request: pb.GetAccountRequest, context: Context) -> pb.GetAccountResponse:
        by = caller(context)
        owner = request.owner or by.owner
        if not by.sees(owner):
            raise _forbidden(f"the account of {owner[:64]!r}", by)
        (account,) = await self._readers.run(self._read, [owner])
        return pb.GetAccountResponse(account=account_to_message(account))

    @unary
    async def ListAccounts(
        self, request: pb.ListAccountsRequest, context: Context
    ) -> pb.ListAccountsResponse:
        if request.page_size < 0:
            raise InvalidRequestError(
                [Violation("page_size", f"expected 0 or more, not {request.page_size}")]
            )
        by = caller(context)
        owners = await self._readers.run(self._accounts.owners) if by.scope == Scope.ADMIN else [by.owner]
        size = min(request.page_size or PAGE_SIZE, PAGE_LIMIT)
        rest = [owner for owner in owners if owner > request.page_token]
        found = await self._readers.run(self._read, rest[:size])
        return pb.ListAccountsResponse(
            accounts=[account_to_message(each) for each in found],
            next_page_token=rest[size - 1] if len(rest) > size else "",
        )

    @unary
    async def UpdateAccount(
        self, request: pb.UpdateAccountRequest, context: Context
    ) -> pb.UpdateAccountResponse:
        by = caller(context)
        if by.scope != Scope.ADMIN:
            raise _forbidden("changing an account", by)
        wrong = []
        try:
            checked_owner(request.owner)
        except TokenError as error:
            wrong.append(Violation("owner", str(error)))
        if request.HasField("weight") and not (math.isfinite(request.weight) and request.weight > 0):
            wrong.append(Violation("weight", f"expected a finite number above 0, not {request.weight}"))
        for name in QUOTA_FIELDS:
            value = getattr(request.quota, name)
            if request.quota.HasField(name) and value < 0:  # type: ignore[arg-type]
                wrong.append(
                    Violation(f"quota.{name}", f"expected 0 or more, or unset for no limit, not {value}")
                )
        if not request.HasField("weight") and not request.HasField("quota"):
            wrong.append(Violation("weight", "expected something to change: weight or quota"))
        if wrong:
            raise InvalidRequestError(wrong)
        change = change_from_message(request)
        await self._readers.run(self._accounts.change, request.owner, change, by)
        self._ledger().look_soon()
        (account,) = await self._readers.run(self._read, [request.owner])
        return pb.UpdateAccountResponse(account=account_to_message(account))

    def _read(self, owners: list[str]) -> list[OwnerAccount]:
        rows, stored, now = self._accounts.rows(), self._accounts.stored_bytes(), time.time()
        found = []
        for owner in owners:
            row, held = rows.get(owner, Account()), self._ledger().holding(owner)
            found.append(
                OwnerAccount(
                    owner,
                    row.weight,
                    row.quota,
                    held.gpus,
                    held.cpus,
                    held.jobs,
                    stored.get(owner, 0),
                    self._ledger().recent_share(owner, now),
                )
            )
        return found


def _forbidden(what: str, by: Caller) -> ForbiddenError:
    scope = by.scope.name.lower()
    return ForbiddenError(
        f"{what} needs a token of scope admin; this caller's is {scope}. Whoever runs the service can also use "
        "`gradwire account` with --home on its machine",
        {"scope": scope, "needed": "admin"},
    )
