"""A server that says what a real one seldom does: the replies to a client's requests, written down beforehand."""

from __future__ import annotations

import socket
import threading

from xsadapter.wire import FrameReader, pack


class Scripted:
    """A server that answers each request with the next of these frames."""

    def __init__(self, path, replies):
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._replies = replies
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        stream, _ = self._listener.accept()
        # Now: whoever connects again once this ends would else be one who waits here, and think that he is served.
        self._listener.close()
        with stream:
            reader = FrameReader()
            for reply in self._replies:
                while (frame := reader.take()) is None:
                    data = stream.recv(4096)
                    assert data, "the client has gone"
                    reader.feed(data)
                stream.sendall(b"".join(pack(kind, frame[1], frame[2], payload) for kind, payload in reply))
            stream.shutdown(socket.SHUT_WR)
            stream.recv(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._thread.join()
