"""Why a job is refused at submit, as an error for its owner: it could never run, or its owner may store no more."""

from gradwire.services.errors import (
    InvalidRequestError,
    QuotaError,
    ServiceError,
    StorageQuotaError,
    Violation,
)
from gradwire.services.records import Job
from gradwire.services.scheduling import Account, Code, Wait

_FIELDS = {"gpus": "workers", "cpus": "workers", "workers": "one_host", "seconds": "limits.job_seconds"}
_KINDS = {"gpus": "GPUs", "cpus": "CPU workers", "jobs": "running jobs", "storage_bytes": "stored bytes"}


def refusal(job: Job, wait: Wait, account: Account) -> ServiceError:
    """The error for what the scheduler says of a job that is about to be submitted."""
    limit = getattr(account.quota, wait.resource, None)
    metadata = {"owner": job.owner, "resource": wait.resource, "needed": str(wait.needed)}
    if wait.code == Code.QUOTA or (limit is not None and wait.needed > limit):
        what = _KINDS[wait.resource]
        if wait.resource == "storage_bytes":
            # Also where it declares more than its owner may ever store.
            return StorageQuotaError(
                f"owner {job.owner} may have {limit} stored bytes, and has {account.stored_bytes}: delete jobs or blobs, "
                "or ask an administrator for more",
                {**metadata, "limit": str(limit)},
            )
        text = (
            f"owner {job.owner} may hold {limit} {what} at one time, and this job needs {wait.needed}: ask for less, "
            "or an administrator for more"
        )
        return QuotaError(text, {**metadata, "limit": str(limit)})
    if wait.resource == "workers":
        text = f"no host has room for {wait.needed} workers, the largest for {wait.available}: ask for fewer, or leave one_host out"
    else:
        text = f"{wait.sentence}: ask for fewer workers"
    return InvalidRequestError([Violation(f"spec.{_FIELDS.get(wait.resource, 'workers')}", text)])
