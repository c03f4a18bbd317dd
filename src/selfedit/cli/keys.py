"""`keys`: which keys in environment variables may be sent where."""

from __future__ import annotations

from typing import Annotated

import typer

from selfedit.cli import screen
from selfedit.config.settings import ISSUERS, allow_key, host_of, read_settings

app = typer.Typer(help="Say where keys in environment variables may be sent; no config can.", no_args_is_help=True)

Variable = Annotated[str, typer.Argument(help="the environment variable that holds the key", metavar="VARIABLE")]
Host = Annotated[str, typer.Argument(help="api.example.com, localhost:8000, or a url", metavar="HOST")]


@app.command("allow")
def allow(variable: Variable, host: Host) -> None:
    """Let the key in a variable be sent to a host, whichever config or run names the two.

    Example: selfedit keys allow MY_KEY api.example.com
    """
    path = allow_key(variable, host)
    screen.out.print(f"{variable} may be sent to {host_of(host)}: {path}", soft_wrap=True)


@app.command("revoke")
def revoke(variable: Variable, host: Host) -> None:
    """Take that back.

    Example: selfedit keys revoke MY_KEY api.example.com
    """
    path = allow_key(variable, host, allow=False)
    screen.out.print(f"{variable} is not sent to {host_of(host)}: {path}", soft_wrap=True)


@app.command("list")
def list_() -> None:
    """What is allowed: by whoever issues the key, then by you.

    Example: selfedit keys list
    """
    own = [(variable, host) for variable, hosts in read_settings().keys.items() for host in hosts]
    for variable, host in [*ISSUERS.items(), *own]:
        screen.out.print(f"{variable:<22} {host}", soft_wrap=True)
