"""Takes more than it may in its third step; `harm` says of what."""

import ctypes
import mmap
import os
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

import gradwire as torch
from gradwire import Job, nn
from gradwire.utils.data import TensorDataset


def memory():
    np.ones(1500 * 2**20, np.uint8)


def many_small():
    kept = []
    while True:
        kept.append(bytes(1000))


def shared_memory():
    kept = mmap.mmap(-1, 600 * 2**20)
    kept.write(bytes(600 * 2**20))
    time.sleep(60)


def memory_of_children():
    # Each of them has less than the limit.
    text = "import time; kept = bytearray(50 * 2**20); time.sleep(60)"
    for child in [subprocess.Popen([sys.executable, "-c", text]) for _ in range(6)]:
        child.wait()


def memory_in_a_thread():
    thread = threading.Thread(target=memory)
    thread.start()
    thread.join()
    time.sleep(60)


def memory_in_c():
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    kept = []
    while address := libc.malloc(2**20):
        kept.append(address)
    time.sleep(1)  # as what crashes of it would take its time
    libc.abort()


def file():
    with tempfile.TemporaryFile() as out:
        while True:
            out.write(bytes(2**20))


def open_files():
    kept = []
    while True:
        kept.append(open(os.devnull))  # noqa: SIM115


def fork_bomb():
    while True:
        os.fork()
        time.sleep(0.05)  # as fast as this it would be hard on whoever else works on the machine


def detached():
    # Their parents end, so that they are nobody's children.
    subprocess.run(["sh", "-c", "setsid sleep 60 & " * 80], check=True)
    time.sleep(60)


def threads():
    for _ in range(200):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    time.sleep(60)


class Greedy(Job):
    epochs = 1
    batch_size = 8
    harm = ""
    steps = 0

    def model(self):
        return nn.Linear(4, 2)

    def train_data(self):
        return TensorDataset(torch.randn(32, 4))

    def optimizer(self, model):
        return torch.optim.SGD(model.parameters(), lr=0.1)

    def loss(self, model, batch):
        self.steps += 1
        if self.steps == 3 and self.harm:
            globals()[self.harm]()
        return {"loss": model(batch[0]).square().mean()}


if __name__ == "__main__":
    torch.run(Greedy)
