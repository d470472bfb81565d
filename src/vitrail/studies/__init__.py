"""Questions, and the experiments that answer them: one file a question, ``vitrail study NAME``.

A study trains or takes a network, measures it, and gives a table, a figure and words, each figure with its uncertainty;
where an interval covers zero the words are "too small to tell". What was found is kept in ``results/NAME``.
"""

from collections.abc import Mapping

STUDIES: Mapping[str, str] = {
    "face-dimension": "how many numbers does an embedding need? (FaceNet, table 5)",
    "face-data": "what do more training people, and more images of each, bring? (FaceNet, table 6)",
    "face-jpeg": "how much JPEG compression does a network stand? (FaceNet, table 4)",
    "face-pixels": "how few pixels are enough? (FaceNet, table 4)",
    "harmonic": "can a new network's embeddings be compared with an old one's? (FaceNet, appendix)",
    "induction": "does a second layer learn to look up what came next before? (Olsson et al. 2022)",
    "head-roles": "what is each head of a trained BERT for? (Clark et al. 2019)",
    "same-word": "is a word's state another where it means something else?",
    "entropy-gap": "how far from uniform is attention before training?",
}
"""Every study by name, and its question."""
