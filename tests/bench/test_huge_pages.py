from __future__ import annotations

from bench.huge_pages import HUGE, whole_huge_pages

MAPS = """\
00400000-00c01000 rw-p 00000000 00:00 0                                  [heap]
7f0000100000-7f0000700000 rw-p 00000000 00:00 0
7f0000800000-7f0000a00000 r--p 00000000 00:00 0
7f0000a00000-7f0001a00000 rw-p 00001000 fe:00 7 /usr/lib/a name with spaces.so
7f0001a00000-7f0001afffff rw-p 00000000 00:00 0
7ffc00000000-7ffc00400000 rw-p 00000000 00:00 0                          [stack]
"""


def test_only_a_processs_own_writable_memory_is_moved_by_whole_pages() -> None:
    found = list(whole_huge_pages(MAPS))
    assert found == [(0x400000, 0xC00000), (0x7F0000200000, 0x7F0000600000)]
    assert all(start % HUGE == end % HUGE == 0 for start, end in found)
