"""``zoo hub``: published weights. Each command is a file of this folder."""

import click

from zoo.cli._group import LazyGroup

_COMMANDS = {
    "list": "List published weights.",
    "info": "Show what is known of published weights.",
    "pull": "Fetch published weights, and verify them.",
    "verify": "Verify files, load them, and replay their golden pairs.",
    "publish": "Add a trained model to a hub.",
    "convert": "Turn a weight file of another library into one of ours.",
    "serve": "Serve a hub's folder over HTTP.",
    "gc": "Remove what the cache no longer needs.",
}


@click.group(cls=LazyGroup, package=__name__, of=_COMMANDS)
def command() -> None:
    """Published weights, from hubs and plugins.

    A hub is a folder with an index.json: on this machine, on a web server, on Hugging Face. Those in the variable
    ZOO_HUB (several, separated by commas) come first, then the hub that ships with Zoo, then the records of plugins.

    \b
    zoo hub list                                          what there is
    zoo hub pull deeplabv3_resnet50.coco_voc                fetch and verify
    zoo hub publish RUN --to FOLDER                       share a model
    ZOO_HUB=https://example.org/hub zoo hub list          another hub
    """
