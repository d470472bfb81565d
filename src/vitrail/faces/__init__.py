"""Faces: FaceNet whole (Schroff, Kalenichenko, Philbin 2015): networks, triplets, evaluation, clustering."""

from vitrail.faces.networks import NETWORKS, FaceEmbedder, FaceNetwork, nn1, nn2, nn3, nn4, nns1, nns2
from vitrail.faces.sizes import NetworkSize, network_sizes

__all__ = [
    "NETWORKS",
    "FaceEmbedder",
    "FaceNetwork",
    "NetworkSize",
    "network_sizes",
    "nn1",
    "nn2",
    "nn3",
    "nn4",
    "nns1",
    "nns2",
]
