"""`taskbank completion`: completion of commands, options and task names in a shell."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: eval "$(taskbank completion bash)"   in ~/.bashrc
    zsh:  eval "$(taskbank completion zsh)"    in ~/.zshrc
    fish: taskbank completion fish | source    in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - click has the three shells above
    root = context.find_root().command
    click.echo(found(root, {}, "taskbank", "_TASKBANK_COMPLETE").source())
