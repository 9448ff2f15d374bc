"""Distances and similarities, which torch has under this namespace too."""

from __future__ import annotations

from ...functions import distances as _base
from .arguments import entered

__all__ = ["cosine_similarity", "pairwise_distance", "pdist"]

cosine_similarity, pairwise_distance, pdist = _base.cosine_similarity, _base.pairwise_distance, _base.pdist
for _function in (cosine_similarity, pairwise_distance, pdist):
    entered(_function)
