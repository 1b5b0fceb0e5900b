"""A progress bar where somebody watches, silence elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(what: str) -> Iterator[Callable[[float, int], None] | None]:
    """Yield a function ``report(done, total)`` that moves a bar on standard error; None where that is no terminal.

    The bar is gone when the block ends.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn(what), TimeRemainingColumn())
    # Lines for standard output may pass above the bar only where both are on the same screen.
    shared = sys.stdout.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=shared) as bar:
        task = bar.add_task(what, total=None)

        def report(done: float, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield report
