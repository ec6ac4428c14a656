"""What is acknowledged, as bytes: the entries of the journal, of commits and of changes of branches, tags and pins.

Rule: what a commit is told by is its number, which is not 0; all else has a 0 there. An entry says what was done, not
what came of it: recovery does it again.

    brief   = number:u48 form:u16 rt:i64 lag:i32 epoch:u32 branch:u32 author:u8 message:u8 path:u16 value:u16 meta:u16,
              author, message, path, value, meta
              form: 1 always; 2 the author is that of the commit before it, which is the record before it and of its
              generation; 4 the message goes on with the path; 8 there is metadata. wall = rt + lag
              What most commits are: one edit with a value, no opaque part, and the commit before it as the only parent
    commit  = number:u64 branch:u64 rt:i64 wall:i64 epoch:u32 edits:u32 opaque:u32 parents:u8 author:u8 message:u16
              met:u8 (1 a merge, 2 of two that went past each other)
              parents (number:u64 epoch:u32), author, message, opaque
              if met: fork:u64 base:u64 older:u64 fork since, upstream since, older since, older side:u64 more:u32
              edits, and `more` that make the base (path:u32 flags:u8 value:u32 meta:u32, then these)
              flags: 1 a value, 2 metadata, 4 the path goes on from that of the edit before: what is new of it is here.
              So a chain of levels that a commit makes takes its length, and not its square
    change  = 0:u64 kind:u32 0:u32, and by kind
              1 a branch made      line:u64 upstream:u64 head:u64 lease:u64 until:i64 name:u16 keep:u16, name, keep,
                                   and if it begins with nothing the commit that it begins with
              2 a branch deleted   line:u64
              3 a tag              number:u64 epoch:u32, name
              4 a tag taken away   name
              5 a pin              number:u64
              6 a pin taken away   number:u64
              7 what is kept       branches:u32, each line:u64 picks:u32 rings:u32 keep:u16, keep, rings, picks (u64)
              8 a commit planted   start:u64 length:u64 check:u32, and the commit, whose edits lie there (`apart`)

Pure. Cost: O(bytes).
"""

from __future__ import annotations

from itertools import pairwise
from struct import Struct, error, pack, unpack_from
from typing import TYPE_CHECKING, Any, NamedTuple

from rrdstore.history.branch import Meeting, Reach
from rrdstore.history.commit import Edit, Key
from rrdstore.storage.protocol import Begun, Ended, Entry, Fit, Fitted, Pinned, Tagged, Unpinned, Untagged

if TYPE_CHECKING:
    from collections.abc import Callable

    from rrdstore.storage.protocol import Acknowledged, Brief, RefChange

_ENTRY = Struct("<QQqqIIIBBHB")
_MEETING = Struct("<7QI")
_PARENT = Struct("<QI")
_BRIEF = Struct("<QqiIIBBHHH")
_SAME_AUTHOR, _THE_PATH, _WITH_META = 2, 4, 8
_FORM, _FORMS_ALL = 48, 15
_NUMBERS = 1 << 48
_EDIT = Struct("<IBII")
_HAS_VALUE, _HAS_META, _GOES_ON = 1, 2, 4
_MET, _CROSSED = 1, 2
_CHANGE = Struct("<QII")
_BEGUN = Struct("<4QqHH")
_KEY = Struct("<QI")
_NUMBER = Struct("<Q")
_COUNT = Struct("<I")
_FIT = Struct("<QIIH")
_ELSEWHERE = Struct("<QQI")
_PLANTED = 8


class Elsewhere(NamedTuple):
    """A commit whose edits lie in another file, as `apart` has it."""

    entry: Entry
    """Without its edits."""
    start: int
    length: int
    check: int


def encode(entry: Acknowledged, before: str | None = None) -> bytes:
    """An entry as bytes; `before` made the commit that is the record before it ("": none is), None: never be brief."""
    if not isinstance(entry, Entry):
        return _changed(entry)
    number, epoch, branch, parents, rt, wall, author_text, message_text, edits, opaque, meeting = entry
    if before is not None and len(edits) == 1 == len(parents) and not opaque and meeting is None:
        path_text, value, meta = edits[0]
        if value is not None and parents[0] == (number - 1, epoch):
            data = brief(number, epoch, branch, rt, wall, author_text, message_text, path_text, value, meta, before)
            if data:
                return data
    author, message = author_text.encode(), message_text.encode()
    parts = [
        _ENTRY.pack(
            number, branch, rt, wall, epoch, len(edits), len(opaque), len(parents), len(author), len(message),
            0 if meeting is None else _MET if meeting.crossing is None else _CROSSED,
        ),
    ]  # fmt: skip
    parts += [_PARENT.pack(*key) for key in parents]
    parts += (author, message, opaque)
    if meeting is not None:
        fork, base, older, reach, crossing = meeting
        parts.append(_MEETING.pack(fork, base, older, *reach, len(crossing or ())))
        edits += crossing or ()
    above = ""
    for path_text, value, meta in edits:
        goes_on = 0
        if _is_below(path_text, above):
            path, goes_on = path_text[len(above) :].encode(), _GOES_ON
        else:
            path = path_text.encode()
        above = path_text
        if value is None:
            parts += (_EDIT.pack(len(path), goes_on, 0, 0), path)
        elif meta is None:
            parts += (_EDIT.pack(len(path), goes_on | _HAS_VALUE, len(value), 0), path, value)
        else:
            flags = goes_on | _HAS_VALUE | _HAS_META
            parts += (_EDIT.pack(len(path), flags, len(value), len(meta)), path, value, meta)
    return b"".join(parts)


def brief(
    number: int,
    epoch: int,
    branch: int,
    rt: int,
    wall: int,
    author: str,
    message: str,
    path: str,
    value: bytes,
    meta: bytes | None,
    before: str,
) -> bytes:
    """A commit of one value on the one before it, in brief; nothing if it cannot be. `before` as in `encode`."""
    form = 1
    if author == before and author:
        form, who = 1 | _SAME_AUTHOR, b""
    else:
        who = author.encode()
    name = path.encode()
    if message.endswith(path):
        form |= _THE_PATH
        message = message[: len(message) - len(path)]
    said = message.encode()
    if meta is None:
        meta = b""
    else:
        form |= _WITH_META
    lag = wall - rt
    try:
        head = _BRIEF.pack(
            number | form << _FORM, rt, lag, epoch, branch, len(who), len(said), len(name), len(value), len(meta)
        )
    except error:
        return b""
    return b"" if number >= _NUMBERS else b"".join((head, who, said, name, value, meta))


def of_one_value(number: int, epoch: int, branch: int, commit: Brief, value: bytes, before: str) -> bytes:
    """The same of one without metadata; nothing if it cannot be in brief."""
    rt, wall, author, said, path, goes_on = commit
    form, who, message, name = 1, b"", said.encode(), path.encode()
    if goes_on:
        form = 1 | _THE_PATH
    if author == before and author:
        form |= _SAME_AUTHOR
    else:
        who = author.encode()
    try:
        head = _BRIEF.pack(
            number | form << _FORM, rt, wall - rt, epoch, branch, len(who), len(message), len(name), len(value), 0
        )
    except error:
        return b""
    return b"" if number >= _NUMBERS else head + who + message + name + value


def is_new(entry: Acknowledged) -> bool:
    """Whether format 2 has no bytes for it. O(edits)."""
    if not isinstance(entry, Entry):
        return True
    edits = (*entry.edits, *((entry.meeting.crossing or ()) if entry.meeting is not None else ()))
    return any(_is_below(edit.path, above.path) for above, edit in pairwise(edits))


def _is_below(path: str, above: str) -> bool:
    return bool(above) and path.startswith(above) and path[len(above) : len(above) + 1] == "/"


def elsewhere(named: Elsewhere) -> bytes:
    """A commit whose edits lie elsewhere, as bytes."""
    return _CHANGE.pack(0, _PLANTED, 0) + _ELSEWHERE.pack(*named[1:]) + encode(named.entry)


def decode(data: bytes, before: str = "") -> Acknowledged | Elsewhere:
    """The entry of these bytes, and `before` as in `encode`; struct.error, ValueError."""
    if data[6:8] != b"\0\0":
        return _read_brief(data, before)
    return _commit(data) if any(data[:8]) else _change(data)


def _read_brief(data: bytes, before: str) -> Entry:
    word, rt, lag, epoch, branch, author, message, path, value, meta = _BRIEF.unpack_from(data)
    number, form = word & _NUMBERS - 1, word >> _FORM
    if not form & 1 or form > _FORMS_ALL or not number or (meta and not form & _WITH_META):
        raise ValueError(f"an entry of form {form}")
    if form & _SAME_AUTHOR and (author or not before):
        raise ValueError("the author of nothing")
    at_message = _BRIEF.size + author
    at_path = at_message + message
    at_value = at_path + path
    at_meta = at_value + value
    if at_meta + meta != len(data):
        raise ValueError(f"{len(data)} bytes")
    name = data[at_path:at_value].decode()
    said = data[at_message:at_path].decode() + (name if form & _THE_PATH else "")
    who = before if form & _SAME_AUTHOR else data[_BRIEF.size : at_message].decode()
    edit = Edit(name, data[at_value:at_meta], data[at_meta:] if form & _WITH_META else None)
    return Entry(number, epoch, branch, (Key(number - 1, epoch),), rt, rt + lag, who, said, (edit,))


def _commit(data: bytes) -> Entry:
    number, branch, rt, wall, epoch, edit_count, opaque_size, parent_count, author_size, message_size, met = (
        _ENTRY.unpack_from(data)
    )
    at = _ENTRY.size
    parents = []
    for _ in range(parent_count):
        parents.append(Key(*_PARENT.unpack_from(data, at)))
        at += _PARENT.size
    author = data[at : at + author_size].decode()
    at += author_size
    message = data[at : at + message_size].decode()
    at += message_size
    opaque = data[at : at + opaque_size]
    at += opaque_size
    numbers: tuple[int, ...] = ()
    if met:
        numbers = _MEETING.unpack_from(data, at)
        at += _MEETING.size
    edits: list[Edit] = []
    for _ in range(edit_count + (numbers[-1] if met else 0)):
        path_size, flags, value_size, meta_size = _EDIT.unpack_from(data, at)
        at += _EDIT.size
        path = data[at : at + path_size].decode()
        if flags & _GOES_ON:
            path = edits[-1].path + path
        at += path_size
        value = data[at : at + value_size] if flags & _HAS_VALUE else None
        at += value_size
        edits.append(Edit(path, value, data[at : at + meta_size] if flags & _HAS_META else None))
        at += meta_size
    meeting = None
    if met:
        fork, base, older, *reach, _ = numbers
        meeting = Meeting(fork, base, older, Reach(*reach), tuple(edits[edit_count:]) if met == _CROSSED else None)
        del edits[edit_count:]
    return Entry(number, epoch, branch, tuple(parents), rt, wall, author, message, tuple(edits), opaque, meeting)


# Changes of refs


def _begun(change: Begun) -> bytes:
    name, keep = change.name.encode(), change.keep.encode()
    numbers = change.line, change.upstream, change.head, change.lease, change.until
    first = b"" if change.first is None else encode(change.first)
    return _BEGUN.pack(*numbers, len(name), len(keep)) + name + keep + first


def _read_begun(body: bytes) -> Begun:
    *numbers, name, keep = _BEGUN.unpack_from(body)
    at_keep = _BEGUN.size + name
    at_first = at_keep + keep
    if len(body) < at_first:
        raise ValueError("half a branch")
    line, upstream, head, lease, until = numbers
    first = _commit(body[at_first:]) if len(body) > at_first else None
    return Begun(
        line, body[_BEGUN.size : at_keep].decode(), body[at_keep:at_first].decode(), upstream, head, lease, until, first
    )


def _tagged(change: Tagged) -> bytes:
    return _KEY.pack(*change.key) + change.name.encode()


def _read_tagged(body: bytes) -> Tagged:
    return Tagged(body[_KEY.size :].decode(), Key(*_KEY.unpack_from(body)))


def _fitted(change: Fitted) -> bytes:
    parts = [_COUNT.pack(len(change.fits))]
    for line, keep_text, rings, picks in ((fit.line, fit.keep, fit.rings, fit.picks) for fit in change.fits):
        keep = keep_text.encode()
        parts += (_FIT.pack(line, len(picks), len(rings), len(keep)), keep, rings, pack(f"<{len(picks)}Q", *picks))
    return b"".join(parts)


def _read_fitted(body: bytes) -> Fitted:
    (count,), at = _COUNT.unpack_from(body), _COUNT.size
    fits = []
    for _ in range(count):
        line, picks, rings, keep = _FIT.unpack_from(body, at)
        at += _FIT.size
        text, state = body[at : at + keep].decode(), body[at + keep : at + keep + rings]
        at += keep + rings
        fits.append(Fit(line, text, state, unpack_from(f"<{picks}Q", body, at)))
        at += 8 * picks
    if at != len(body):
        raise ValueError(f"{len(body) - at} bytes more")
    return Fitted(tuple(fits))


def _number(body: bytes) -> int:
    return int(_NUMBER.unpack(body)[0])


_FORMS: dict[int, tuple[type, Callable[[Any], bytes], Callable[[bytes], RefChange]]] = {
    1: (Begun, _begun, _read_begun),
    2: (Ended, lambda change: _NUMBER.pack(change.line), lambda body: Ended(_number(body))),
    3: (Tagged, _tagged, _read_tagged),
    4: (Untagged, lambda change: change.name.encode(), lambda body: Untagged(body.decode())),
    5: (Pinned, lambda change: _NUMBER.pack(change.number), lambda body: Pinned(_number(body))),
    6: (Unpinned, lambda change: _NUMBER.pack(change.number), lambda body: Unpinned(_number(body))),
    7: (Fitted, _fitted, _read_fitted),
}
"""Of each kind of change what it is, how it is written and how read."""
_WRITTEN = {form: (kind, written) for kind, (form, written, _) in _FORMS.items()}


def _changed(change: RefChange) -> bytes:
    kind, written = _WRITTEN[type(change)]
    return _CHANGE.pack(0, kind, 0) + written(change)


def _change(data: bytes) -> RefChange | Elsewhere:
    _, kind, more = _CHANGE.unpack_from(data)
    if kind == _PLANTED and not more:
        where = _ELSEWHERE.unpack_from(data, _CHANGE.size)
        return Elsewhere(_commit(data[_CHANGE.size + _ELSEWHERE.size :]), *where)
    if more or kind not in _FORMS:
        raise ValueError(f"a change of kind {kind}")
    return _FORMS[kind][2](data[_CHANGE.size :])
