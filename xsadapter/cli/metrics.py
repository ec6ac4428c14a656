"""`xsadapter metrics`: the daemon's counters as Prometheus text."""

from __future__ import annotations

from contextlib import suppress

import click

from xsadapter.address import socket_path


@click.command()
@click.option("--listen", metavar="HOST:PORT|PATH", help="Answer scrapes there by HTTP, until interrupted.")
@click.option("--domains/--no-domains", default=True, show_default=True, help="Whether to tell each domain's.")
@click.option("--socket", metavar="PATH", help="Where the daemon listens.")
def metrics(listen: str | None, domains: bool, socket: str | None) -> None:
    """Print the daemon's counters as Prometheus text, or serve them; needs the extra `metrics`.

    Serving is a process of its own beside the daemon: the daemon may come and go, and xenstored_up says whether it is
    there.

    \b
    Example:
      xsadapter metrics
      xsadapter metrics --listen 127.0.0.1:9753
      xsadapter metrics --listen /run/xenstored-metrics.socket
    """  # noqa: D301 - the escape is click's mark: do not rewrap
    try:
        from xsadapter.cli import prometheus  # noqa: PLC0415 - an extra
    except ImportError:
        raise click.ClickException("prometheus-client is not installed: pip install 'rrdstore[metrics]'") from None
    path = str(socket_path(socket))
    if listen is None:
        click.echo(prometheus.text(path, domains), nl=False)
        return
    try:
        server = prometheus.server(listen, path, domains)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    with server, suppress(KeyboardInterrupt):
        click.echo(f"metrics of {path} at {listen}", err=True)
        server.serve_forever()
