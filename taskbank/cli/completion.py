"""`taskbank completion`: shell completion of commands, options and task names."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash: eval "$(taskbank completion bash)"   in ~/.bashrc
    zsh:  eval "$(taskbank completion zsh)"    in ~/.zshrc
    fish: taskbank completion fish | source    in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    completion_class = get_completion_class(shell)
    assert completion_class is not None  # noqa: S101 - click supports the three shells above
    root = context.find_root().command
    click.echo(completion_class(root, {}, "taskbank", "_TASKBANK_COMPLETE").source())
