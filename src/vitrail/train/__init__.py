"""Training: one loop for every model, with checkpoints that can be resumed to the step."""

from vitrail.train.config import TrainConfig
from vitrail.train.folder import read_config, write_config
from vitrail.train.loop import Traces, TrainResult, train
from vitrail.train.objective import AccumulatingObjective, Batches, LossSums, Objective
from vitrail.train.weights import load_weights

__all__ = [
    "AccumulatingObjective",
    "Batches",
    "LossSums",
    "Objective",
    "Traces",
    "TrainConfig",
    "TrainResult",
    "load_weights",
    "read_config",
    "train",
    "write_config",
]
