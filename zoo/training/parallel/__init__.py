"""Several processes that train one model: who they are, how they agree, how they share the work.

`team.joined` is where to begin. A process that is alone meets nothing of this but a few methods that do nothing.
"""
