"""Accounts and explanations to protobuf and back, beside messages.py. Used by the faces and the clients."""

from dataclasses import dataclass

from gradwire.proto.v1 import accounts_pb2
from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services.accounts import AccountChange
from gradwire.services.explanation import Explanation, WaitCode
from gradwire.services.messages import from_timestamp, state_to_message, to_timestamp
from gradwire.services.scheduling import Holder, Quota
from gradwire.services.states import JobState

_PREFIX = "WAIT_CODE_"
QUOTA_FIELDS = ("gpus", "cpus", "jobs", "storage_bytes")


@dataclass(frozen=True, slots=True)
class OwnerAccount:
    """One owner: its part of the whole, its quotas, what its running jobs hold, what it stores, and its recent average part."""

    owner: str
    weight: float
    quota: Quota
    gpus: int
    cpus: int
    jobs: int
    stored_bytes: int
    recent_share: float


def explanation_to_message(explanation: Explanation) -> pb.ExplainJobResponse:
    """Why a job does not run."""
    message = pb.ExplainJobResponse(
        code=pb.WaitCode.Value(_PREFIX + explanation.code.value),
        resource=explanation.resource,
        needed=explanation.needed,
        available=explanation.available,
        holders=[
            pb.Holder(job_id=each.job_id, owner=each.owner, amount=each.amount)
            for each in explanation.holders
        ],
        hidden_amount=explanation.hidden_amount,
        place=explanation.place,
        sentence=explanation.sentence,
        state=state_to_message(explanation.state),
    )
    if explanation.start_by is not None:
        message.start_by.CopyFrom(to_timestamp(explanation.start_by))
    return message


def explanation_from_message(message: pb.ExplainJobResponse) -> Explanation:
    """Why a job does not run."""
    return Explanation(
        code=WaitCode(pb.WaitCode.Name(message.code).removeprefix(_PREFIX)),
        state=JobState(message.state),
        sentence=message.sentence,
        resource=message.resource,
        needed=message.needed,
        available=message.available,
        holders=tuple(Holder(each.job_id, each.owner, each.amount) for each in message.holders),
        hidden_amount=message.hidden_amount,
        place=message.place,
        start_by=from_timestamp(message.start_by) if message.HasField("start_by") else None,
    )


def quota_to_message(quota: Quota) -> accounts_pb2.Quota:
    """Quotas; what is no limit is unset."""
    return accounts_pb2.Quota(
        gpus=quota.gpus, cpus=quota.cpus, jobs=quota.jobs, storage_bytes=quota.storage_bytes
    )


def quota_from_message(message: accounts_pb2.Quota) -> Quota:
    """Quotas; what is unset is no limit."""
    values = {name: getattr(message, name) for name in QUOTA_FIELDS if message.HasField(name)}  # type: ignore[arg-type]
    return Quota(**values)


def account_to_message(account: OwnerAccount) -> accounts_pb2.Account:
    """An account."""
    return accounts_pb2.Account(
        owner=account.owner,
        weight=account.weight,
        quota=quota_to_message(account.quota),
        gpus=account.gpus,
        cpus=account.cpus,
        jobs=account.jobs,
        stored_bytes=account.stored_bytes,
        recent_share=account.recent_share,
    )


def account_from_message(message: accounts_pb2.Account) -> OwnerAccount:
    """An account."""
    return OwnerAccount(
        message.owner,
        message.weight,
        quota_from_message(message.quota),
        message.gpus,
        message.cpus,
        message.jobs,
        message.stored_bytes,
        message.recent_share,
    )


def change_to_message(owner: str, change: AccountChange) -> accounts_pb2.UpdateAccountRequest:
    """A request for a change of one account."""
    message = accounts_pb2.UpdateAccountRequest(owner=owner, weight=change.weight)
    if change.quota is not None:
        message.quota.CopyFrom(quota_to_message(change.quota))
    return message


def change_from_message(message: accounts_pb2.UpdateAccountRequest) -> AccountChange:
    """What is to change, as it stands."""
    return AccountChange(
        weight=message.weight if message.HasField("weight") else None,
        quota=quota_from_message(message.quota) if message.HasField("quota") else None,
    )
