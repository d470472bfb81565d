"""Both stores keep the same promises: the same tests run on a folder and on a PostgreSQL server."""

from pathlib import Path

import numpy as np
import pytest
from gallery_places import BOX, DIM, MODEL, WHEN, Stores, as_stored, contents, draw_codes, nearest_by_loop, record

from vitrail.errors import GalleryError
from vitrail.gallery import folder
from vitrail.gallery.detection import Box
from vitrail.gallery.store import Enrolment, Header, Person, Store

PATHS = ("../../outside", "/etc/passwd", "C:\\x", "Robert'); DROP TABLE people;--", "%s", "😀", "李小龍", "{dim}")


@pytest.fixture(autouse=True)
def _index_is_written_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "SAVE_EVERY", 8)


def names_near(store: Store, code: np.ndarray, count: int = 5) -> set[str]:
    return set(store.nearest(code, count).names)


def test_before_anybody_is_enrolled_there_is_nothing(stores: Stores, tmp_path: Path) -> None:
    store = stores.opened()
    assert store.header() is None
    assert store.people() == []
    assert store.size() == 0
    assert store.records("Ada") == []
    assert store.nearest(draw_codes(1)[0], 3).names == ()
    assert store.forget("Ada") == 0
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_a_gallery_that_another_process_makes_is_found(stores: Stores) -> None:
    early = stores.opened()
    assert early.people() == []
    stores.made().enroll("Ada", [record(draw_codes(1)[0], 1)])
    assert early.people() == [Person("Ada", 1)]
    assert early.nearest(draw_codes(1)[0], 1).names == ("Ada",)
    early.enroll("Bo", [record(draw_codes(2)[1], 2)])


def test_a_gallery_is_made_once(stores: Stores) -> None:
    one, other = stores.opened(), stores.opened()
    one.create(Header(DIM, frozenset({MODEL}), "{}"))
    other.create(Header(7, frozenset({"other"}), None))
    for store in (one, other, stores.opened()):
        assert store.header() == Header(DIM, frozenset({MODEL}), "{}")
    one.calibrate("new")
    assert stores.opened().header() == Header(DIM, frozenset({MODEL}), "new")


def test_what_is_enrolled_is_kept_as_it_was(stores: Stores) -> None:
    codes = draw_codes(3)
    with_two = stores.made()
    two = [record(codes[0], 1), record(codes[1], 2, Box(0, 0, 8, 8))]
    assert with_two.enroll("Zoe\u0308", two) == Enrolment("Zo\u00eb", 2, 0)
    assert with_two.enroll("ada", [record(codes[2], 1)]).added == 1  # another face in the same photograph
    assert with_two.size() == 3
    with_two.close()
    store = stores.opened()
    assert store.people() == [Person("ada", 1), Person("Zo\u00eb", 2)]
    first, second = store.records(" ZOË")
    np.testing.assert_array_equal(first.code, codes[0])
    assert (first.photograph, first.box, first.model, first.when) == (f"{1:064x}", BOX, MODEL, WHEN)
    assert second.box == Box(0, 0, 8, 8)
    assert store.records("nobody") == []


def test_the_same_photograph_and_name_twice_are_kept_once(stores: Stores) -> None:
    store = stores.made()
    code = draw_codes(1)[0]
    assert store.enroll("Ada", [record(code, 1), record(code, 1)]) == Enrolment("Ada", 1, 1)
    assert store.enroll("ADA", [record(code, 1), record(draw_codes(2)[1], 2)]) == Enrolment("Ada", 1, 1)
    assert stores.opened().people() == [Person("Ada", 2)]


def test_all_of_a_person_or_nothing(stores: Stores) -> None:
    store = stores.made()
    codes = draw_codes(3)
    store.enroll("Ada", [record(codes[0], 1)])
    elsewhere = Box(9, 9, 9, 9)
    with pytest.raises(GalleryError, match=f"Ada is already known .* box {BOX} and now with {elsewhere}.*forget Ada"):
        store.enroll("Ada", [record(codes[1], 2), record(codes[2], 1, elsewhere)])
    with pytest.raises(GalleryError, match="Bo is already known"):
        store.enroll("Bo", [record(codes[1], 2), record(codes[1], 2, elsewhere)])
    assert store.people() == [Person("Ada", 1)]
    assert names_near(store, codes[1]) == {"Ada"}


def test_names_are_text_and_nothing_else(stores: Stores, tmp_path: Path) -> None:
    store = stores.made()
    codes = draw_codes(len(PATHS))
    for number, name in enumerate(PATHS):
        store.enroll(name, [record(codes[number], number)])
    assert {person.name for person in store.people()} == set(PATHS)
    for number, name in enumerate(PATHS):
        assert names_near(store, codes[number], 1) == {name}
    assert store.forget(PATHS[3]) == 1
    assert len(stores.opened().people()) == len(PATHS) - 1
    assert {path.name for path in tmp_path.iterdir()} <= {"gallery"}


@pytest.mark.parametrize("count", [1, 7])
def test_the_nearest_are_those_of_a_loop(count: int, stores: Stores) -> None:
    store = stores.made()
    codes = draw_codes(53)
    for number, code in enumerate(codes):
        store.enroll(f"person {number}", [record(code, number)])
    for code in draw_codes(11, seed=1):
        found = store.nearest(code, count)
        numbers = {int(name.split()[1]) for name in found.names}
        assert numbers == nearest_by_loop(codes, code, count)
        for name, kept in zip(found.names, found.codes, strict=True):
            np.testing.assert_array_equal(kept, codes[int(name.split()[1])])
    assert len(store.nearest(codes[0], 1000).names) == 53


def test_another_process_s_changes_are_seen_at_once(stores: Stores) -> None:
    writer, reader = stores.made(), stores.opened()
    codes = draw_codes(5)
    for number, code in enumerate(codes):
        writer.enroll(f"person {number}", [record(code, number)])
        assert names_near(reader, code, 1) == {f"person {number}"}
    writer.forget("person 2")
    assert names_near(reader, codes[2]) == {"person 0", "person 1", "person 3", "person 4"}
    writer.enroll("person 5", [record(codes[2], 2)])
    assert names_near(reader, codes[2], 1) == {"person 5"}


def test_forgetting_removes_every_trace(stores: Stores, place: str) -> None:
    store = stores.made()
    codes = draw_codes(23)
    for number, code in enumerate(codes):
        store.enroll(f"person {number}", [record(code, number)])
    store.enroll("Zoë Quixote", [record(draw_codes(1, seed=9)[0], 777_777), record(codes[7], 888_888)])
    gone = draw_codes(1, seed=9)[0]
    assert names_near(store, gone, 1) == {"Zoë Quixote"}  # now the index is written, too
    traces = ["Zoë Quixote".encode(), "zoë quixote".encode(), as_stored(gone, place), bytes.fromhex(f"{777_777:064x}")]
    before = contents(place)
    assert [trace in before for trace in traces] == [True] * 4

    assert store.forget("zoë QUIXOTE") == 2
    after = contents(place)
    assert [trace in after for trace in traces] == [False] * 4
    assert as_stored(codes[7], place) in after, "the others stay"
    assert names_near(store, gone, 1) != {"Zoë Quixote"}
    assert len(store.people()) == 23
    assert store.forget("Zoë Quixote") == 0
    store.close()
    assert [trace in contents(place) for trace in traces] == [False] * 4


def test_a_reader_puts_no_forgotten_code_back(stores: Stores, place: str) -> None:
    writer, reader = stores.made(), stores.opened()
    codes = draw_codes(37, seed=8)  # the server also keeps other tests' codes
    writer.enroll("Ada", [record(code, number) for number, code in enumerate(codes[:11])])
    writer.enroll("Zoë Quixote", [record(code, 11 + number) for number, code in enumerate(codes[11:27])])
    reader.nearest(codes[0], 1)
    writer.forget("Zoë Quixote")
    # Fewer than were forgotten, so that they can't take the place of all of them; enough for the index to be written.
    writer.enroll("Ada", [record(code, 27 + number) for number, code in enumerate(codes[27:])])
    reader.nearest(codes[0], 1)
    reader.close()
    assert [as_stored(code, place) in contents(place) for code in codes[11:27]] == [False] * 16
    assert names_near(writer, codes[12], 37) == {"Ada"}


def test_a_forgetting_that_was_cut_short_is_finished_by_the_next_writer(
    stores: Stores, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stores.made()
    codes = draw_codes(11, seed=7)
    store.enroll("Ada", [record(code, number) for number, code in enumerate(codes[:10])])
    store.enroll("Zoë Quixote", [record(codes[10], 10)])
    store.nearest(codes[0], 1)
    with monkeypatch.context() as cut:
        cut.setattr(type(store), "_finish_forgetting", lambda *nothing: None)
        store.forget("Zoë Quixote")
    store.close()
    trace = as_stored(codes[10], place)
    assert trace in contents(place), "else this tests nothing"
    store = stores.opened()
    assert store.people() == [Person("Ada", 10)]
    store.enroll("Ada", [record(codes[0], 0)])
    assert trace not in contents(place)
    assert "Zoë Quixote".encode() not in contents(place)


def test_only_harmonic_models_are_let_in(stores: Stores) -> None:
    store = stores.made()
    with pytest.raises(GalleryError, match=r"another model \(abababababab…\) than this one \(second…\)"):
        store.admit("second", ())
    store.admit("second", {MODEL})
    store.admit("second", ())  # it is in
    with pytest.raises(GalleryError, match="another model"):
        store.admit("third", {MODEL})
    store.admit("third", {MODEL, "second"})
    header = stores.opened().header()
    assert header is not None
    assert header.models == {MODEL, "second", "third"}
