"""What a model costs and sees, found without its numbers: parameters, operations, strides, receptive fields, shapes."""

from zoo.summary.summary import SIZE, Summary, TapSummary, summarize

__all__ = ["SIZE", "Summary", "TapSummary", "summarize"]
