"""Randomness that can be looked up: the draw for row 7 of a stream is the same whoever asks, when and where.

Every draw is a hash of the stream's name and the row's number (SplitMix64: Steele, Lea and Flood, "Fast splittable
pseudorandom number generators", OOPSLA 2014), in whole numbers throughout. So no draw depends on how many came before
it, on the version of a library, or on a machine's floating point.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_32, _31, _30, _27 = (np.uint64(shift) for shift in (32, 31, 30, 27))
_ONE = 2**53

Numbers = NDArray[np.int64]


class Draws:
    """The draws of one stream, named by `path`: what differs in one element shares nothing."""

    def __init__(self, *path: object) -> None:
        self._path = path
        digest = hashlib.blake2b("/".join(map(str, path)).encode(), digest_size=8).digest()
        self.key = int.from_bytes(digest, "big")

    def stream(self, *path: object) -> Draws:
        """Return the draws of another stream, below this one."""
        return Draws(*self._path, *path)

    def beside(self, name: object) -> Draws:
        """Return the draws of the stream called `name` beside this one."""
        return Draws(*self._path[:-1], name)

    def bits(self, numbers: Numbers) -> NDArray[np.uint64]:
        """Return 64 random bits for each of `numbers` (int64, any shape)."""
        with np.errstate(over="ignore"):
            mixed = numbers.astype(np.uint64)
            spare = np.empty_like(mixed)
            # In place, since this is where most of the time goes.
            mixed += np.uint64(1)
            mixed *= _GOLDEN
            mixed += np.uint64(self.key)
            for shift, factor in ((_30, _FIRST), (_27, _SECOND)):
                mixed ^= np.right_shift(mixed, shift, out=spare)
                mixed *= factor
            mixed ^= np.right_shift(mixed, _31, out=spare)
            return mixed

    def below(self, numbers: Numbers, limit: int | Numbers) -> Numbers:
        """Return for each of `numbers` a whole number from 0 to `limit` - 1; `limit` is at most 2**31."""
        return (((self.bits(numbers) >> _32) * np.asarray(limit, dtype=np.uint64)) >> _32).astype(np.int64)

    def chance(self, numbers: Numbers, rate: float) -> NDArray[np.bool_]:
        """Return for each of `numbers` whether it is among the share `rate` (0 to 1): never at 0, always at 1."""
        bound = round(rate * _ONE)
        if bound == _ONE:
            return np.ones(numbers.shape, dtype=bool)
        return self.bits(numbers) < np.uint64(bound << 11)

    def pick(self, numbers: Numbers, weights: Weights) -> Numbers:
        """Return for each of `numbers` a position in `weights`, as often as its weight says."""
        return np.searchsorted(weights.up_to, self.below(numbers, weights.total), side="right").astype(np.int64)


class Weights:
    """How often each of some things is picked, by whole numbers of which the sum is at most 2**31."""

    def __init__(self, weights: list[int] | Numbers) -> None:
        self.up_to = np.cumsum(np.asarray(weights, dtype=np.int64))
        self.total = int(self.up_to[-1])
        if not 0 < self.total <= 2**31:
            raise ValueError(f"The weights add up to {self.total:,}; they must add up to 1 at least and 2**31 at most.")
