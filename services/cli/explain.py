"""`gradwire explain`: why a job does not run."""

from gradwire.services.cli import options as o
from gradwire.services.cli.connect import connect
from gradwire.services.cli.endings import endings
from gradwire.services.cli.output import print_json, stdout
from gradwire.services.explanation import Explanation


def explain(
    job: o.JobId,
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """Say why a job does not run: what is short, who holds it, and its place in the queue."""
    with endings(), connect(address, context, tls_ca) as client:
        found = client.job(job).explain()
    if as_json:
        print_json({"job": job, **_fields(found)})
        return
    stdout.print(f"{job} is {found.state.name.lower()}: {found.sentence}", markup=False, soft_wrap=True)
    if found.place:
        stdout.print(f"  place in the queue  {found.place}", soft_wrap=True)
    if found.start_by is not None:
        stdout.print(f"  starts by           {found.start_by:%Y-%m-%d %H:%M:%S} UTC", soft_wrap=True)
    for holder in found.holders:
        text = f"  held by             {holder.job_id} of {holder.owner}: {holder.amount} {found.resource}"
        stdout.print(text, markup=False, soft_wrap=True)
    if found.hidden_amount:
        stdout.print(f"  held by others      {found.hidden_amount} {found.resource}", soft_wrap=True)


def _fields(found: Explanation) -> dict[str, object]:
    return {
        "state": found.state.name.lower(),
        "code": found.code.value,
        "sentence": found.sentence,
        "resource": found.resource,
        "needed": found.needed,
        "available": found.available,
        "holders": list(found.holders),
        "hidden_amount": found.hidden_amount,
        "place": found.place,
        "start_by": found.start_by,
    }
