"""The audit log's files: one record a line whatever a guest sends, a size that is never exceeded, and what is lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compat.peers import short_directory
from tests.daemon.processes import running, until
from xsadapter.audit import LEAST, Audit, Rotating, line
from xsadapter.engine.trail import Record, Trail

TEXT = st.text(st.characters(codec=None), max_size=30)
VALUES = st.recursive(TEXT | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3), max_leaves=6)


def said(directory, name="log"):
    """Every line of the files of a log, the oldest first, but for those that say that it was opened."""
    files = [directory / f"{name}.{number}" for number in (3, 2, 1)] + [directory / name]
    found = [json.loads(text) for file in files if file.exists() for text in file.read_bytes().decode().splitlines()]
    return [each for each in found if each["what"] != "OPEN"]


def size(directory):
    return sum(path.stat().st_size for path in directory.iterdir() if path.is_file())


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_a_record_is_one_line_and_reads_as_it_was(fields):
    fields.pop("time", None)
    text = line(fields, "now")
    assert text.endswith(b"\n")
    assert len(text.decode("ascii").splitlines()) == 1
    assert all(32 <= byte < 127 for byte in text[:-1])
    assert json.loads(text) == {"time": "now", **fields}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(1, 130), max_size=12), max_size=8), st.integers(200, 800))
def test_the_files_never_exceed_their_size_and_keep_the_newest(batches, most):
    with short_directory() as directory:
        written, lost = [], 0
        for batch in batches:
            log = Rotating(directory / "log", most)
            lines = [b"%06d" % (len(written) + at) + b"x" * length + b"\n" for at, length in enumerate(batch)]
            written += lines
            lost += log.write(lines)
            assert size(directory) <= most
            log.close()
        files = [directory / name for name in ("log.3", "log.2", "log.1", "log")]
        kept = b"".join(file.read_bytes() for file in files if file.exists())
        fit = [each for each in written if len(each) <= most // 4]
        assert lost == len(written) - len(fit)
        assert b"".join(fit).endswith(kept)
        assert not fit or fit[-1] in kept


def test_another_size_holds_from_the_opening_on():
    with short_directory() as directory:
        log = Rotating(directory / "log", 4000)
        log.write([b"x" * 99 + b"\n"] * 100)
        log.close()
        assert 3000 < size(directory) <= 4000
        log = Rotating(directory / "log", 1000)
        assert size(directory) <= 1000
        assert log.write([b"y\n"]) == 0
        log.close()
        assert (directory / "log").read_bytes() == b"y\n"


def audit(directory, whole=LEAST):
    trail = Trail()
    made = Audit(trail, directory, whole)
    made.open("log")
    made.write()
    [opened] = (directory / "log").read_text().splitlines()
    assert (json.loads(opened)["what"], json.loads(opened)["pid"]) == ("OPEN", os.getpid())
    return trail, made


def test_guests_push_out_nothing_but_guests():
    with short_directory() as directory:
        trail, made = audit(directory)
        trail.records.append(Record(False, {"what": "WRITE", "path": "/precious"}))
        made.write()
        for _ in range(60):
            trail.records += [Record(True, {"what": "WRITE", "path": "/flood" * 20})] * 100
            made.write()
        assert [found["path"] for found in said(directory)] == ["/precious"]
        assert len(said(directory, "log.guests")) < 6000
        assert size(directory) <= LEAST
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in directory.iterdir())
        made.close()


def test_what_cannot_be_written_is_counted_and_told(monkeypatch, caplog):
    with short_directory() as directory:
        trail, made = audit(directory)
        real, room = os.write, [100]

        def short(descriptor, data):
            if not room[0]:
                raise OSError(28, "No space left on device")
            return real(descriptor, bytes(data)[: room[0]])

        monkeypatch.setattr(os, "write", short)
        for limit in (1000, 30, 0, 1000):
            room[0] = limit
            trail.records += [Record(False, {"what": "WRITE", "path": f"/{limit}"})] * 2
            made.write()
        assert [found.get("path") or found["lines"] for found in said(directory)] == [
            "/1000",
            "/1000",
            4,
            "/1000",
            "/1000",
        ]
        assert caplog.text.count("cannot be written") == 1
        made.close()


def test_what_is_answered_is_in_the_log():
    with short_directory() as directory:
        options = ["--memory", "--no-status", "--trace-file", str(directory / "trace")]
        with running(directory, *options) as daemon, daemon.client() as client:
            for number in range(100):
                client.write(f"/a/{number}", b"v")
                assert said(directory, "trace")[-1]["path"] == f"/a/{number}"


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_only_a_file_of_its_own_is_written(kind):
    with short_directory() as directory, contextlib.ExitStack() as held:
        place = directory / "log"
        if kind == "link":
            (directory / "precious").write_text("")
            place.symlink_to(directory / "precious")
        elif kind == "pipe":
            os.mkfifo(place)
            held.callback(os.close, os.open(place, os.O_RDONLY | os.O_NONBLOCK))
        else:
            place.mkdir()
        trail = Trail()
        with pytest.raises(OSError, match="log"):
            Audit(trail, directory, LEAST).open("log")
        assert not trail.on
        assert kind != "link" or not (directory / "precious").read_text()


def test_the_daemons_log():
    """Who changed what is there though the daemon was killed; SIGHUP and CONTROL go to other files."""
    with short_directory() as directory:
        options = ["--trace-file", str(directory / "trace"), "--trace-control", "-obj"]
        with running(directory, "--memory", "--no-status", *options) as daemon, daemon.client() as client:
            client.write("/a", b"v")
            (directory / "trace").rename(directory / "moved")
            daemon.process.send_signal(signal.SIGHUP)
            until(lambda: bool(client.read("/a")) and (directory / "trace").exists(), "the file is opened again")
            client.mkdir("/b")
            client.control("logfile", "another")
            client.rm("/b")
            assert client.control("log", "-tdb") == "OK"
            client.rm("/a")
            daemon.process.kill()
            daemon.process.wait()
        found = [
            [(each["what"], each["path"]) for each in said(directory, name)] for name in ("moved", "trace", "another")
        ]
        assert found == [[("WRITE", "/a")], [("MKDIR", "/b")], [("RM", "/b")]]
        assert f"pid {os.getpid()} (" in said(directory, "trace")[0]["author"]


@pytest.mark.parametrize(
    "words", [("--trace-control", "tdb"), ("--trace-control", "+no"), ("--trace-size", "1KiB"), ("--trace-size", "x")]
)
def test_what_the_options_do_not_take(words):
    with short_directory() as directory, pytest.raises(RuntimeError, match="ended with 2"), running(directory, *words):
        pass
