"""Training: the job file, the determinism contract in plain form, and the one-process run that is its oracle."""

from .chain import block_checksums, chain_next
from .digest import parameters_sha256
from .job import Job, JobFileError, load_job
from .layout import BLOCK, ParameterLayout, Segment
from .parts import build, state_arrays
from .plan import Plan, owned_range, split
from .rules import block_sums, clip_factor, tree_sum
from .run import run
from .shard import Leaf, LossError, ShardStep, metrics_of
from .solo import NonFiniteLoss, Reference, SoloResult, train_solo

__all__ = [
    "BLOCK", "Job", "JobFileError", "Leaf", "LossError", "NonFiniteLoss", "ParameterLayout", "Plan", "Reference", "Segment", "ShardStep", "SoloResult",
    "block_checksums", "block_sums", "build", "chain_next", "clip_factor", "load_job", "metrics_of", "owned_range", "parameters_sha256", "run", "split", "state_arrays",
    "train_solo", "tree_sum",
]  # fmt: skip
