"""Paths as they are written to get out: nothing outside of an organisation's folder is read, written or told."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tunesmith.service.accounts import organisations
from tunesmith.service.accounts.paths import Reach, organisation_folder, reach_of
from tunesmith.service.accounts.principal import OPERATOR, Principal, Role
from tunesmith.service.context import Service, open_service
from tunesmith.service.datasets import files, sets
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.places import placed
from tunesmith.settings import Settings
from tunesmith.spec.errors import DataNotFound, PathNotAllowed, TunesmithError
from tunesmith.spec.ids import ORGANISATION
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef, Output

ACME = Principal(org="acme", role=Role.MEMBER)
SECRET = '{"text": "the canary"}\n'


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with an organisation, and a canary beside its folder, in another's, and outside of the home."""
    top = tmp_path_factory.mktemp("world")
    settings = Settings(home=top / "home", database_url=f"sqlite:///{top / 'db'}")
    service = open_service(settings)
    for org in ("acme", "other"):
        organisations.create(service, OPERATOR, org)
        organisation_folder(settings, org).mkdir(parents=True)
    for folder in (top, settings.home, settings.home / "orgs", organisation_folder(settings, "other")):
        (folder / "canary.jsonl").write_text(SECRET)
    own = organisation_folder(settings, "acme")
    (own / "here").mkdir()
    (own / "out").symlink_to(organisation_folder(settings, "other"))
    (own / "file.jsonl").symlink_to(top / "canary.jsonl")
    (own / "loop").symlink_to(own / "loop")
    (own / "here" / "up").symlink_to("../..")
    yield service
    service.close()


def _ways_out(top: Path) -> Iterator[str]:
    """Yield ways to write a path to a canary."""
    name = "canary.jsonl"
    for depth in range(1, 6):
        yield "../" * depth + name
        yield "./" * depth + "../" * depth + name
        yield "here/" + "../" * (depth + 1) + name
        yield "missing/" + "../" * (depth + 1) + name
        yield "..\\" * depth + name
        yield "....//" * depth + name
        yield "..;/" * depth + name
        yield "..//" * depth + name
        yield "../" * depth + "other/" + name
        yield "file://" + "../" * depth + name
        yield "#" + "../" * depth + name
        yield "?" + "../" * depth + name
        yield quote("../" * depth, safe="") + name
        yield quote(quote("../" * depth, safe=""), safe="") + name
        yield "..%c0%af" * depth + name
        yield "..%252f" * depth + name
        yield "..\u2215" * depth + name
        yield "\uff0e\uff0e/" * depth + name
        yield ". ./" * depth + name
        yield " " + "../" * depth + name
    for place in (top, top / "home", top / "home" / "orgs", top / "home" / "orgs" / "other"):
        for form in (
            "{}", "/{}", "//{}", "file://{}", "file:{}", "file://localhost{}", "FILE://{}", "~/{}", "~root{}", "x\0{}",
            "{}\0", "{}/.", "{}\0.txt", "{}#.jsonl", "{}?x", "here/../{}", "\\\\?\\{}", "\\\\localhost\\c$\\{}", "s3://{}",
            "http://127.0.0.1{}", "{}:train", "{},{}", "here,{}", "{}/../canary.jsonl", "/proc/self/root{}",
            "/proc/self/cwd/../../../../..{}", "/dev/fd/../..{}", "\n{}", "$(cat {})", "`cat {}`", "|{}", "${{HOME}}{}",
            "-{}",
        ):  # fmt: skip
            yield form.format(*[str(place / name)] * form.count("{}"))
    yield from (
        "out/canary.jsonl",
        "file.jsonl",
        "out",
        "out:train",
        "out/*.jsonl",
        "*.jsonl",
        "**/*.jsonl",
        "here/up",
        "loop",
    )
    yield from (
        "here/up/other/canary.jsonl",
        "here/up/*/canary.jsonl",
        "../*/canary.jsonl",
        "/*/*",
        "here",
        "..",
        "/",
        "~",
    )
    yield from (".", "../acme/../other/canary.jsonl", "run:../../other", "model:../other", "dataset:../x", "file:../x")
    yield from ("/etc/passwd", "/proc/self/environ", "/dev/zero", "/dev/stdin", "a" * 5000, "../" * 500 + "etc/passwd")


WAYS = list(dict.fromkeys(_ways_out(Path("/TOP"))))
INSIDE = frozenset({".", "here"})
"""Places that are the organisation's own, or none; what lies there still may not lead out."""


def there(way: str, service: Service) -> str:
    return way.replace("/TOP", str(service.settings.home.parent))


def outside(service: Service) -> dict[str, str]:
    """What is outside of the organisation's folder: every name, and every content."""
    top, own = service.settings.home.parent, organisation_folder(service.settings, "acme")
    found = {}
    for folder, folders, names in os.walk(top):
        if Path(folder) == own:
            folders.clear()
            continue
        for name in names:
            path = Path(folder, name)
            found[str(path)] = path.read_text() if path.suffix == ".jsonl" else ""
        found |= {str(Path(folder, name)): "" for name in folders}
    return found


def test_there_are_enough_ways() -> None:
    assert len(WAYS) >= 200


def _leads_in(service: Service, uri: str) -> bool:
    """Whether everything that a placed uri names is inside of the folder, as the system sees it."""
    own = os.path.realpath(organisation_folder(service.settings, "acme"))
    return all(os.path.realpath(part).startswith(own + "/") or os.path.realpath(part) == own for part in uri.split(","))


def _own(service: Service) -> Path:
    return organisation_folder(service.settings, "acme")


def _spec(**fields: object) -> JobSpec:
    base = {"model": ModelRef(source="somebody/model"), "datasets": [DatasetRef(uri="somebody/rows")]}
    return JobSpec.model_validate({**base, **fields})


def _place(service: Service, spec: JobSpec) -> JobSpec:
    return placed(service, spec, folder=Path.cwd(), org="acme", by=ACME)


@pytest.mark.parametrize("way", WAYS)
def test_no_data_set_leads_out(world: Service, way: str) -> None:
    before = outside(world)
    try:
        uri = _place(world, _spec(datasets=[DatasetRef(uri=there(way, world))])).datasets[0].uri
    except TunesmithError as error:
        assert "the canary" not in error.message
    else:
        assert (way in INSIDE and _leads_in(world, uri)) or (way == uri == "loop"), uri
    assert outside(world) == before


@pytest.mark.parametrize("way", WAYS)
def test_no_model_leads_out(world: Service, way: str) -> None:
    with pytest.raises(TunesmithError):
        _place(world, _spec(model=ModelRef(source=there(way, world))))


@pytest.mark.parametrize("way", WAYS)
def test_no_output_leads_out(world: Service, way: str) -> None:
    before, kept = outside(world), set(_own(world).iterdir())
    try:
        folder = _place(world, _spec(output=Output(dir=there(way, world)))).output.dir
    except TunesmithError:
        pass
    else:
        assert Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(_own(world))), folder
        with contextlib.suppress(FileExistsError):  # A link that leads to itself.
            os.makedirs(folder, exist_ok=True)
            Path(folder, "result").write_text("made")
            os.unlink(Path(folder, "result"))
    assert outside(world) == before
    for made in set(_own(world).iterdir()) - kept:
        shutil.rmtree(made)


@pytest.mark.parametrize("way", WAYS)
def test_no_template_leads_out(world: Service, way: str) -> None:
    with pytest.raises(TunesmithError):
        _place(world, _spec(options={"chat_template": there(way, world)}))


@pytest.mark.parametrize("way", WAYS)
def test_no_registered_data_set_leads_out(world: Service, way: str) -> None:
    try:
        made = sets.register(world, ACME, name=way.replace("\0", ""), uri=there(way, world))
    except TunesmithError:
        return
    assert way in INSIDE and _leads_in(world, made.path)


@pytest.mark.parametrize("way", WAYS)
def test_no_name_of_an_upload_leads_out(world: Service, way: str) -> None:
    before = outside(world)
    file = files.store_file(world, ACME, name=there(way, world), purpose="fine-tune", chunks=[b"x"])
    folder = files.files_folder(world, "acme") / file.id
    assert Path(file.path).parent == folder and [each.name for each in folder.iterdir()] == [file.name]
    assert outside(world) == before
    files.delete_file(world, ACME, file.id)
    assert not folder.exists()


@pytest.mark.parametrize("way", [way for way in WAYS if way])
def test_no_id_is_a_path(world: Service, way: str) -> None:
    id = there(way, world)
    for ask in (files.get_file, files.path_of, files.delete_file, sets.get_set, sets.delete_set, _job_of):
        with pytest.raises(TunesmithError):
            ask(world, ACME, id)
    if ORGANISATION.fullmatch(id) is None:
        with pytest.raises(TunesmithError):
            files.store_file(world, OPERATOR, org=id, name="a", purpose="fine-tune", chunks=[b"x"])
    assert sorted(each.name for each in (world.settings.home / "orgs").iterdir()) == ["acme", "canary.jsonl", "other"]


def _job_of(service: Service, by: Principal, id: str) -> queue.Job:
    return queue.get(service, id, by)


@pytest.mark.parametrize("way", WAYS)
def test_no_run_is_called_after_a_path(way: str) -> None:
    try:
        name = _spec(name=way).name
    except ValueError:
        return
    assert name is not None and "/" not in name and not name.startswith(".")


@pytest.fixture
def swapped(world: Service) -> Iterator[tuple[Service, Callable[[], bool]]]:
    """A folder that is exchanged for a link to another organisation's, back and forth, without end."""
    own = organisation_folder(world.settings, "acme")
    real, link, place = own / "real", own / "link", own / "swap"
    real.mkdir()
    (real / "canary.jsonl").write_text("mine\n")
    link.symlink_to(organisation_folder(world.settings, "other"))
    over, swaps = threading.Event(), [0]

    def swap() -> None:
        while not over.is_set():
            for source in (real, link):
                os.rename(source, place)
                os.rename(place, source)
                swaps[0] += 1

    thread = threading.Thread(target=swap)
    thread.start()
    yield world, lambda: swaps[0] > 0
    over.set()
    thread.join()
    real.joinpath("canary.jsonl").unlink()
    real.rmdir()
    link.unlink()


def test_a_folder_that_is_exchanged_for_a_link_is_never_read_through(
    swapped: tuple[Service, Callable[[], bool]],
) -> None:
    service, _ = swapped
    reach = reach_of(service.settings, "acme", ACME, Path.cwd())
    path = reach.start / "swap" / "canary.jsonl"
    read = refused = 0
    while read < 20 or refused < 20 or read + refused < 1000:
        try:
            descriptor = reach.open(path)
        except (PathNotAllowed, FileNotFoundError):
            refused += 1
            continue
        with os.fdopen(descriptor) as file:
            assert file.read() == "mine\n"
        read += 1


def test_what_is_placed_while_links_are_exchanged_holds_no_link(swapped: tuple[Service, Callable[[], bool]]) -> None:
    service, _ = swapped
    own = str(organisation_folder(service.settings, "acme"))
    placed_ = 0
    for _ in range(1000):
        try:
            uri = _place(service, _spec(datasets=[DatasetRef(uri="swap/canary.jsonl")])).datasets[0].uri
        except (PathNotAllowed, DataNotFound):
            continue
        if uri == "swap/canary.jsonl":
            continue  # It was not there, and may be a name of the hub: it is never looked for as a path again.
        placed_ += 1
        assert uri.startswith(own + "/") and "other" not in uri
    assert placed_ > 0


def test_a_job_is_planned_where_no_name_is_a_path(world: Service) -> None:
    job = queue.submit(world, queue.Submission(_spec(), door="api", folder=_own(world)), ACME)
    assert list(Path(job.folder).iterdir()) == []


def test_the_operator_goes_where_the_system_lets_them(tmp_path: Path) -> None:
    reach = Reach(tmp_path, None)
    (tmp_path / "a").write_text("x")
    assert reach.found("a") == tmp_path / "a" and reach.found("/etc") == Path("/etc")
    assert reach.real("~") == Path.home()
    os.close(reach.open(tmp_path / "a"))
    with pytest.raises(PathNotAllowed):
        reach.real("a\0")


def test_what_is_opened_must_lie_inside(world: Service) -> None:
    reach = reach_of(world.settings, "acme", ACME, Path.cwd())
    for path in (Path("/etc/passwd"), reach.start / ".." / "other" / "canary.jsonl", reach.start / "file.jsonl"):
        with pytest.raises(PathNotAllowed):
            reach.open(path)
    with pytest.raises(FileNotFoundError):
        reach.open(reach.start / "here" / "missing")
