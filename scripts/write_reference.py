"""Writes docs/settings.md and docs/commands.md from the code, so that they cannot say anything else.

Run it with `python scripts/write_reference.py`; a test compares the files with what it would write.
"""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.checks import settings_in_force
from pipeline.cli import main
from pipeline.settings import PREFIX, Settings

DOCS = Path(__file__).resolve().parent.parent / "docs"
WIDTH = 100


def settings_page() -> str:
    """Every setting as a table."""
    rows = [f"| `{one.name}` | {_code(one.default)} | {one.description} |" for one in settings_in_force(None)]
    return "\n".join(
        [
            "# Settings",
            "",
            "From the environment or from `.env` in the folder where the command is typed; the environment wins. An",
            "unknown `NEOPULSE_` name or a value that cannot be used ends every command with exit code 2 and the reason.",
            "A secret may be in a file as well, as Docker mounts them (`NEOPULSE_N8N_SECRET_FILE=/run/secrets/n8n`): each",
            "of " + ", ".join(f"`{PREFIX}{name.upper()}`" for name in Settings.secret_names()) + ".",
            "`neopulse check` shows the values in force, of a secret only that it is set.",
            "(Written by scripts/write_reference.py.)",
            "",
            "| setting | default | what it is for |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def commands_page() -> str:
    """The help of every command."""
    parts = ["# Commands", "", "What `--help` prints. (Written by scripts/write_reference.py.)", ""]
    parts += _section(main, "neopulse")
    for name in sorted(main.commands):
        parts += _sections(main.commands[name], f"neopulse {name}")
    return "\n".join(parts)


def _sections(command: click.Command, path: str) -> list[str]:
    """The help of a command and, where it is a group, of each command in it."""
    parts = _section(command, path)
    for name in sorted(command.commands) if isinstance(command, click.Group) else ():
        parts += _sections(command.commands[name], f"{path} {name}")
    return parts


def _section(command: click.Command, path: str) -> list[str]:
    context = click.Context(command, info_name=path, max_content_width=WIDTH, terminal_width=WIDTH)
    return [f"## {path}", "", "```", command.get_help(context), "```", ""]


PAGES = {"settings.md": settings_page, "commands.md": commands_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
