"""What the four exercises ask, question by question, and what would answer each: a study, a file, a person.

The questions are the course's, in our words. Opinions, sources, study group and hours are the student's: nothing is
proposed for them. Where an experiment can answer, the study that does it is named.
"""

from vitrail.homework.pack_terms import Exercise, Need, Question
from vitrail.studies import STUDIES

OWN = "your answer, in your own words"


def _evidence(exercise: str, letter: str, *studies: str) -> tuple[Need, ...]:
    """What the exercise's page says to a question, and the studies that answer it, of those that there are."""
    page = Need("page", f"{exercise}-{letter}", f"vitrail homework {exercise}")
    return (page, *(Need("study", name, f"vitrail study {name}") for name in studies if name in STUDIES))


def _notebook(exercise: str) -> Question:
    return Question(
        f"{exercise}-notebook",
        "The notebook",
        "the notebook, run from top to bottom",
        "Hand in the notebook with what its cells gave.",
        needs=(Need("notebook", exercise, f"jupyter execute --inplace notebooks/{exercise}.ipynb"),),
    )


FACENET = Exercise(
    "facenet",
    "FaceNet",
    (
        Question(
            "facenet-a",
            "(a) Two architectures",
            "the two kinds of network, described",
            "Which two kinds of network does the paper train, and what is each made of?",
            OWN,
            _evidence("facenet", "a"),
        ),
        Question(
            "facenet-b",
            "(b) The triplet loss",
            "the loss; how it differs from supervision",
            "What does the triplet loss ask of an embedding, and how does that differ from supervised classification?",
            OWN,
            _evidence("facenet", "b"),
        ),
        Question(
            "facenet-c",
            "(c) Choosing triplets",
            "why not all triplets; what is done instead",
            "Why isn't the loss taken over all triplets, and what is done instead?",
            OWN,
            _evidence("facenet", "c", "triplets"),
        ),
        Question(
            "facenet-d",
            "(d) Parameters and FLOPs",
            "sizes, beside ResNet-50",
            "How many parameters and operations do the networks have, beside a ResNet-50?",
            OWN,
            _evidence("facenet", "d", "network-cost"),
        ),
        Question(
            "facenet-e",
            "(e) Semi-hard negatives, harmonic embeddings",
            "semi-hard negatives; harmonic embeddings",
            "What are semi-hard negatives and why are they taken? What are harmonic embeddings good for?",
            OWN,
            _evidence("facenet", "e", "mining", "harmonic"),
        ),
        Question(
            "facenet-f",
            "(f) Embedding dimension",
            "what the embedding's dimension does",
            "What does the number of dimensions of the embedding change?",
            OWN,
            _evidence("facenet", "f", "face-dimension"),
        ),
        Question(
            "facenet-g",
            "(g) Training data",
            "what more training data brings",
            "What does more training data bring?",
            OWN,
            _evidence("facenet", "g", "face-data"),
        ),
        Question(
            "facenet-h",
            "(h) An emergent property",
            "a favourite emergent property",
            "Which property that nobody trained for do you like best, and why?",
            "which one is your favourite, and why: an opinion, so yours alone",
            _evidence("facenet", "h", "face-jpeg", "face-pixels"),
        ),
        Question(
            "facenet-i",
            "(i) The most interesting approach",
            "the most interesting approach, 100 words",
            "Which approach of the paper do you find most interesting? About 100 words.",
            "about 100 words on what interested you most: an opinion, so yours alone",
        ),
        _notebook("facenet"),
    ),
)

MAE = Exercise(
    "mae",
    "Masked autoencoders",
    (
        Question(
            "mae-functions",
            "The functions",
            "results of the nine functions",
            "Hand in what your functions give for the course's inputs.",
            needs=(Need("autograder", "", "vitrail homework mae --autograder autograder_student.pt"),),
        ),
        Question(
            "mae-accuracies",
            "The three accuracies",
            "accuracies: ViT, linear probe, fine-tuned",
            "Train a ViT from scratch, a linear probe on a masked autoencoder, and the same autoencoder fine-tuned: "
            "the test accuracy of each.",
            needs=(
                Need(
                    "accuracies",
                    "",
                    "vitrail homework mae --autograder autograder_student.pt --train --data uoft-cs/cifar10",
                ),
            ),
        ),
        _notebook("mae"),
    ),
)

SUMMARIZATION = Exercise(
    "summarization",
    "Summarization with a Transformer",
    (
        Question(
            "summarization-log",
            "The functions",
            "submission_log.json",
            "Hand in the log of what your functions give for the exercise's seeds.",
            needs=(Need("log", "", "vitrail homework summarization"),),
        ),
        Question(
            "summarization-curves",
            "The loss curves",
            "training and validation loss, TensorBoard",
            "Training and validation loss as TensorBoard shows them, as a picture.",
            needs=(Need("curves", "", "jupyter execute --inplace notebooks/summarization.ipynb"),),
        ),
        Question(
            "summarization-accuracy",
            "Validation accuracy",
            "validation accuracy after 2 epochs",
            "What is the final validation accuracy after 2 epochs?",
            needs=(Need("accuracy", "", "jupyter execute --inplace notebooks/summarization.ipynb"),),
        ),
        _notebook("summarization"),
    ),
)

ATTENTION = Exercise(
    "attention",
    "Looking at attention",
    (
        Question(
            "attention-a",
            "(a) GPT: examples and layers",
            "GPT: between examples, between layers",
            "In a GPT, how are the patterns of the examples alike, and how do they differ? How do they change from "
            "layer to layer?",
            OWN,
            _evidence("attention", "a", "induction"),
        ),
        Question(
            "attention-b",
            "(b) BERT",
            "BERT: layers, token types, two senses",
            "In a BERT, which patterns are in which layers, and which kinds of token are attended to? How does it "
            "differ from the GPT? Take the same word in two sentences ('play'): how do its embeddings differ? What do "
            "reading both ways and pretraining bring?",
            OWN,
            _evidence("attention", "b", "causal-bidirectional", "same-word", "sentence-order"),
        ),
        Question(
            "attention-c",
            "(c) Heads",
            "what different heads look for",
            "Do heads look for different things, and for which?",
            OWN,
            _evidence("attention", "c", "head-roles"),
        ),
        Question(
            "attention-d",
            "(d) Random and trained",
            "random against trained; gradients of a head",
            "What do the patterns of random weights look like beside trained ones? Which words should attend strongly "
            "to each other, and what do the gradients of that head say?",
            OWN,
            _evidence("attention", "d", "trained-untrained", "entropy-gap"),
        ),
        Question(
            "attention-e",
            "(e) Other patterns",
            "other patterns you found",
            "Which other patterns did you find?",
            "what you found yourself: for a way in, 'vitrail view'",
            _evidence("attention", "e"),
        ),
        _notebook("attention"),
    ),
)

PROCESS = Exercise(
    "process",
    "How it was done",
    (
        Question(
            "process-sources",
            "Sources",
            "sources you used",
            "Which sources, people and tools did you use?",
            "every source that you used, this library among them",
        ),
        Question(
            "process-group",
            "Study group",
            "study group: names and student ids",
            "With whom did you work? Names and student ids.",
            "names and student ids, or 'nobody'",
        ),
        Question("process-hours", "Hours", "hours it took", "How many hours did it take you?", "a number of hours"),
    ),
)

EXERCISES = (FACENET, MAE, SUMMARIZATION, ATTENTION, PROCESS)
"""In the order of the hand-in."""
