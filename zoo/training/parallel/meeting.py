"""Where processes find each other after torchrun has started them again."""

import os
import time
from datetime import timedelta
from uuid import uuid4

from torch.distributed import DistStoreError
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

_LIMIT = timedelta(minutes=30)  # torch's own, of gloo
_PAUSE = 0.02  # seconds


def meeting_place(rank: int, size: int) -> Store | None:
    """A store of this attempt alone; None where torch's own is that.

    torchrun lends its own store to one attempt after the other, and the addresses of processes that are gone still
    stand in it: whoever is early takes them for those of the others, and waits for a dead one. The number of the
    attempt does not tell them apart, for every host counts by itself.

    Raises:
        torch.distributed.DistError: The others did not come.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    store: Store = next(rendezvous("env://", timeout=_LIMIT))[0]
    store.set_timeout(_LIMIT)
    return PrefixStore(f"zoo/{agree(store, rank, size)}", store)


def agree(store: Store, rank: int, size: int) -> str:
    """A word that the processes of one attempt have in common, and those of no other.

    Each process makes up a word. The lead answers every other one that it hears of with its own; so who is answered
    hears a lead that lives, and the lead goes on until the answers have arrived. A word that was left by the dead gets
    an answer that nobody reads.

    Raises:
        torch.distributed.DistError: The others did not come.
    """
    own = uuid4().hex
    if rank > 0:
        store.set(f"zoo/word/{rank}", own)
        answer: str = store.get(f"zoo/answer/{own}").decode()
        store.set(f"zoo/heard/{answer}/{rank}", "")
        return answer
    missing = list(range(1, size))
    end = time.monotonic() + _LIMIT.total_seconds()
    while missing:
        if time.monotonic() > end:
            raise DistStoreError(f"timed out waiting for process {missing[0]} of {size}")
        for key in [f"zoo/word/{other}" for other in missing]:
            if store.check([key]):
                store.set(f"zoo/answer/{store.get(key).decode()}", own)
        time.sleep(_PAUSE)
        missing = [other for other in missing if not store.check([f"zoo/heard/{own}/{other}"])]
    return own
