"""The ring page: a state machine over 4 KiB that a guest may change at any moment.

Rules
1. A half is 1,024 bytes; indexes run freely through 32 bits; byte n lies at n mod 1,024. Indexes
   are right if (producer - consumer) mod 2^32 is at most 1,024; equal is empty, 1,024 is full.
2. Each call loads each index once, judges that value, and copies before anything is looked at:
   nothing in the page is read twice, nothing is parsed in place (XSA-38).
3. Bytes are copied before an index moves, and an index moves by one aligned 32-bit store; when it moves is the
   caller's affair, who writes down before what will be so. That, and
   the loads, go through a memoryview of 32-bit words: `struct.pack_into` zeroes first, and a guest
   sees the zero. On x86 no fence is needed; the notification that follows is a system call.
4. What the guest broke is told by RingError with the code for the page's error field; the caller
   then serves the ring no more until the guest asks to begin anew, or is introduced again.
5. The page may vanish under us (a file that its guest cut): whoever mapped it says so, after the loads.

    0 requests   1024 responses   2048 req_cons req_prod rsp_cons rsp_prod   2064 features
    2068 connection (1: the guest asks to begin anew)   2072 error   2076 port, chosen by Xen

Cost: O(bytes copied).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE: Final = 4096
HALF: Final = 1024
_MASK: Final = HALF - 1
_WRAP: Final = 0xFFFFFFFF

_REQ_CONS, _REQ_PROD, _RSP_CONS, _RSP_PROD, _FEATURES, _CONNECTION, _ERROR, _PORT = range(512, 520)
"""Indexes of 32-bit words in the page."""

CONNECTED: Final = 0
RECONNECT: Final = 1

NO_ERROR: Final = 0
EVENT_CHANNEL: Final = 1
BAD_INDEX: Final = 2
PROTOCOL: Final = 3


class RingError(Exception):
    """The guest broke its ring: `code` is what the page's error field says then."""

    def __init__(self, code: int, found: str) -> None:
        self.code, self.found = code, found
        super().__init__(found)


class Ring:
    """One domain's page, from the daemon's side."""

    __slots__ = ("_bytes", "_vanished", "_words")

    def __init__(self, page: memoryview, vanished: Callable[[], bool] = bool) -> None:
        """`page`: 4,096 writable bytes, shared with the guest; `vanished` says whether they are not any more."""
        self._vanished = vanished
        if page.nbytes != PAGE:
            raise ValueError(f"a ring page of {page.nbytes} bytes, expected {PAGE}")
        self._bytes = page.cast("B")
        self._words = self._bytes.cast("I")

    @property
    def port(self) -> int:
        """The event channel that Xen chose for the guest; 0 if it did not."""
        return self._words[_PORT]

    @property
    def wants_reconnection(self) -> bool:
        """Whether the guest asks to begin anew; it touches nothing until `begin`."""
        return self._words[_CONNECTION] == RECONNECT

    def offer(self, features: int) -> None:
        """Say which features the ring has."""
        self._words[_FEATURES] = features

    def fail(self, code: int) -> None:
        """Say what the guest did wrong."""
        self._words[_ERROR] = code

    def connected(self) -> None:
        """Say that the ring is served."""
        self._words[_CONNECTION] = CONNECTED

    def begin(self) -> None:
        """Begin anew: empty both halves, clear the error, and let the guest go on."""
        words = self._words
        for index in (_REQ_CONS, _REQ_PROD, _RSP_CONS, _RSP_PROD, _ERROR):
            words[index] = 0
        self.connected()

    def waiting(self) -> int:
        """Bytes of requests that wait; RingError."""
        return self._used(self._words[_REQ_PROD], self._words[_REQ_CONS], "requests")

    def copy(self, skip: int, most: int) -> bytes:
        """Copy up to `most` bytes of requests out, but for the first `skip`, and leave them there; RingError."""
        words = self._words
        consumer, producer = words[_REQ_CONS], words[_REQ_PROD]
        used = self._used(producer, consumer, "requests")
        if used < skip:
            raise RingError(BAD_INDEX, f"requests: producer {producer}, consumer {consumer}: {skip} bytes were there")
        count = min(used - skip, most)
        if not count:
            return b""
        start = (consumer + skip) & _MASK
        first = min(count, HALF - start)
        data = bytes(self._bytes[start : start + first])
        if first < count:
            data += bytes(self._bytes[: count - first])
        return data

    def let_go(self, count: int) -> None:
        """Give back the room of so many bytes of requests."""
        self._words[_REQ_CONS] = (self._words[_REQ_CONS] + count) & _WRAP

    @property
    def indexes(self) -> tuple[int, int]:
        """Those that are ours: requests consumed, responses produced."""
        return self._words[_REQ_CONS], self._words[_RSP_PROD]

    def resume(self, consumer: int, producer: int) -> None:
        """Have the indexes that are ours be these."""
        self._words[_RSP_PROD] = producer
        self._words[_REQ_CONS] = consumer

    def room(self) -> int:
        """Bytes of responses that the ring would take; RingError."""
        return HALF - self._used(self._words[_RSP_PROD], self._words[_RSP_CONS], "responses")

    def fill(self, data: bytes) -> int:
        """Copy as much of `data` in as there is room for, which the guest does not see yet; how much. RingError."""
        words = self._words
        producer = words[_RSP_PROD]
        count = min(HALF - self._used(producer, words[_RSP_CONS], "responses"), len(data))
        if not count:
            return 0
        start = producer & _MASK
        first = min(count, HALF - start)
        self._bytes[HALF + start : HALF + start + first] = data[:first]
        if first < count:
            self._bytes[HALF : HALF + count - first] = data[first:count]
        return count

    def show(self, count: int) -> None:
        """Have the guest see so many bytes of responses more."""
        self._words[_RSP_PROD] = (self._words[_RSP_PROD] + count) & _WRAP

    def release(self) -> None:
        """Let go of the page, so that it can be unmapped."""
        self._words.release()
        self._bytes.release()

    def _used(self, producer: int, consumer: int, half: str) -> int:
        if self._vanished():
            raise RingError(PROTOCOL, "the page has vanished")
        used = (producer - consumer) & _WRAP
        if used > HALF:
            raise RingError(BAD_INDEX, f"{half}: producer {producer}, consumer {consumer}: at most {HALF} apart")
        return used
