"""Training: the job file, the determinism contract in plain form, and the one-process run that is its oracle."""

from .chain import block_checksums, chain_next
from .diagnosis import culprit, non_finite_error
from .digest import parameters_sha256
from .job import Job, JobFileError, load_job
from .layout import BLOCK, ParameterLayout, Segment
from .parts import build, state_arrays
from .plan import Plan, owned_range, split
from .rules import block_sums, clip_factor, tree_sum
from .run import run
from .scaling import NonFiniteGradient, NonFiniteLoss, Outcome, Scaling, all_finite, outcome_of, told_metrics
from .shard import Leaf, LossError, ShardStep, metrics_of
from .solo import Reference, SoloResult, train_solo

__all__ = [
    "BLOCK", "Job", "JobFileError", "Leaf", "LossError", "NonFiniteGradient", "NonFiniteLoss", "Outcome", "ParameterLayout", "Plan", "Reference", "Scaling", "Segment", "ShardStep", "SoloResult",
    "all_finite", "block_checksums", "block_sums", "build", "chain_next", "clip_factor", "culprit", "load_job", "metrics_of", "non_finite_error", "outcome_of", "owned_range", "parameters_sha256", "run", "split", "state_arrays",
    "told_metrics", "train_solo", "tree_sum",
]  # fmt: skip
