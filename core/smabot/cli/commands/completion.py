"""`smabot completion`: prints the script that lets a shell complete commands and options."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print what lets bash, zsh or fish complete smabot.

    Add to ~/.bashrc: eval "$(smabot completion bash)"; to ~/.zshrc, after compinit: eval "$(smabot
    completion zsh)"; for fish: smabot completion fish > ~/.config/fish/completions/smabot.fish
    """
    from smabot.cli.command_group import smabot
    from smabot.cli.help.shell_completion import script

    click.echo(script(smabot, shell))
