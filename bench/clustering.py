"""Clustering faces: ours beside scikit-learn's agglomerative clustering and DBSCAN, in seconds and in B-cubed F.

    python bench/clustering.py [--faces 10000] [--draws 3] [--run RUN]

Twice. Seconds and memory on embeddings that are made: centres at random on the unit sphere in 128 dimensions; people
have from 1 to 60 faces, the small numbers more often; a face is its centre plus noise, some faces with more of it than
others. Then how well it works, on embeddings by a network: ``--run`` (of ``vitrail train faces``), or without one a
small network that is trained here on characters for some minutes. Of its test people, whom it has never seen, those
with 5 images and more are cut into halves at random, and raw pixels stand beside.

Everybody's threshold is the one with the best F on other people: another draw, the other half. scikit-learn's
agglomerative clustering has average linkage too, on cosine distances, which for unit vectors are half of ours: what
differs is time and memory. Whom DBSCAN calls noise is a cluster of one.

Memory is the peak beyond what the process held before (Linux only). Tables, then one JSON line. Above 20,000 faces
only ours runs: scikit-learn's agglomerative clustering holds all distances.
"""

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from memory import forget_peak, peak, resident
from scipy.cluster.hierarchy import fcluster
from sklearn.cluster import DBSCAN, AgglomerativeClustering
from sklearn.neighbors import radius_neighbors_graph
from torch import Tensor
from torch.nn.functional import normalize

from vitrail.data import require_identities
from vitrail.faces.agreement import Agreement, bcubed
from vitrail.faces.clustering import choose_threshold, cluster
from vitrail.recipes.evaluate_faces import raw_pixels
from vitrail.recipes.events import ignore
from vitrail.recipes.face_measures import people_of
from vitrail.recipes.faces import FacesRecipe
from vitrail.recipes.faces import run as train
from vitrail.recipes.inference import embeddings_of, inferring
from vitrail.recipes.runs import open_run

DIM = 128
MOST = 60
PEERS_UP_TO = 20_000
NEIGHBOURS = (1, 2, 3, 5)  # min_samples that DBSCAN is tried with
RADII = 21  # that DBSCAN is tried with
CUTS = 200
LEAST = 5

Labels = Tensor
Draw = tuple[tuple[Tensor, Labels], tuple[Tensor, Labels]]
"""Faces of known people, to choose a threshold on, and faces to be clustered, whose people are for the score."""
Measured = tuple[float, float, float, Agreement]
"""Seconds, those of CPU among them (which remain on a busy machine), megabytes, how well."""


def draw_faces(faces: int, seed: int) -> tuple[Tensor, Labels]:
    """Unit vectors and whose they are."""
    draw = torch.Generator().manual_seed(seed)
    share = torch.arange(1, MOST + 1, dtype=torch.float64) ** -1.0
    counts = torch.multinomial(share, faces, replacement=True, generator=draw) + 1
    people = torch.repeat_interleave(torch.arange(faces), counts)[:faces]
    centres = normalize(torch.randn(int(people[-1]) + 1, DIM, generator=draw), dim=1)
    noise = torch.randn(faces, DIM, generator=draw) * DIM**-0.5
    amount = 0.8 + 1.1 * torch.rand(faces, 1, generator=draw)
    order = torch.randperm(faces, generator=draw)
    return normalize(centres[people] + amount * noise, dim=1)[order], people[order]


def singles(labels: np.ndarray) -> Labels:
    """As a tensor; each face that DBSCAN calls noise becomes a cluster of its own."""
    alone = labels < 0
    labels = labels.astype(np.int64)
    labels[alone] = labels.max() + 1 + np.arange(alone.sum())
    return torch.from_numpy(labels)


def agglomerative(faces: Tensor, threshold: float) -> Labels:
    """scikit-learn's; the threshold is ours, a squared distance."""
    model = AgglomerativeClustering(None, metric="cosine", linkage="average", distance_threshold=threshold / 2)
    return singles(model.fit_predict(faces.numpy()))


def agglomerative_threshold(faces: Tensor, people: Labels) -> float:
    """The best on these people: one tree, cut at many heights."""
    model = AgglomerativeClustering(
        None, metric="cosine", linkage="average", distance_threshold=0, compute_full_tree=True
    ).fit(faces.numpy())
    tree = np.column_stack([model.children_, model.distances_, np.zeros(len(faces) - 1)]).astype(float)
    cuts = np.quantile(model.distances_, np.linspace(0, 1, CUTS))
    scored = [(bcubed(singles(fcluster(tree, cut, "distance")), people).f, 2 * float(cut)) for cut in cuts]
    return max(scored)[1]


def dbscan(faces: Tensor, eps: float, neighbours: int) -> Labels:
    """scikit-learn's, on distances that aren't squared."""
    return singles(DBSCAN(eps=eps, min_samples=neighbours, n_jobs=-1).fit_predict(faces.numpy()))


def dbscan_settings(faces: Tensor, people: Labels) -> tuple[float, int]:
    """The best radius and number of neighbours on these people: one graph of neighbours, taken at many radii."""
    own = torch.cat([torch.pdist(faces[people == person]) for person in people.unique()])
    radii = np.linspace(*np.quantile(own.numpy(), (0.001, 0.99)), RADII)
    graph = radius_neighbors_graph(faces.numpy(), radii[-1], mode="distance", include_self=True, n_jobs=-1)
    best = (0.0, 0.0, 0)
    for eps in radii:
        for neighbours in NEIGHBOURS:
            found = DBSCAN(eps=eps, min_samples=neighbours, metric="precomputed").fit_predict(graph)
            best = max(best, (bcubed(singles(found), people).f, float(eps), neighbours))
    return best[1], best[2]


def timed(work: Callable[[], Labels]) -> tuple[float, float, float, Labels]:
    """Seconds, those of CPU, megabytes beyond what was held before, and the clusters."""
    linux = Path("/proc/self/clear_refs").exists()
    held = resident() if linux else math.nan
    if linux:
        forget_peak()
    began, worked = time.perf_counter(), time.process_time()
    labels = work()
    seconds, busy = time.perf_counter() - began, time.process_time() - worked
    return seconds, busy, (peak() if linux else math.nan) - held, labels


def compare(draws: list[Draw], prefix: str = "", peers: bool = True) -> dict[str, list[Measured]]:
    """Everybody's seconds, megabytes and agreement on each draw."""
    rows: dict[str, list[Measured]] = {}

    def measure(name: str, people: Labels, work: Callable[[], Labels]) -> None:
        *spent, labels = timed(work)
        rows.setdefault(prefix + name, []).append((*spent, bcubed(labels, people)))

    for known, (faces, people) in draws:
        limit = choose_threshold(*known).threshold
        measure("ours", people, lambda faces=faces, limit=limit: cluster(faces, limit))
        if not peers:
            continue
        limit = agglomerative_threshold(*known)
        measure("agglomerative", people, lambda faces=faces, limit=limit: agglomerative(faces, limit))
        chosen = dbscan_settings(*known)
        measure("dbscan", people, lambda faces=faces, chosen=chosen: dbscan(faces, *chosen))
    return rows


def embedded(folder: Path) -> dict[str, tuple[Tensor, Labels]]:
    """Vectors of a run's test people with ``LEAST`` images and more, by its network and as raw pixels."""
    run = open_run(folder)
    images = people_of(run, None, ignore)
    labels = require_identities(images)
    images = images.subset(np.flatnonzero(np.bincount(labels)[labels] >= LEAST))
    people = torch.from_numpy(require_identities(images))
    with inferring(run.model, "auto", "float32") as place:
        vectors = embeddings_of(run.model, images, place).clone()
    return {"": (vectors, people), "raw pixels, ": (raw_pixels(images), people)}


def halves(vectors: Tensor, people: Labels, draws: int) -> list[Draw]:
    """The people cut into halves, so often; each half is clustered with what was chosen on the other."""
    found = []
    names = people.unique()
    for seed in range(draws):
        order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed))
        chosen = torch.isin(people, names[order[: len(names) // 2]])
        one, other = ((vectors[part], people[part]) for part in (chosen, ~chosen))
        found += [(one, other), (other, one)]
    return found


def train_on_characters(folder: Path) -> None:
    """A small Vision Transformer, in some minutes."""
    recipe = FacesRecipe(
        data="glyphs",
        run=folder,
        network="vit",
        patch_size=8,
        dim=128,
        depth=2,
        heads=4,
        mlp_dim=256,
        epochs=16,
        batch_size=240,
        per_person=8,
        evaluate_every=0,
    )
    train(recipe, ignore)


def show(title: str, rows: dict[str, list[Measured]]) -> dict[str, dict[str, float]]:
    """Print the table; the same for the JSON line."""
    print(title)
    costs = f"{'seconds':>8} {'of CPU':>7} {'MB':>6}"
    scores = f"{'B-cubed F':>9} {'± draws':>8} {'precision':>10} {'recall':>7}"
    print(f"{'':16} {costs}   {scores}")
    figures = {}
    for name, runs in rows.items():
        seconds, busy = (statistics.median(run[place] for run in runs) for place in (0, 1))
        memory = max(run[2] for run in runs)
        precision, recall, mean = (statistics.mean(run[3][place] for run in runs) for place in (0, 1, 2))
        spread = statistics.stdev(run[3].f for run in runs) if len(runs) > 1 else math.nan
        costs = f"{seconds:>8.2f} {busy:>7.2f} {memory:>6.0f}"
        print(f"{name:16} {costs}   {mean:>9.4f} {spread:>8.4f} {precision:>10.4f} {recall:>7.4f}")
        figures[name] = {
            "seconds": round(seconds, 2),
            "cpu_seconds": round(busy, 2),
            "mb": round(memory),
            "f": round(mean, 4),
        }
    return figures


def main() -> None:
    """Measure, print the tables and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=10_000, help="made embeddings (0: none)")
    parser.add_argument("--draws", type=int, default=3, help="of made embeddings; of halves of the people")
    parser.add_argument("--run", type=Path, help="a face run, whose test people are clustered")
    options = parser.parse_args()
    report = {
        "bench": "clustering",
        "draws": options.draws,
        "threads": torch.get_num_threads(),
        "load_before": round(os.getloadavg()[0], 2),
    }
    print(f"{report['threads']} threads on {os.cpu_count()} cores; load average before: {report['load_before']}")
    cluster(draw_faces(1000, 0)[0], 1.0)  # imports and threads
    if options.faces:
        parts = [
            (draw_faces(options.faces, 2 * seed), draw_faces(options.faces, 2 * seed + 1))
            for seed in range(options.draws)
        ]
        rows = compare(parts, peers=options.faces <= PEERS_UP_TO)
        title = f"{options.faces:,} made faces of about {len(parts[0][1][1].unique()):,} people, {options.draws} draws"
        report |= {"faces": options.faces, "made": show(title, rows)}
    with tempfile.TemporaryDirectory(prefix="vitrail-") as temporary:
        folder = options.run or Path(temporary) / "faces"
        if options.run is None:
            train_on_characters(folder)
        rows = {}
        for prefix, (vectors, people) in embedded(folder).items():
            rows |= compare(halves(vectors, people, options.draws), prefix, peers=not prefix)
    title = f"{len(people):,} test images of {len(people.unique()):,} people of {options.run or 'glyphs'}, "
    report["run"] = show(title + f"{2 * options.draws} halves", rows)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
