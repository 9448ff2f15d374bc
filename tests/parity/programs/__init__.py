"""Training programs of the kind people write, each run under gradwire and under PyTorch.

A program is a function `program(torch, data)` that takes the library, and a `Given` of tests/parity/given.py, and yields
the loss of each step for as long as it is asked. Whatever is random comes from `data`.
"""
