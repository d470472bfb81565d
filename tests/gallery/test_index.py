"""The index finds what a loop finds, survives what happens to files, and is never more than a copy of the database."""

import sys
from pathlib import Path

import numpy as np
import pytest
from gallery_places import DIM, MODEL, draw_codes, nearest_by_loop, record

from vitrail.errors import ConfigError, OutputError
from vitrail.gallery import folder
from vitrail.gallery.folder import INDEX, FolderStore
from vitrail.gallery.index import VectorIndex, load_index, saved_changes
from vitrail.gallery.store import Header


def filled(count: int = 211) -> tuple[VectorIndex, np.ndarray]:
    index, codes = VectorIndex(DIM), draw_codes(count)
    index.add(np.arange(count) + 1000, codes)
    return index, codes


def test_ids_are_those_that_were_added_and_not_removed() -> None:
    index, codes = filled(53)
    assert sorted(index.ids.tolist()) == list(range(1000, 1053))
    assert not index.holds_removed
    index.remove(np.array([1003, 1007]))
    assert sorted(set(range(1000, 1053)) - set(index.ids.tolist())) == [1003, 1007]
    assert len(index) == 51
    assert index.holds_removed
    found = {index.search(code, 1)[0] for code in codes}
    assert found == set(index.ids.tolist())
    index.add(np.array([2000]), codes[3:4])
    assert index.search(codes[3], 1) == [2000]


def test_what_is_found_is_what_a_loop_finds() -> None:
    index, codes = filled()
    asked = draw_codes(23, seed=1)
    found = [{key - 1000 for key in index.search(code, 5)} for code in asked]
    right = sum(len(keys & nearest_by_loop(codes, code, 5)) for keys, code in zip(found, asked, strict=True))
    assert right >= 0.97 * 23 * 5, "a graph is searched along its links, and may miss one"


def test_no_code_is_lost_of_those_that_are_added_at_once() -> None:
    index, codes = VectorIndex(DIM), draw_codes(10_000)
    for ids in np.split(np.arange(len(codes)), 10):
        index.add(ids, codes[ids])
    assert [place for place, code in enumerate(codes) if index.search(code, 1) != [place]] == []


def test_without_usearch_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(ConfigError, match=r"usearch, which isn't installed: pip install 'vitrail\[faces\]'"):
        load_index(tmp_path / INDEX, DIM)


def test_an_empty_index_finds_nothing(tmp_path: Path) -> None:
    index = VectorIndex(DIM)
    assert index.search(draw_codes(1)[0], 5) == []
    assert index.ids.tolist() == []
    index.add(np.empty(0, np.int64), np.empty((0, DIM), np.int8))
    index.remove(np.empty(0, np.int64))
    assert not index.holds_removed
    index.save(tmp_path / "i")
    assert len(load_index(tmp_path / "i", DIM)) == 0


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    index, _ = filled()
    index.changes = 42
    index.save(tmp_path / "i")
    assert saved_changes(tmp_path / "i") == 42
    again = load_index(tmp_path / "i", DIM)
    assert again.changes == 42
    assert sorted(again.ids) == sorted(index.ids)
    for code in draw_codes(11, seed=2):
        assert again.search(code, 7) == index.search(code, 7)
    again.add(np.array([5]), draw_codes(1, seed=3))
    assert again.search(draw_codes(1, seed=3)[0], 1) == [5]


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "text"])
def test_a_damaged_file_is_as_good_as_none(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "i"
    filled()[0].save(path)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1 if damage == "flipped" else 0
    cases = {"missing": b"", "empty": b"", "cut": content[:-7], "flipped": content, "text": b"no index" * 99}
    path.write_bytes(cases[damage])
    if damage == "missing":
        path.unlink()
    index = load_index(path, DIM)
    assert (len(index), index.changes) == (0, -1)
    assert not path.exists()
    index.add(np.array([1]), draw_codes(1))
    assert index.search(draw_codes(1)[0], 1) == [1]


def store_of(place: Path, codes: np.ndarray) -> FolderStore:
    store = FolderStore(place)
    store.create(Header(DIM, frozenset({MODEL}), None))
    store.enroll("Ada", [record(code, number) for number, code in enumerate(codes)])
    return store


def test_the_file_is_written_when_it_lags_behind_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "SAVE_EVERY", 7)
    codes = draw_codes(31)
    store = store_of(tmp_path, codes[:6])
    store.nearest(codes[0], 1)
    assert not (tmp_path / INDEX).exists()
    store.enroll("Bo", [record(codes[6], 6)])
    store.nearest(codes[0], 1)
    assert saved_changes(tmp_path / INDEX) == 7
    store.enroll("Bo", [record(code, 7 + number) for number, code in enumerate(codes[7:20])])
    store.close()  # who enrolls many leaves an index for whoever looks next
    assert saved_changes(tmp_path / INDEX) == 20


def test_any_index_that_is_found_is_caught_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stale, damaged, or of another time: answers are the database's."""
    monkeypatch.setattr(folder, "SAVE_EVERY", 1)
    codes = draw_codes(23)
    gone = draw_codes(1, seed=5)[0]
    store = store_of(tmp_path, codes[:11])
    store.enroll("Cy", [record(gone, 99)])
    store.nearest(codes[0], 1)
    old = (tmp_path / INDEX).read_bytes()
    store.enroll("Bo", [record(code, 50 + number) for number, code in enumerate(codes[11:])])
    store.forget("Cy")
    store.close()
    for content in (old, old[:-5], b"", None):
        (tmp_path / INDEX).unlink(missing_ok=True)
        if content is not None:
            (tmp_path / INDEX).write_bytes(content)
        store = FolderStore(tmp_path)
        assert store.nearest(codes[3], 1).names == ("Ada",)
        assert store.nearest(codes[13], 1).names == ("Bo",)
        assert store.nearest(gone, 1).names in (("Ada",), ("Bo",))
        store.close()


def test_a_folder_that_can_not_be_written_is_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "SAVE_EVERY", 1)
    codes = draw_codes(5)
    store = store_of(tmp_path, codes)

    def refuse(index: VectorIndex, path: Path) -> None:
        raise OutputError("no room")

    monkeypatch.setattr(VectorIndex, "save", refuse)
    assert store.nearest(codes[0], 1).names == ("Ada",)
    with pytest.raises(OutputError):
        store.forget("Ada")  # which must not claim that the bytes are gone
    store.close()


def test_a_busy_log_is_told_and_the_forgetting_finished_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    from vitrail.errors import GalleryError
    from vitrail.gallery import database

    monkeypatch.setattr(database, "PATIENCE", 0.2)
    codes = draw_codes(2)
    store = store_of(tmp_path, codes[:1])
    store.enroll("Zoë Quixote", [record(codes[1], 7)])
    reader = sqlite3.connect(tmp_path / "gallery.sqlite3", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM faces").fetchone()
    with pytest.raises(GalleryError, match=r"reads it without a pause.*stop that process, and the next"):
        store.forget("Zoë Quixote")
    assert [person.name for person in store.people()] == ["Ada"]
    reader.execute("COMMIT")
    reader.close()
    assert store.forget("Zoë Quixote") == 0
    store.close()
    everything = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert "Zoë Quixote".encode() not in everything
    assert codes[1].tobytes() not in everything
