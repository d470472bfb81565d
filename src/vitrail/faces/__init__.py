"""Faces: FaceNet whole (Schroff, Kalenichenko, Philbin 2015): networks, triplets, evaluation, clustering."""
