"""``zoo hub serve``."""

from pathlib import Path

import click


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; 0.0.0.0 for other machines.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
def command(folder: Path, host: str, port: int) -> None:
    """Serve a hub's folder over HTTP until Ctrl-C. Any other static web server would do as well.

    \b
    zoo hub serve hub --port 9000
    """
    from zoo.hub.publishing.serve import Server

    with Server(folder, host, port) as server:
        click.echo(f"serving {folder} at {server.address}; Ctrl-C ends it\nexport ZOO_HUB={server.address}")
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
