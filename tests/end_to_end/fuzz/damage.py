"""Damage to the bytes of files."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st


@dataclass(frozen=True)
class Damage:
    """Damage to a file: its kind, its start in thousandths of the file and its length."""

    kind: str
    begin: int
    length: int
    inserted: bytes
    quiet: bool

    def of(self, content: bytes, another: bytes) -> bytes | None:
        """Return the damaged content, or None if the file is removed."""
        first = len(content) * self.begin // 1000
        last = min(len(content), first + self.length)
        head, middle, tail = content[:first], content[first:last], content[last:]
        flipped = bytes(byte ^ 1 << self.length % 8 for byte in middle[:1])
        return {
            "flipped": head + flipped + middle[1:] + tail,
            "cut off": head,
            "inserted": head + self.inserted + middle + tail,
            "deleted": head + tail,
            "replaced": head + self.inserted + tail,
            "zeros": head + bytes(len(middle)) + tail,
            "doubled": head + middle + middle + tail,
            "turned around": head + middle[::-1] + tail,
            "another's": another,
            "another's middle": head + another[first:last] + tail,
            "nothing": b"",
            "gone": None,
        }[self.kind]


KINDS = (
    *("flipped", "flipped", "flipped", "replaced", "cut off", "inserted", "deleted", "zeros"),
    *("doubled", "turned around", "another's", "another's middle", "nothing", "gone"),
)


damages = st.builds(
    Damage,
    st.sampled_from(KINDS),
    st.integers(0, 1000),
    st.one_of(st.integers(1, 8), st.integers(1, 400)),
    st.one_of(
        st.binary(max_size=8), st.sampled_from([b"0", b"9", b"1e9", b'"', b",", b"\n", b"}"])
    ),
    st.booleans(),
)


damage_locations = st.lists(
    st.tuples(st.integers(0), st.integers(0), damages), min_size=1, max_size=3
)
