"""The stock daemons run here, and the stock clients reach them: what every other compat test stands on."""

from tests.compat import peers


def test_c_xenstored_serves_its_client(need, c_xenstored):
    need("xenstore-write", "xenstore-read")
    assert c_xenstored.run("xenstore-write", "/a", "b").returncode == 0
    assert c_xenstored.run("xenstore-read", "/a").stdout == "b\n"


def test_ox_xenstored_serves_its_client_and_starts_empty(need, ox_xenstored):
    need("xenstore-write", "xenstore-read", "xenstore-exists")
    assert ox_xenstored.run("xenstore-exists", "/a").returncode != 0
    assert ox_xenstored.run("xenstore-write", "/a", "b").returncode == 0
    assert ox_xenstored.run("xenstore-read", "/a").stdout == "b\n"


def test_missing_names_what_is_missing(tmp_path):
    assert peers.missing(tmp_path, "sh") == ""
    assert str(tmp_path / "nothing") in peers.missing(tmp_path / "nothing", "sh")
