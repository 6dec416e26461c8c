"""A day of a Prometheus' blocks as every day of a month: the same samples, at other times.

promtool would take an hour to import a month at full resolution. The layout is that of Prometheus'
tsdb/docs/format (chunks.md, index.md, version 2): moving a block means to change the first time of each
chunk, as the chunk itself and as the index have it, and the checksums over them; all other times are
differences.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from crc32c import crc32c

_CHUNKS_HEADER = 8
_CHECKSUM = 4
# A chunk: encoding (1 = XOR), number of samples, first time.
_XOR = 1
_TIME_AT = 3
# The varint of a time in milliseconds between 2004 and 2039; a chunk keeps its length when it is moved.
_TIME_LENGTH = 6
_SERIES_OFFSET_IN_TOC = 8
_TOC_LENGTH = 6 * 8 + _CHECKSUM
_ALIGNMENT = 16


class UnknownBlock(Exception):  # noqa: N818 - says what is the case
    """A block isn't laid out as this module knows it."""


def moved(block: Path, target: Path, milliseconds: int) -> None:
    """Write a block again, its samples later by `milliseconds` (earlier, if negative).

    Raises:
        UnknownBlock: it has another format than Prometheus 3 writes.
    """
    (target / "chunks").mkdir(parents=True)
    for path in sorted((block / "chunks").iterdir()):
        (target / "chunks" / path.name).write_bytes(_moved_chunks(path.read_bytes(), milliseconds))
    (target / "index").write_bytes(_moved_index((block / "index").read_bytes(), milliseconds))
    shutil.copy(block / "tombstones", target / "tombstones")
    meta = json.loads((block / "meta.json").read_text("utf-8"))
    meta |= {name: meta[name] + milliseconds for name in ("minTime", "maxTime")}
    meta |= {"ulid": target.name, "compaction": {"level": 1, "sources": [target.name]}}
    (target / "meta.json").write_text(json.dumps(meta), "utf-8")


def _moved_chunks(data: bytes, milliseconds: int) -> bytes:
    result = bytearray(data)
    at = _CHUNKS_HEADER
    # What comes after the last chunk is zeros, or nothing.
    while at < len(result) and result[at] != 0:
        length, start = uvarint(result, at)
        end = start + 1 + length
        if result[start] != _XOR:
            raise UnknownBlock(f"a chunk has encoding {result[start]}, not {_XOR}")
        _move_time(result, start + _TIME_AT, milliseconds)
        _sign(result, start, end)
        at = end + _CHECKSUM
    return bytes(result)


def _moved_index(data: bytes, milliseconds: int) -> bytes:
    result = bytearray(data)
    toc = len(result) - _TOC_LENGTH
    start, end = (_number(result, toc + _SERIES_OFFSET_IN_TOC * n) for n in (1, 2))
    for content, after in _entries(result, start, end):
        found = _first_time(result, content)
        if found is not None:
            _move_time(result, found, milliseconds)
            _sign(result, content, after)
    return bytes(result)


def _entries(data: bytearray, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Series of an index: where the content of each begins and ends, without its length and checksum."""
    at = -(-start // _ALIGNMENT) * _ALIGNMENT
    while at < end:
        length, content = uvarint(data, at)
        if length == 0:
            return
        yield content, content + length
        at = -(-(content + length + _CHECKSUM) // _ALIGNMENT) * _ALIGNMENT


def _first_time(data: bytearray, at: int) -> int | None:
    """Where the time of a series' first chunk stands; None for a series without chunks."""
    labels, at = uvarint(data, at)
    for _ in range(2 * labels):
        _, at = uvarint(data, at)
    chunks, at = uvarint(data, at)
    return at if chunks else None


def _move_time(data: bytearray, at: int, milliseconds: int) -> None:
    zigzag, end = uvarint(data, at)
    if end - at != _TIME_LENGTH or zigzag % 2:
        raise UnknownBlock("a chunk doesn't begin with a time of our years")
    data[at:end] = _varint(zigzag + 2 * milliseconds)


def _sign(data: bytearray, start: int, end: int) -> None:
    data[end : end + _CHECKSUM] = crc32c(bytes(data[start:end])).to_bytes(_CHECKSUM, "big")


def _number(data: bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "big")


def _varint(value: int) -> bytes:
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    if len(result) != _TIME_LENGTH:
        raise UnknownBlock("a time lies outside the years that this module can move between")
    return bytes(result)


def uvarint(data: bytearray, at: int) -> tuple[int, int]:
    """A number in the variable-length form of Go's encoding/binary, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
