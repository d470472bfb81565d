"""Thresholds are measured, survive their file to the last bit, and damaged files are told from whole ones."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from test_pairs import PAIRS, some

from vitrail.errors import DataError, OutputError
from vitrail.faces.calibration import (
    Calibration,
    OperatingPoint,
    calibrate,
    parse_calibration,
    read_calibration,
    write_calibration,
)
from vitrail.faces.clustering import choose_threshold
from vitrail.faces.mining import squared_distances
from vitrail.faces.pairs import compare_all

SMALL = Calibration(
    fingerprint="abc",
    data="glyphs, test",
    people=13,
    faces=59,
    same_pairs=211,
    different_pairs=1500,
    points=(
        OperatingPoint(0.01, 0.1 + 0.2, (0.29, 0.31), 0.5, 0.02),
        OperatingPoint(0.001, 0.1, (0.0, 0.2), 0.25, 0.1),
    ),
    cluster_threshold=1.1,
)


def test_what_is_measured() -> None:
    faces, labels = some()
    found = calibrate(faces, labels, data="people", fingerprint="abc", rates=(0.001, 0.05, 0.2))
    assert (found.data, found.fingerprint, found.people, found.faces) == ("people", "abc", 13, 59)
    assert found.different_pairs == PAIRS // 2
    assert found.same_pairs == 59 * 58 // 2 - PAIRS // 2
    assert [point.far for point in found.points] == [0.2, 0.05, 0.001]
    assert found.cluster_threshold == choose_threshold(faces, labels).threshold
    table = squared_distances(faces, faces)
    same = labels[:, None] == labels
    for point in found.points:
        assert float((table <= point.threshold)[~same].double().mean()) <= point.far
        assert point.interval[0] <= point.threshold <= point.interval[1]
        expected = compare_all(faces, labels).at_far(point.far)
        assert (point.val, point.val_error) == expected.val


def test_rates_that_cannot_be_told_are_left_out_and_said_to_be() -> None:
    faces, labels = some()
    found = calibrate(faces, labels, data="people", fingerprint="abc", rates=(0.1, 1e-5))
    assert [point.far for point in found.points] == [0.1]
    assert found.at(0.1) is found.points[0]
    with pytest.raises(
        DataError, match=r"no threshold was measured for a false accept rate of 1e-05: people has 1,\d+ p"
    ):
        found.at(1e-5)
    with pytest.raises(
        DataError, match=r"people has \d+ pairs of different people, too few for a false accept rate of"
    ):
        calibrate(faces[:5], torch.tensor([0, 0, 1, 1, 1]), data="people", fingerprint="abc", rates=(1e-3, 1e-4))


def test_a_file_keeps_every_bit(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    write_calibration(path, SMALL)
    assert read_calibration(path) == SMALL
    assert parse_calibration(SMALL.to_json(), "text") == SMALL
    assert [file.name for file in tmp_path.iterdir()] == ["calibration.json"]
    assert SMALL.at(0.01).threshold == 0.1 + 0.2


def test_fields_of_a_later_version_are_passed_over() -> None:
    record = json.loads(SMALL.to_json()) | {"weather": "fine"}
    assert parse_calibration(json.dumps(record), "text") == SMALL


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Calibration)] + ["format", "version"])
def test_a_missing_field_is_named(field: str) -> None:
    record = json.loads(SMALL.to_json())
    del record[field]
    with pytest.raises(
        DataError, match=rf"text is damaged: '{field}' is missing; measure again with `vitrail evaluate`"
    ):
        parse_calibration(json.dumps(record), "text")


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(OperatingPoint)])
def test_a_missing_field_of_a_point_is_named(field: str) -> None:
    record = json.loads(SMALL.to_json())
    del record["points"][1][field]
    with pytest.raises(DataError, match=rf"text is damaged: '{field}' is missing"):
        parse_calibration(json.dumps(record), "text")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"people": "13"}, "'people' is '13'"),
        ({"faces": True}, "'faces' is True"),
        ({"points": 3}, "'points' is 3"),
        ({"points": [3]}, "there is 3 where fields should be"),
        ({"cluster_threshold": float("nan")}, "'cluster_threshold' is nan, which is no number"),
        ({"format": "calibration"}, "is no vitrail face calibration of version 1"),
        ({"version": 2}, "is no vitrail face calibration of version 1"),
        ({"points": [dataclasses.asdict(SMALL.points[0]) | {"interval": [1.0]}]}, "'interval' has 1 ends"),
        ({"points": [dataclasses.asdict(SMALL.points[0]) | {"interval": [1.0, None]}]}, "'interval' is None"),
        ({"points": [dataclasses.asdict(SMALL.points[0]) | {"threshold": float("inf")}]}, "'threshold' is inf"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], said: str) -> None:
    record = json.loads(SMALL.to_json()) | change
    with pytest.raises(DataError) as caught:
        parse_calibration(json.dumps(record), "text")
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"abc"', "null"])
def test_what_is_no_calibration_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="text is damaged"):
        parse_calibration(text, "text")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"calibration\.json can't be read \(No such file or directory\); measure again"
    ):
        read_calibration(tmp_path / "calibration.json")
    broken = tmp_path / "broken.json"
    broken.write_bytes(b"\xff\xfe{")
    with pytest.raises(DataError, match=r"broken\.json is damaged \(it is no text\)"):
        read_calibration(broken)


def test_a_file_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    write_calibration(path, SMALL)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_calibration(path, dataclasses.replace(SMALL, cluster_threshold=float("nan")))
    assert read_calibration(path) == SMALL
    with pytest.raises(OutputError, match="can't be written"):
        write_calibration(tmp_path / "nowhere" / "calibration.json", SMALL)
