"""Processes that are started again do not meet those that are gone."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch.distributed as dist
from ranks_world import environment, finish

from zoo.training.parallel.meeting import agree


def attempt(store: dist.Store, order: list[int]) -> list[str]:
    """The words that processes come to which arrive in this order; their places are their numbers."""
    with ThreadPoolExecutor(len(order)) as pool:
        found = {}
        for rank in order:
            found[rank] = pool.submit(agree, store, rank, len(order))
            time.sleep(0.05)
        return [found[rank].result(timeout=30) for rank in range(len(order))]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_all_of_an_attempt_have_one_word_and_each_attempt_another(order):
    store = dist.HashStore()
    words = [attempt(store, order) for _ in range(3)]
    assert all(len(set(of_one)) == 1 for of_one in words)
    assert len({of_one[0] for of_one in words}) == 3


def test_who_died_on_the_way_is_not_waited_for():
    """The one had left its word and the other had not come yet: nobody had answered."""
    store = dist.HashStore()
    store.set("zoo/word/1", "of the dead")
    heard: list[str] = []
    early = threading.Thread(target=lambda: heard.append(agree(store, 0, 2)))
    early.start()
    time.sleep(0.1)  # it has answered the dead one by now
    assert not heard
    assert agree(store, 1, 2) == (early.join(30), heard)[1][0]


def test_a_new_attempt_does_not_call_the_old_one():
    """The store is one that outlives the processes, as torchrun's; in the second attempt the lead is late."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    code = "import sys, time\nfrom zoo.training.parallel.team import joined\ntime.sleep(float(sys.argv[1]))\n"
    code += "with joined() as team: print(team.gather(team.rank))"
    for late in (0, 3):
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(late if rank == 0 else 0)],
                env=environment(
                    RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(store.port),
                    TORCHELASTIC_USE_AGENT_STORE="True",
                ),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for rank in range(2)
        ]  # fmt: skip
        for exit_code, output, errors in finish(processes):
            assert (exit_code, output) == (0, "[0, 1]\n"), errors
