"""The tree as it was, asked of our daemon through CONTROL: one commit, looked up once, read as often as need be.

Rule: `history commit WHEN` says which commit a moment means; all that follows names that commit, so a listing is
of one moment however long it takes. A commit that is thinned meanwhile ends it: ENOENT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsadapter.client.payloads import Names, names, string
from xsadapter.errors import RequestError
from xsadapter.operations import Kind
from xsadapter.tools.asking import Seen, tried, walked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xsadapter.client import Client
    from xsadapter.client.walking import Part


class Then:
    """What there was; implements `asking.Tree`."""

    def __init__(self, client: Client, when: str) -> None:
        """Find the commit of that moment; RequestError EINVAL, ENOENT."""
        self._client = client
        self.commit = self._ask("commit", when).rstrip(b"\0").decode()

    def read(self, path: str) -> bytes:
        """See Tree."""
        return self._ask("value", self.commit, self._absolute(path))

    def list(self, path: str) -> Names:
        """See Tree."""
        found = b""
        while True:
            part = self._ask("names", self.commit, self._absolute(path), str(len(found)))
            found += part
            if found.endswith(b"\0\0") or found == b"\0":
                return names(found[:-1])

    def permissions(self, path: str) -> Names:
        """The permission list of a node; RequestError."""
        return names(self._ask("permissions", self.commit, self._absolute(path)))

    def see(self, paths: Names, permissions: bool) -> Sequence[Seen]:
        """See Tree."""
        return [
            Seen(
                tried(self.read, path),
                tried(self.list, path),
                tried(self.permissions, path) if permissions else None,
            )
            for path in paths
        ]

    def walk(self, path: str, permissions: bool) -> Iterator[Part] | None:
        """See Tree."""
        return walked(self._client, path, permissions, self.commit)

    def _ask(self, question: str, *words: str) -> bytes:
        payload = b"".join(map(string, ("history", question, *words)))
        return self._client.ask(Kind.CONTROL, payload, subject=f"history {question}")

    def _absolute(self, path: str) -> str:
        """A path of the past has no home of its own: a relative one is that of domain 0, whose tools these are."""
        if path.startswith("/"):
            return path
        if not path or path.startswith("@"):
            raise RequestError("EINVAL")
        return f"/local/domain/0/{path}"
