"""Points in a gzip: where its blocks begin, found by `indexed_gzip` in one pass.

Unpacked from there by zlib alone: from a point on, a block is a raw stream whose window is known.

Source: https://github.com/pauldmccarthy/indexed_gzip (`zran.h`, the index that it exports);
https://www.rfc-editor.org/rfc/rfc1951
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import BinaryIO

from indexer.sources.containers.packed.pieces import Point, Unpackable, Unpacked
from indexer.sources.containers.packed.scan import Scan, check_growth

_READ_BYTES = 1 << 20
# Bytes between two points, unpacked: each costs 32 KiB in the index, and half of them an image.
_SPACING_BYTES, _WIDEST_BYTES, _POINTS = 4 << 20, 32 << 20, 512
_HEADER = struct.Struct("<5sBBQQIII")
_WITH_HEADER = 16 + zlib.MAX_WBITS
_TRAILER_BYTES = 8  # of a stream: the checksum and the size of what it holds
_BROKEN = "its bytes are not those that were packed (the checksum of its gzip)"
_POINT = struct.Struct("<QQBB")


def find_points(opened: BinaryIO, packed_bytes: int) -> Scan:
    """
    :param opened: the gzip, seekable.
    :raises DamagedContainer: if it holds far more than photos would make.
    """
    # which only these files need
    import indexed_gzip
    from indexed_gzip.indexed_gzip import CrcError

    if opened.read(2) != b"\x1f\x8b":
        return Scan([], 0, "it is no gzip")
    opened.seek(0)
    size, damage = 0, None
    spacing = min(max(_SPACING_BYTES, packed_bytes // _POINTS), _WIDEST_BYTES)
    with indexed_gzip.IndexedGzipFile(
        opened, spacing=spacing, readbuf_size=_READ_BYTES, buffer_size=_READ_BYTES
    ) as gzip:
        buffer = bytearray(_READ_BYTES)
        try:
            while read := gzip.readinto(buffer):
                size += read
                check_growth(size, packed_bytes)
        except (indexed_gzip.ZranError, CrcError, zlib.error, EOFError) as error:
            damage = f"its gzip is damaged or cut short ({_brief(error)})"
        index = io.BytesIO()
        gzip.export_index(fileobj=index)
    # The first of all is where the gzip begins, with its header; a short one has no other.
    found = (point for point in _points(index.getvalue()) if 0 < point.unpacked < size)
    points = [Point(0, 0), *found] if size else []
    return Scan(_apart(points, spacing // 2), size, damage)


def _apart(points: Sequence[Point], least_bytes: int) -> list[Point]:
    """Without those that stand close behind another: each stream of several begins with one."""
    kept: list[Point] = []
    for point in points:
        if not kept or point.unpacked - kept[-1].unpacked >= least_bytes:
            kept.append(point)
    return kept


def unpack(point: Point, packed: bytes, size: int) -> Unpacked:
    """:raises Unpackable: if it is no gzip from there on."""
    parts, ends, left, place = [], [], size, 0
    try:
        if point.packed:
            unpacker = zlib.decompressobj(-zlib.MAX_WBITS, zdict=point.window)
            data, trailer_bytes = _aligned(packed, point.bits), _TRAILER_BYTES
        else:
            unpacker, data, trailer_bytes = zlib.decompressobj(_WITH_HEADER), packed, 0
        while True:
            part = unpacker.decompress(data, left) if left else b""
            parts.append(part)
            place, left = place + len(part), left - len(part)
            if not left and not unpacker.eof:
                # it ends here, or another byte comes
                unpacker.decompress(unpacker.unconsumed_tail if size else data, 1)
            if not unpacker.eof:
                break
            rest = unpacker.unused_data
            ends.append((place, rest[:trailer_bytes] if trailer_bytes else None))
            # One stream after the other. Where the whole of one lies here, zlib checks its end.
            data = rest[trailer_bytes:].lstrip(b"\0")
            if not (data and left):
                break
            unpacker, trailer_bytes = zlib.decompressobj(_WITH_HEADER), 0
    except zlib.error as error:
        raise Unpackable(f"it cannot be unpacked ({error})") from error
    return Unpacked(b"".join(parts), ends)


class Ends:
    """What the ends of streams say of what came before: whether it is what was packed."""

    def __init__(self) -> None:
        self._crc, self._size, self._has_ended = 0, 0, False
        self.damage: str | None = None

    def see(self, piece: Unpacked) -> None:
        """:param piece: the next one."""
        begin = 0
        for end, trailer in piece.ends:
            self._add(piece.data[begin:end])
            told = None if trailer is None else (self._crc, self._size % 2**32)
            if told is not None and trailer != struct.pack("<II", *told):
                self.damage = self.damage or _BROKEN
            begin, self._crc, self._size = end, 0, 0
        self._add(piece.data[begin:])
        self._has_ended = bool(piece.ends) and begin == len(piece.data)

    def finish(self) -> None:
        """After the last one."""
        if not self._has_ended:
            self.damage = self.damage or "its gzip is cut short"

    def _add(self, data: bytes) -> None:
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)


def _aligned(packed: bytes, bits: int) -> bytes:
    """A stream of its own whose first byte is whole, of which only the last bits are the piece's.

    Empty blocks take the place of the others. Moving all bits instead would tear blocks that are
    stored: they begin with a byte.
    """
    if not bits:
        return packed
    filling, length = _FILLING[8 - bits]
    begin = filling | packed[0] >> (8 - bits) << length
    return begin.to_bytes((length + bits) // 8, "little") + packed[1:]


def _fillings() -> dict[int, tuple[int, int]]:
    """1 to 7 -> blocks that hold nothing, as a number, and their length in bits, which is so many
    more than whole bytes.

    A block of fixed codes takes 10 bits. For odd lengths there is one of 91, whose codes are its
    own: 256 literals of none, the end mark and two distances of one bit.
    """
    fields = [(0, 1), (2, 2), (0, 5), (1, 5), (14, 4)]
    lengths = {18: 1, 1: 1}
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)
    fields += [(lengths.get(symbol, 0), 3) for symbol in order]
    fields += [(1, 1), (138 - 11, 7), (1, 1), (118 - 11, 7), (0, 1), (0, 1), (0, 1), (0, 1)]
    odd = odd_bits = 0
    for value, width in fields:
        odd |= value << odd_bits
        odd_bits += width
    fixed, fixed_bits = 0b010, 10
    found = {}
    for first, first_bits in ((0, 0), (odd, odd_bits)):
        for count in range(4):
            filling, bits = first, first_bits
            for _ in range(count):
                filling |= fixed << bits
                bits += fixed_bits
            found[bits % 8] = (filling, bits)
    return found


def _points(index: bytes) -> list[Point]:
    magic, version, _, _, _, _, window_bytes, count = _HEADER.unpack_from(index)
    if (magic, version) != (b"GZIDX", 1):
        raise Unpackable(f"indexed_gzip wrote an index of version {version}, which is not known")
    place = _HEADER.size
    window = place + count * _POINT.size
    points = []
    for _ in range(count):
        packed, unpacked, bits, has_window = _POINT.unpack_from(index, place)
        place += _POINT.size
        before = index[window : window + window_bytes] if has_window else b""
        window += window_bytes if has_window else 0
        points.append(Point(packed, unpacked, bits, before))
    return points


def _brief(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


_FILLING = _fillings()
