"""What ``vitrail evaluate`` says of two generations of embeddings."""

import io

from vitrail.cli.evaluate import show
from vitrail.cli.screen import Screen


def test_two_generations_of_embeddings_have_a_table_of_their_own() -> None:
    def measured(val: float) -> dict[str, object]:
        at = {"val": val, "standard_error": 0.02}
        return {"val_at_far": {"0.01": at}, "auc": 0.9, "eer": 0.1, "same_pairs": 1000, "different_pairs": 2000}

    generations = {
        "with": "runs/old",
        "trained_for_it": True,
        "v1-v1": {**measured(0.3), "val_at_far": {}},
        "v1-v2": measured(0.4),
        "v2-v2": measured(0.5),
        "v1-v2_at_thresholds_of_v2": {"0.01": {"val": 0.45, "far": 0.0123}},
    }
    facts = {"kind": "faces", "people": 150, "images": 3600, "beside": {}}
    stream = io.StringIO()
    show({**facts, **measured(0.5), "harmonic": generations}, Screen(stream))
    assert stream.getvalue().splitlines()[5:] == [
        "compared  VAL at FAR 0.01     AUC    EER",
        "--------  ---------------  ------  -----",
        "v1-v1                   -  0.9000  10.0%",
        "v1-v2         40.0 ± 2.0%  0.9000  10.0%",
        "v2-v2         50.0 ± 2.0%  0.9000  10.0%",
        "(v1: runs/old, which this one was trained to be harmonic with; v2: this one)",
        "at this one's own threshold for FAR 0.01, v1-v2 has VAL 45.0% and FAR 0.012",
    ]
