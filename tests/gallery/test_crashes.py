"""Killed at any moment, nothing acknowledged is lost and nothing is broken; readers never see half a person."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

from gallery_places import Stores, as_stored, contents
from gallery_worker import FORGETTABLE, faces_of

WORKER = Path(__file__).parent / "gallery_worker.py"


def work(job: str, place: str, count: int) -> list[list[str]]:
    done = subprocess.run([sys.executable, WORKER, job, place, str(count)], capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    told: list[list[str]] = json.loads(done.stdout)
    return told


def assert_sound(place: str) -> None:
    """The database holds together; and the index is no more than a copy, so that it may be missing."""
    if place.startswith("postgresql:"):
        return
    connection = sqlite3.connect(Path(place) / "gallery.sqlite3")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


def test_twenty_kills_while_enrolling_lose_nobody(stores: Stores, place: str) -> None:
    told = work("enroll", place, 20)
    assert len(told) == 20
    assert_sound(place)
    store = stores.opened()
    people = {person.name: person.faces for person in store.people()}
    assert set(people.values()) == {2}, "all of a person or nothing"
    for session, lines in enumerate(told):
        assert lines, "each was killed at work"
        for number in map(int, lines):
            kept = store.records(f"person {number}")
            assert [record.code.tolist() for record in kept] == [face.code.tolist() for face in faces_of(number)]
            assert store.nearest(kept[1].code, 1).names == (f"person {number}",)
        # At most the one that was under way is kept without having been acknowledged.
        mine = [name for name in people if int(name.split()[1]) // 1000 == session]
        assert len(lines) <= len(mine) <= len(lines) + 1
    (Path(place) / "vectors.usearch").unlink(missing_ok=True)
    again = stores.opened()
    assert again.nearest(faces_of(int(told[7][0]))[0].code, 1).names == (f"person {told[7][0]}",)


def test_whoever_was_being_forgotten_is_whole_or_gone_without_a_trace(stores: Stores, place: str) -> None:
    store = stores.made()
    for number in FORGETTABLE:
        store.enroll(f"person {number}", faces_of(number))
    store.nearest(faces_of(FORGETTABLE[0])[0].code, 1)
    told = work("forget", place, 8)
    assert_sound(place)
    left = {person.name: person.faces for person in store.people()}
    assert set(left.values()) <= {2}
    gone = {number for number in FORGETTABLE if f"person {number}" not in left}
    for lines in told:
        assert set(map(int, lines[:-1])) <= gone, "only the last one of each may still be there"
    assert gone
    last = faces_of(FORGETTABLE[-1])
    store.enroll(f"person {FORGETTABLE[-1]}", last)  # any writer finishes what was cut short
    everything = contents(place)
    for number in gone - {FORGETTABLE[-1]}:
        assert f"person {number}".encode() not in everything
        for face in faces_of(number):
            assert as_stored(face.code, place) not in everything
    assert as_stored(last[0].code, place) in everything


def test_readers_see_whole_people_while_one_writes(place: str) -> None:
    written, *looks = work("look", place, 2)
    assert len(written) >= 3
    for lines in looks:
        assert set(lines) == {"."}
        assert len(lines) >= 3
