"""From photographs to answers, in both places; and everything that isn't an answer is a sentence."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from gallery_faces import FINGERPRINT, SIZE, SKINS, THRESHOLD, calibration, embed, photograph, portrait

from vitrail.errors import ConfigError, DataError, GalleryError, ModelError, OutputError, VitrailError
from vitrail.gallery import Answer, Box, Choice, Gallery, NoFaceError, SeveralFacesError
from vitrail.gallery.store import Enrolment, Person

Open = Callable[..., Gallery]
PEOPLE = dict(zip(("Ada", "Bo", "Zoë", "Dee"), SKINS, strict=True))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """ada0.png, ada1.png, …: two portraits of each; both.png: two people; empty.png: nobody."""
    for name, skin in PEOPLE.items():
        for seed in range(2):
            portrait(tmp_path / f"{name.lower()}{seed}.png", skin, seed)
    two = [PEOPLE["Bo"], PEOPLE["Dee"]]
    photograph([(5, 20, 140), (220, 20, 170)], skins=two).save(tmp_path / "both.png")
    photograph([]).save(tmp_path / "empty.png")
    return tmp_path


@pytest.fixture
def opened(place: str) -> Iterator[Open]:
    """Opens galleries at one place, with the toy network and its calibration unless others are given."""
    galleries: list[Gallery] = []

    def open_gallery(**changes: object) -> Gallery:
        options = {"embed": embed, "fingerprint": FINGERPRINT, "calibration": calibration(), "image_size": SIZE}
        galleries.append(Gallery(place, **{**options, **changes}))  # type: ignore[arg-type]
        return galleries[-1]

    yield open_gallery
    for gallery in galleries:
        gallery.close()


def test_the_enrolled_are_told_from_each_other_and_from_strangers(opened: Open, photos: Path) -> None:
    gallery = opened()
    for name in ("Ada", "Bo", "Zoë"):
        assert gallery.enroll(name, [photos / f"{name.lower()}0.png"]) == Enrolment(name, 1, 0)
    gallery.close()
    gallery = opened(calibration=None)  # its own copy counts
    for name in ("Ada", "Bo", "Zoë"):
        answer = gallery.identify(photos / f"{name.lower()}1.png")
        assert answer.name == name
        assert 0 < answer.distance <= answer.point.threshold == THRESHOLD
    stranger = gallery.identify(photos / "dee0.png")
    assert stranger.name is None
    assert stranger.distance > THRESHOLD
    assert stranger.faces == 3
    assert stranger.stranger_risk == pytest.approx(1 - 0.999**3)


def test_distances_are_those_of_the_network_s_own_vectors(opened: Open, photos: Path) -> None:
    gallery = opened()
    gallery.enroll("Ada", [photos / "ada0.png"])
    answer = gallery.identify(photos / "ada1.png")
    verdict = gallery.verify(photos / "ada0.png", photos / "ada1.png")
    assert verdict.same
    assert answer.distance == pytest.approx(verdict.distance, rel=0.2)  # one of the two was rounded to bytes
    assert not gallery.verify(photos / "ada0.png", photos / "bo0.png").same
    assert gallery.identify(photos / "ada0.png").distance < 1e-4


def test_the_threshold_is_that_of_the_rate_asked_for(opened: Open, photos: Path) -> None:
    gallery = opened()
    gallery.enroll("Ada", [photos / "ada0.png"])
    assert gallery.identify(photos / "bo0.png", far=0.001).name is None
    assert gallery.identify(photos / "bo0.png", far=0.01).name == "Ada"
    with pytest.raises(DataError, match=r"no threshold was measured for .* 0\.1"):
        gallery.identify(photos / "bo0.png", far=0.1)


def test_enrolling_twice_is_enrolling_once(opened: Open, photos: Path) -> None:
    gallery = opened()
    assert gallery.enroll(" ZOE\u0308 ", [photos / "zoë0.png"]) == Enrolment("ZO\u00cb", 1, 0)
    again = gallery.enroll("zoë", [photos / "zoë0.png", photos / "zoë1.png", photos / "zoë0.png"])
    assert again == Enrolment("ZO\u00cb", 1, 2)
    assert gallery.people() == [Person("ZO\u00cb", 2)]


def test_nothing_is_kept_of_a_list_with_a_bad_photograph(opened: Open, photos: Path) -> None:
    gallery = opened()
    (photos / "cut.png").write_bytes((photos / "ada0.png").read_bytes()[:500])
    for bad, error in (("cut.png", DataError), ("empty.png", NoFaceError), ("both.png", SeveralFacesError)):
        with pytest.raises(error, match=bad):
            gallery.enroll("Ada", [photos / "ada0.png", photos / bad])
    assert gallery.people() == []
    with pytest.raises(ConfigError, match="no photograph of Ada"):
        gallery.enroll("Ada", [])
    with pytest.raises(ConfigError, match="the name"):
        gallery.enroll(" ", [photos / "ada0.png"])


def test_one_of_several_faces_can_be_meant(opened: Open, photos: Path) -> None:
    gallery = opened()
    gallery.enroll("Dee", [photos / "both.png"], Choice(largest=True))
    gallery.enroll("Bo", [photos / "both.png"], Choice(box=Box.parse("20,36,112,112")))
    assert gallery.identify(photos / "dee0.png", far=0.01).name == "Dee"
    with pytest.raises(SeveralFacesError, match="2 faces"):
        gallery.identify(photos / "both.png")
    assert gallery.identify(photos / "both.png", Choice(largest=True)).name == "Dee"
    with pytest.raises(ConfigError, match="can't be meant for 2 photographs"):
        gallery.enroll("Bo", [photos / "both.png", photos / "bo0.png"], Choice(box=Box(1, 1, 50, 50)))
    with pytest.raises(GalleryError, match="Dee is already known by this photograph"):
        gallery.enroll("Dee", [photos / "both.png"], Choice(box=Box(1, 1, 50, 50)))


def test_forgetting(opened: Open, photos: Path) -> None:
    gallery = opened()
    gallery.enroll("Zoë", [photos / "zoë0.png", photos / "zoë1.png"])
    gallery.enroll("Ada", [photos / "ada0.png"])
    assert gallery.forget("ZOE\u0308") == 2
    assert gallery.identify(photos / "zoë0.png").name is None
    assert gallery.people() == [Person("Ada", 1)]
    with pytest.raises(GalleryError, match=r"there is no Zoë in "):
        gallery.forget("Zoë")
    with pytest.raises(GalleryError, match=r"there is no Adda in .*: did you mean Ada\?"):
        gallery.forget("Adda")
    gallery.forget("Ada")
    with pytest.raises(GalleryError, match="nobody is enrolled in"):
        gallery.identify(photos / "ada0.png")
    assert gallery.enroll("Zoë", [photos / "zoë0.png"]).added == 1


def test_another_model_is_refused_unless_it_is_harmonic(opened: Open, photos: Path) -> None:
    opened().enroll("Ada", [photos / "ada0.png"])
    other = "0d" * 16
    with pytest.raises(GalleryError, match=r"another model \(c0c0c0c0c0c0…\) than this one \(0d0d0d0d0d0d…\)"):
        opened(fingerprint=other, calibration=calibration(other))
    with pytest.raises(GalleryError, match=r"calibration was measured for the model c0c0.*run 'vitrail evaluate'"):
        opened(fingerprint=other)
    second = opened(fingerprint=other, calibration=calibration(other), harmonic_with={FINGERPRINT})
    assert second.identify(photos / "ada1.png").name == "Ada"
    second.enroll("Bo", [photos / "bo0.png"])
    assert opened().identify(photos / "bo1.png").name == "Bo"
    third = "ee" * 16
    with pytest.raises(GalleryError, match="another model"):
        opened(fingerprint=third, calibration=None, harmonic_with={FINGERPRINT})


def test_a_model_that_comes_between_is_refused_too(opened: Open, photos: Path) -> None:
    """Both found no gallery; the second to enroll must not mix its vectors in."""
    one, other = opened(), opened(fingerprint="0d" * 16, calibration=None)
    one.enroll("Ada", [photos / "ada0.png"])
    with pytest.raises(GalleryError, match="another model"):
        other.enroll("Bo", [photos / "bo0.png"])
    with pytest.raises(GalleryError, match="another model"):
        other.identify(photos / "ada0.png")


def test_another_width_is_refused(opened: Open, photos: Path) -> None:
    opened().enroll("Ada", [photos / "ada0.png"])
    narrow = opened(embed=lambda crops: torch.nn.functional.normalize(embed(crops)[:, :7]))
    with pytest.raises(GalleryError, match="vectors of 45 coordinates, and this model gives 7"):
        narrow.enroll("Bo", [photos / "bo0.png"])
    with pytest.raises(GalleryError, match="vectors of 45 coordinates, and this model gives 7"):
        narrow.identify(photos / "ada0.png")


def test_without_a_calibration_nobody_is_named(opened: Open, photos: Path) -> None:
    gallery = opened(calibration=None)
    gallery.enroll("Ada", [photos / "ada0.png"])
    for question in (gallery.identify, lambda photo: gallery.verify(photo, photo)):
        with pytest.raises(GalleryError, match=r"has no calibration, .*'vitrail evaluate'"):
            question(photos / "ada1.png")
    opened().enroll("Ada", [photos / "ada0.png"])  # brings one, though the photograph is known
    assert gallery.identify(photos / "ada1.png").name == "Ada"


def test_the_newest_calibration_is_copied(opened: Open, photos: Path) -> None:
    opened().enroll("Ada", [photos / "ada0.png"])
    opened(calibration=calibration(threshold=1e-9)).enroll("Bo", [photos / "bo0.png"])
    assert opened(calibration=None).identify(photos / "ada1.png").name is None


@pytest.mark.parametrize(
    ("network", "part"),
    [
        (lambda crops: embed(crops) * 2, r"lengths 2 to 2, and 1 was expected: normalise"),
        (lambda crops: embed(crops) * float("nan"), "lengths nan to nan"),
        (lambda crops: embed(crops)[0], r"made \(45,\) of 1 faces"),
        (lambda crops: embed(crops).repeat(2, 1), r"made \(2, 45\) of 1 faces"),
    ],
    ids=["long", "nan", "flat", "too many"],
)
def test_a_network_that_does_not_embed(network: object, part: str, opened: Open, photos: Path) -> None:
    gallery = opened(embed=network)
    with pytest.raises(ModelError, match=part):
        gallery.enroll("Ada", [photos / "ada0.png"])
    assert gallery.people() == []


def test_clusters_are_people_and_one_photograph_holds_no_person_twice(photos: Path, opened: Open) -> None:
    gallery = opened()
    everything = [*sorted(photos.glob("*[01].png")), photos / "both.png"]
    clusters = gallery.cluster(everything)
    assert [len(faces) for faces in clusters] == sorted((len(faces) for faces in clusters), reverse=True)
    assert sum(len(faces) for faces in clusters) == 10
    for faces in clusters:
        assert len({Path(face.source).stem.rstrip("01") for face in faces} - {"both"}) <= 1
        assert len({face.source for face in faces}) == len(faces)
    assert len(gallery.cluster(everything, threshold=4.0)) == 2, "the two faces of one photograph stay apart"
    with pytest.raises(NoFaceError, match="empty"):
        gallery.cluster([photos / "empty.png"])


def test_the_page_on_consent_computes_as_we_do(root: Path) -> None:
    """docs/consent.md tells how likely a stranger is given a name; so does every answer."""
    page = (root / "docs" / "consent.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d,]+) \| (\d+)% \|$", page, re.MULTILINE)
    assert len(rows) == 4
    point = calibration().at(0.001)
    for faces, chance in rows:
        answer = Answer(None, 1.0, point, "", Box(0, 0, 1, 1), int(faces.replace(",", "")))
        assert round(100 * answer.stranger_risk) == int(chance)


def test_an_address_of_no_known_kind(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mysql://….*a folder, or a URL of postgresql://"):
        Gallery("mysql://here/x", embed, FINGERPRINT, image_size=SIZE)
    with pytest.raises(GalleryError, match="does not answer") as caught:
        Gallery(f"postgresql://me:secret@/base?host={tmp_path}", embed, FINGERPRINT, image_size=SIZE)
    assert "secret" not in str(caught.value)


def test_a_folder_that_is_no_gallery(tmp_path: Path, photos: Path) -> None:
    def gallery(path: Path) -> Gallery:
        return Gallery(path, embed, FINGERPRINT, calibration(), image_size=SIZE)

    before = sorted(photos.iterdir())
    with pytest.raises(GalleryError, match="is a file, and a gallery is a folder"):
        gallery(photos / "ada0.png")
    with pytest.raises(GalleryError, match="holds other files and no gallery"):
        gallery(photos)
    assert sorted(photos.iterdir()) == before
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "gallery.sqlite3").write_bytes(b"not a database, but long enough to be one" * 99)
    with pytest.raises(GalleryError, match=r"is damaged .*restore the folder from a copy"):
        gallery(tmp_path / "damaged")
    with pytest.raises(OutputError, match="can't be written"), gallery(Path("/proc/nothing")) as nowhere:
        nowhere.enroll("Ada", [photos / "ada0.png"])


def test_another_program_s_database_is_left_alone(tmp_path: Path) -> None:
    import sqlite3

    (tmp_path / "g").mkdir()
    path = tmp_path / "g" / "gallery.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA application_id = 99")
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    with pytest.raises(GalleryError, match=r"another program or version .*0x63"):
        Gallery(tmp_path / "g", embed, FINGERPRINT, image_size=SIZE)
    assert [name.name for name in (tmp_path / "g").iterdir()] == ["gallery.sqlite3"]


def test_every_error_is_one_sentence(opened: Open, photos: Path) -> None:
    gallery = opened()
    calls: list[Callable[[], object]] = [
        lambda: gallery.enroll("a\nb", [photos / "ada0.png"]),
        lambda: gallery.enroll("Ada", [photos / "missing.png"]),
        lambda: gallery.enroll("Ada", [photos / "empty.png"]),
        lambda: gallery.identify(photos / "ada0.png"),
        lambda: gallery.forget("Ada"),
        lambda: gallery.cluster([photos / "empty.png"]),
    ]
    for call in calls:
        with pytest.raises(VitrailError) as caught:
            call()
        text = str(caught.value)
        assert "\n" not in text
        assert text.endswith((".", "?"))
        assert ": " in text
