"""Questions, and the experiments that answer them: one file a question, ``vitrail study NAME``.

A study trains or takes a network, measures it, and gives a table, a figure and words, each figure with its uncertainty;
where an interval covers zero the words are "too small to tell". What was found is kept in ``results/NAME``.
``vitrail study all`` runs them all and writes one page of them.
"""

from collections.abc import Mapping

CHAPTERS: Mapping[str, Mapping[str, str]] = {
    "FaceNet": {
        "triplets": "how many triplets are there, and what does mining leave? (FaceNet, section 3.2)",
        "mining": "what do the hardest negatives do, and what random ones? (FaceNet, section 3.2)",
        "network-cost": "what do FaceNet's networks cost, beside ResNet-50? (FaceNet, section 3.3)",
        "harmonic": "can a new network's embeddings be compared with an old one's? (FaceNet, appendix)",
        "face-dimension": "how many numbers does an embedding need? (FaceNet, table 5)",
        "face-data": "what do more training people, and more images of each, bring? (FaceNet, table 6)",
        "face-jpeg": "how much JPEG compression does a network stand? (FaceNet, table 4)",
        "face-pixels": "how few pixels are enough? (FaceNet, table 4)",
    },
    "Masked autoencoders": {
        "mask-ratio": "how much should be hidden? (MAE, figure 5)",
        "mae-attention": "what does a masked autoencoder look at?",
        "label-fraction": "what is a masked autoencoder worth where labels are few?",
    },
    "Attention": {
        "causal-bidirectional": "what do layers attend to in a causal model, and what in a bidirectional one?",
        "same-word": "is a word's state another where it means something else?",
        "sentence-order": "when the order changes, what moves with a word and what stays at its position?",
        "head-roles": "what is each head of a trained BERT for? (Clark et al. 2019)",
        "entropy-gap": "how far from uniform is attention before training?",
        "trained-untrained": "what sets trained attention apart from untrained, however that was drawn?",
        "induction": "does a second layer learn to look up what came next before? (Olsson et al. 2022)",
        "feeling-gradients": "do gradients tell which heads matter for a feeling? (Michel et al. 2019)",
    },
    "Summarization": {
        "decoding-cost": "what does a text cost, with a cache and without? (Vaswani et al. 2017)",
    },
}
"""The exercise's parts, and in each the studies that answer its questions, in their order: a line a study, its name and
its question. A new study adds its line here."""
STUDIES: Mapping[str, str] = {name: question for of in CHAPTERS.values() for name, question in of.items()}
"""Every study by name, and its question."""
