"""``tunesmith completion bash|zsh|fish``."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: tunesmith completion bash > ~/.local/share/bash-completion/completions/tunesmith
    zsh:  tunesmith completion zsh  > "${fpath[1]}/_tunesmith"
    fish: tunesmith completion fish > ~/.config/fish/completions/tunesmith.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "tunesmith", "_TUNESMITH_COMPLETE").source())
