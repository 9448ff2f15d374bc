"""Calls about accounts and about why jobs wait: requests built, answers read. See calls.py."""

from gradwire.proto.v1 import accounts_pb2
from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import accounts_and_reasons as rendered
from gradwire.services.accounts import AccountChange
from gradwire.services.accounts_and_reasons import OwnerAccount
from gradwire.services.client.connection import Call
from gradwire.services.explanation import Explanation

PAGE_SIZE = 200


def explain(job_id: str) -> Call[Explanation]:
    """Why a job does not run."""
    request = pb.ExplainJobRequest(job_id=job_id)
    return Call("jobs", "ExplainJob", request, rendered.explanation_from_message)


def get_account(owner: str) -> Call[OwnerAccount]:
    """An owner's account; '' is the caller's."""
    request = accounts_pb2.GetAccountRequest(owner=owner)
    return Call("accounts", "GetAccount", request, _account)


def update_account(owner: str, change: AccountChange) -> Call[OwnerAccount]:
    """Changes an account."""
    return Call("accounts", "UpdateAccount", rendered.change_to_message(owner, change), _account)


class AccountPages:
    """A list of accounts, page by page: `call` asks for the next one while there is `more`."""

    def __init__(self) -> None:
        self._token, self.more = "", True

    def call(self) -> Call[list[OwnerAccount]]:
        """The next page."""
        request = accounts_pb2.ListAccountsRequest(page_size=PAGE_SIZE, page_token=self._token)
        return Call("accounts", "ListAccounts", request, self._read)

    def _read(self, answer: accounts_pb2.ListAccountsResponse) -> list[OwnerAccount]:
        self._token = answer.next_page_token
        self.more = bool(self._token)
        return [rendered.account_from_message(each) for each in answer.accounts]


def _account(
    answer: "accounts_pb2.GetAccountResponse | accounts_pb2.UpdateAccountResponse",
) -> OwnerAccount:
    return rendered.account_from_message(answer.account)
