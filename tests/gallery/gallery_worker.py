"""Processes that enroll, look up, forget, and are killed meanwhile: ``python gallery_worker.py JOB PLACE COUNT``.

Each is forked from this one, which has imported everything; what they acknowledge comes back as lines of a pipe.
"""

import json
import os
import random
import select
import signal
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

from gallery_places import draw_codes, made_store, open_store, record

from vitrail.gallery import folder

folder.SAVE_EVERY = 3  # so that kills hit the writing of the index, too


FORGETTABLE = range(500_000, 500_040)
"""Those who are to be forgotten: nobody else's codes are on the server."""


def faces_of(number: int) -> list:
    """The two faces of person ``number``."""
    return [record(code, 2 * number + place) for place, code in enumerate(draw_codes(2, seed=number + 1_000_000))]


def enroll(place: str, first: int, pipe: int) -> None:
    """Enroll people from ``first`` on, for ever; acknowledge each when it is done."""
    store = open_store(place)
    for number in range(first, first + 1000):
        faces = faces_of(number)
        store.enroll(f"person {number}", faces)
        os.write(pipe, f"{number}\n".encode())
        store.nearest(faces[0].code, 1)


def forget(place: str, first: int, pipe: int) -> None:
    """Forget people from ``first`` on, then wait."""
    store = open_store(place)
    for number in range(first, FORGETTABLE.stop):
        os.write(pipe, f"{number}\n".encode())
        store.forget(f"person {number}")
    signal.pause()


def look(place: str, first: int, pipe: int) -> None:
    """Look at everybody again and again; write what is wrong, and a dot a look."""
    store = open_store(place)
    while True:
        people = store.people()
        for person in people:
            if person.faces != 2:
                os.write(pipe, f"{person} has half of their faces\n".encode())
        if people:
            number = int(random.Random(time.time_ns()).choice(people).name.split()[1])
            found = store.nearest(faces_of(number)[1].code, 1)
            if found.names != (f"person {number}",):
                os.write(pipe, f"looked for person {number}, found {found.names}\n".encode())
        os.write(pipe, b".\n")


def start(job: str, place: str, first: int) -> tuple[int, int]:
    """Fork a process that does the job; its id, and the pipe to read from."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            {"enroll": enroll, "forget": forget, "look": look}[job](place, first, writing)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    return process, reading


def kill(process: int, pipe: int) -> list[str]:
    """Kill a process; the whole lines that it wrote."""
    os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    with os.fdopen(pipe) as lines:
        said = lines.read().splitlines()
    return said if os.waitstatus_to_exitcode(status) == -signal.SIGKILL else [f"it ended by itself, {status}"]


def main() -> None:
    """Do a job and print what came of it, as JSON."""
    job, place, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    made_store(place).close()
    delays = random.Random(0)
    if job == "look":
        looking = [start("look", place, 0) for _ in range(count)]
        writing = start("enroll", place, 0)
        time.sleep(3)
        print(json.dumps([kill(*process) for process in [writing, *looking]]))
        return
    told = []
    for number in range(count):
        process, pipe = start(job, place, number * 1000 if job == "enroll" else FORGETTABLE.start)
        select.select([pipe], [], [], 60)  # it is at work now
        time.sleep(delays.uniform(0, 0.2))
        told.append(kill(process, pipe))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
