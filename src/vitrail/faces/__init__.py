"""Faces: FaceNet whole (Schroff, Kalenichenko, Philbin 2015): networks, triplets, evaluation, clustering."""

from vitrail.faces.agreement import bcubed, nmi, pairwise_f
from vitrail.faces.calibration import Calibration, calibrate, read_calibration, write_calibration
from vitrail.faces.clustering import choose_threshold, cluster, different_within
from vitrail.faces.identification import cmc, fnir_at_fpir, rank_rate, search
from vitrail.faces.networks import NETWORKS, FaceEmbedder, FaceNetwork, nn1, nn2, nn3, nn4, nns1, nns2
from vitrail.faces.pairs import compare_all
from vitrail.faces.protocols import accuracy, best_threshold, lfw_accuracy
from vitrail.faces.sheets import contact_sheet
from vitrail.faces.sizes import NetworkSize, network_sizes
from vitrail.faces.triplets import triplet_loss
from vitrail.faces.verification import Estimate, auc, eer, roc, threshold_for_far, val_at_far

__all__ = [
    "NETWORKS",
    "Calibration",
    "Estimate",
    "FaceEmbedder",
    "FaceNetwork",
    "NetworkSize",
    "accuracy",
    "auc",
    "bcubed",
    "best_threshold",
    "calibrate",
    "choose_threshold",
    "cluster",
    "cmc",
    "compare_all",
    "contact_sheet",
    "different_within",
    "eer",
    "fnir_at_fpir",
    "lfw_accuracy",
    "network_sizes",
    "nmi",
    "nn1",
    "nn2",
    "nn3",
    "nn4",
    "nns1",
    "nns2",
    "pairwise_f",
    "rank_rate",
    "read_calibration",
    "roc",
    "search",
    "threshold_for_far",
    "triplet_loss",
    "val_at_far",
    "write_calibration",
]
