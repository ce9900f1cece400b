"""The part of pypeln that the benchmarks use."""

from pypeln import process as process
