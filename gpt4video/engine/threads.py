"""How many processor threads torch computes with, for one thread of Python alone."""

from __future__ import annotations

import threading

import torch

_turn = threading.Lock()


def compute_here_with(threads: int) -> None:
    """From now on torch computes with so many threads for the thread that calls this; others keep theirs.

    `torch.set_num_threads` sets two numbers: that of the thread that calls it, and the one with which every
    thread begins that has not computed yet. The second is put back, by a thread that does nothing else.
    """
    with _turn:
        # Asked first: a thread that has not computed yet would take torch's own number later, over this one.
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        other = threading.Thread(target=torch.set_num_threads, args=(before,))
        other.start()
        other.join()
