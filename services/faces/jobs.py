"""gradwire.v1.Jobs, joined from its families. Wired by service.py."""

from gradwire.proto.v1 import jobs_pb2_grpc
from gradwire.services.faces.explaining import Explaining
from gradwire.services.faces.following import Following
from gradwire.services.faces.logs import Logs
from gradwire.services.faces.metrics import Metrics
from gradwire.services.faces.reading import Reading
from gradwire.services.faces.repeating import Repeating
from gradwire.services.faces.steering import Steering
from gradwire.services.faces.submitting import Submitting


class JobsFace(
    Submitting, Reading, Following, Steering, Metrics, Logs, Repeating, Explaining, jobs_pb2_grpc.JobsServicer
):
    """gradwire.v1.Jobs. A method that no family has is answered UNIMPLEMENTED."""
