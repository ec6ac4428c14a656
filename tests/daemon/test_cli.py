"""The command lines: the clients in this process, the daemon's in their own."""

import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import rrdstore
from tests.compat.guest import Guest
from tests.compat.peers import short_directory
from tests.daemon.conversation import NUMBERS, Peer
from tests.daemon.processes import PATIENCE, environment, run, running
from xsadapter import address
from xsadapter.cli import main
from xsadapter.cli.options import Bounds
from xsadapter.cli.serving import bounded
from xsadapter.cli.xenstored import main as xenstored_main
from xsadapter.client import Client
from xsadapter.engine.quotas import defaults

OK = b"OK\0"


@pytest.fixture
def ask(process, client):
    """Run `xsadapter ...` on the daemon: exit status, stdout, stderr."""
    runner = CliRunner()

    def invoke(*words):
        result = runner.invoke(main, words, env={"XENSTORED_PATH": str(process.socket)})
        return result.exit_code, result.stdout, result.stderr

    return invoke


def test_the_tools_are_commands(ask):
    assert ask("write", "/test/a", "one") == (0, "", "")
    assert ask("write", "/test/b/c", "two", "/test/b/d", "") == (0, "", "")
    assert ask("read", "/test/a", "/test/b/c") == (0, "one\ntwo\n", "")
    assert ask("read", "-p", "/test/a") == (0, "/test/a: one\n", "")
    assert ask("list", "/test") == (0, "a\nb\n", "")
    assert ask("ls", "/test") == (0, 'a = "one"\nb = ""\n c = "two"\n d = ""\n', "")
    assert ask("ls", "-f", "-p", "/test/b") == (0, '/test/b/c = "two"   (n0)\n/test/b/d = ""   (n0)\n', "")
    assert ask("chmod", "-r", "/test/b", "n0", "r5") == (0, "", "")
    assert "(n0,r5)" in ask("ls", "-p", "/test/b")[1]
    assert ask("exists", "/test/a", "/test/none")[0] == 1
    assert ask("rm", "-t", "/test/a", "/test/b/c") == (0, "", "")
    assert ask("watch", "-n", "1", "-d", "0", "/test") == (0, "/test\n", "")
    assert ask("control", "print", "-x") == (0, "OK\n", "")


def test_lookup(ask):
    assert ask("write", "/test", "", "/local/domain/7/name", "test a/b", "/local/domain/7/vm", "/vm/u-u") == (0, "", "")
    assert ask("lookup", "test a/b") == ask("lookup", "--index", "uuid", "u-u") == (0, "7\n", "")
    then = ask("control", "history", "commit", "0s ago")[1].strip()
    assert ask("write", "/local/domain/12/name", "test a/b") == (0, "", "")
    assert ask("lookup", "test a/b") == (0, "7\n12\n", "")
    assert ask("rm", "/local/domain/7", "/local/domain/12") == (0, "", "")
    assert ask("lookup", "test a/b") == (1, "", "Error: no domain has the name test a/b\n")
    assert ask("lookup", "--at", then, "test a/b") == (0, "7\n", "")
    refused = "Error: the daemon has no index no: No such file or directory\n"
    assert ask("lookup", "--index", "no", "x") == (1, "", refused)
    assert ask("lookup", "--at", "1-00000000", "x") == (1, "", "Error: --at 1-00000000: nothing is kept of it\n")
    assert ask("lookup", "--at", "someday", "x") == (1, "", "Error: --at someday: no moment that this daemon knows\n")
    assert ask("lookup", "--socket", "/nowhere/socket", "x") == (1, "", "Error: No such file or directory\n")


def test_indexes_of_ones_own():
    mac = "mac=/local/domain/*/nic/mac"
    with (
        short_directory() as directory,
        running(directory, "--memory", "--index", mac) as made,
        made.client() as client,
    ):
        client.write("/local/domain/7/nic/mac", b"00:16:3e")
        client.write("/local/domain/7/name", b"web")
        assert client.lookup("00:16:3e", "mac") == client.lookup("web") == [7]
        assert client.read("/@index/mac/00@3a16@3a3e") == b"7"
    for wrong in ("mac", "mac=/nic/*/mac", "m/c=/local/domain/*/mac", "mac=/local/domain/*"):
        result = CliRunner().invoke(main, ["run", "--index", wrong])
        assert (result.exit_code, f"{wrong}: expected NAME=/local/domain/*/NODE" in result.stderr) == (2, True)


def test_refusals_are_errors(ask):
    assert ask("read", "/test/none") == (1, "", "xsadapter read: couldn't read path /test/none\n")
    assert ask("ls", "/test/none") == (1, "", "xsadapter ls: xs_directory (/test/none): No such file or directory\n")
    assert ask("rm", "/test/no/ne") == (1, "", "xsadapter rm: could not remove path /test/no/ne\n")
    assert ask("write", "/test/a")[0] == 2
    assert ask("write", "/test/a", "1", "/test/b")[0] == 2
    assert ask("control", "nosuch")[0] == 3
    assert ask("read", "--socket", "/nowhere/socket", "/") == (
        1,
        "",
        "xsadapter read: xs_open: No such file or directory\n",
    )


def test_where_the_socket_is():
    def place(asked=None, rundir=None, **environment):
        return str(address.socket_path(asked, rundir, environment))

    both = {"XENSTORED_PATH": "/p", "XENSTORED_RUNDIR": "/d"}
    assert place("/asked", "/r", **both) == "/asked"
    assert place(None, "/r", **both) == "/r/socket"
    assert place(**both) == "/p"
    assert place(XENSTORED_RUNDIR="/d") == "/d/socket"
    assert place() == "/var/run/xenstored/socket"
    assert str(address.rundir(None, both)) == "/d"
    assert str(address.rundir("/r", both)) == "/r"
    assert str(address.rundir(None, {})) == "/var/run/xenstored"


def test_run_finds_its_place_in_the_environment():
    with short_directory() as directory:
        place = directory / "elsewhere"
        program = [sys.executable, "-m", "xsadapter", "run", "--memory"]
        variables = environment(XENSTORED_RUNDIR=str(directory / "made"), XENSTORED_PATH=str(place))
        with subprocess.Popen(program, env=variables, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert any(str(place) in line for line in iter(process.stderr.readline, ""))
                with Client(place) as client:
                    assert client.list("/") == ["tool"]
                process.send_signal(signal.SIGINT)
                assert process.wait(PATIENCE) == 0
            finally:
                process.kill()
        assert not (directory / "made").exists()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("run", "--memory", "--store", "x"), 2, "--memory excludes"),
        (("run", "--memory", "--rundir", "{}", "--keep", "sometimes"), 1, "policy"),
        (("run", "--rundir", "{}/file/below"), 1, "file"),
        (("run", "extra"), 2, "extra"),
        (("nosuch",), 2, "nosuch"),
    ],
)
def test_what_cannot_run_says_why(words, status, said):
    with short_directory() as directory:
        (directory / "file").write_text("")
        done = run(*(word.format(directory) for word in words))
        assert done.returncode == status
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert not (directory / "socket").exists()


def xenstored(*words):
    return subprocess.run(
        [sys.executable, "-m", "xsadapter.cli.xenstored", *words],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_xenstored_goes_to_the_background_and_returns_when_it_serves():
    with short_directory() as directory:
        pid_file = directory / "pid"
        done = xenstored("--memory", "--rundir", str(directory), "--pid-file", str(pid_file))
        pid = int(pid_file.read_text())
        try:
            assert (done.returncode, "listening on" in done.stderr) == (0, True)
            with Client(directory / "socket", timeout=PATIENCE) as client:
                assert client.list("/") == ["tool"]
                assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
                assert Path(f"/proc/{pid}/fd/1").readlink() == Path(os.devnull)

                again = xenstored("--memory", "--rundir", str(directory / "x"), "--pid-file", str(pid_file))
                assert again.returncode == 0
                assert "locked by another daemon" in again.stderr
                other = xenstored("--memory", "--rundir", str(directory))
                assert other.returncode == 1
                assert "a daemon that listens there" in other.stderr
                os.kill(pid, signal.SIGTERM)
                with pytest.raises(ConnectionError):
                    client.next_event()
        finally:
            if pid_file.exists() and pid_file.read_text() == f"{pid}\n":
                os.kill(pid, signal.SIGKILL)


def quotas(client):
    """The limits that new domains get, by name."""
    lines = [line for verb in ("quota", "quota-soft") for line in client.control(verb).splitlines()]
    return {line.split(":")[0].strip(): int(line.split(":")[1].split()[0]) for line in lines if ":" in line}


def test_xenstored_takes_the_options_of_c_xenstored():
    with short_directory() as directory:
        traced = ["-T", str(directory / "trace"), "--trace-control=+io"]
        single = ["-E", "5", "-S", "600", "-W", "7", "--transaction", "8", "-A", "9", "--path-max", "3000"]
        named = ["-Q", "watches=70", "--quota", "outstanding=3", "-Q", "outstanding=4", "-Q", "permissions=0"]
        soft = ["-q", "memory=77", "-w", "watch-event=20", "--master-domid", "0", "--priv-domid=0", "--event", "9"]
        options = [
            "-N",
            "--memory",
            "--simulated-xen",
            str(directory),
            "-D",
            "-I",
            "-V",
            *traced,
            *single,
            *named,
            *soft,
        ]
        with running(directory, *options, program="xsadapter.cli.xenstored") as made, made.client() as client:
            found = quotas(client)
            assert found.pop("memory") == 77
            assert found == {
                "nodes": 5, "watches": 70, "outstanding": 4, "transactions": 8, "transaction-nodes": 1024,
                "node-permissions": 0, "path-max": 2048, "node-size": 600,
            }  # fmt: skip
            for name in ("no-domain-init", "internal-db", "verbose"):
                assert f"--{name} is accepted and ignored" in made.log
            assert "output-pid" not in made.log
            assert '"log":"io","what":"CONTROL"' in (directory / "trace").read_text()
            with Guest(directory, 0) as kernel:
                assert kernel.ask("CONTROL", b"print\0the ring of domain 0 is served\0") == OK


def test_a_guest_has_the_quotas_and_the_time_that_the_options_say():
    with short_directory() as directory:
        options = ["--memory", "--simulated-xen", str(directory), "-Q", "watches=1", "-w", "watch-event=0", "-K"]
        with running(directory, *options) as made, made.client() as client, Guest(directory, 5) as guest:
            client.mkdir("/local/domain/5")
            client.set_permissions("/local/domain/5", ["n5"])
            client.ask(NUMBERS["INTRODUCE"], b"5\x001\x007\0")
            assert guest.ask("WATCH", b"a\0t\0") == OK
            assert guest.ask("WATCH", b"b\0t\0") == "ENOSPC"
            assert guest.ask("WRITE", b"a\0v") == OK
            client.ask(NUMBERS["RELEASE"], b"5\0")
            assert client.read("/local/domain/5/a") == b"v"
            assert client.get_permissions("/local/domain/5/a") == ["n0"]


@pytest.mark.parametrize(("seconds", "dropped"), [(None, True), (40, False), (0, False)])
def test_how_long_an_event_waits(seconds, dropped):
    daemon = bounded(Bounds({"watches": 3}, seconds), rrdstore.memory())
    daemon.begin("boot")
    assert daemon.domains.record(5).limits == {**defaults(), "watches": 3}
    guest = Peer(daemon, 5, privileged=False)
    guest.ask("WATCH", b"x\0t\0")
    guest.take()
    Peer(daemon).ask("WRITE", b"/local/domain/5/x\0")
    Peer(daemon).ask("SET_PERMS", b"/local/domain/5/x\0n5\0")
    daemon.flow.now = 30.0
    daemon.expire()
    assert (guest.events() == []) is dropped
    daemon.store.close()


def test_xenstored_takes_over_nothing_where_nothing_was_left(tmp_path, monkeypatch):
    monkeypatch.setenv("XENSTORED_ROOTDIR", str(tmp_path))
    done = CliRunner().invoke(xenstored_main, ["--rundir", str(tmp_path), "-U"], terminal_width=500)
    assert done.exit_code == 1
    assert "state_dump: found nothing, expected the state of a live update" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("positional",), "positional"),
        (("--nosuch",), "nosuch"),
        (("--memory", "--size", "1MiB"), "--memory excludes"),
        (("-E", "x"), "'x'"),
        (("-W", "-1"), "-1"),
        (("-Q", "nothing=1"), "expected NAME=N, NAME one of nodes, watches"),
        (("-Q", "nodes"), "expected NAME=N"),
        (("-Q", "soft-memory=1"), "expected NAME=N"),
        (("-Q", "nodes=0x10"), "expected a number"),
        (("-Q", "nodes=4294967296"), "expected a number"),
        (("-q", "nodes=1"), "expected NAME=N, NAME one of memory"),
        (("-w", "20"), "expected watch-event=SECONDS"),
        (("-w", "watch-event=soon"), "expected a number"),
        (("--master-domid", "3"), "expected 0"),
        (("--priv-domid", "3"), "expected 0"),
        (("--event", "3"), "--event needs --simulated-xen"),
    ],
)
def test_xenstored_refuses_what_it_does_not_know_or_cannot_do(words, said):
    done = CliRunner().invoke(xenstored_main, ["-N", *words], terminal_width=500)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


def test_a_tool_does_not_load_the_daemon():
    asked = "import sys; import xsadapter.cli; print(sorted({'rrdstore', 'xsadapter.server'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
    assert set(main.list_commands(click.Context(main))) >= {"run", "ls", "top", "install-unit"}


def test_the_version_says_how_it_was_built():
    told = CliRunner().invoke(main, ["--version"], prog_name="xsadapter")
    assert told.output == f"xsadapter, version {version('rrdstore')}, {rrdstore.BUILD}\n"
