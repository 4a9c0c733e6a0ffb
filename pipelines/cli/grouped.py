"""`GroupedHelp`: the commands of a group under headings, each with a summary that fits its line."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class GroupedHelp(TyperGroup):
    """A group whose help lists its commands by their `rich_help_panel`, in plain text: rich takes too long to load."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each heading, in the order of the commands."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is None or command.hidden:
                continue
            heading = getattr(command, "rich_help_panel", None)
            heading = heading if isinstance(heading, str) else "Commands"
            sections.setdefault(heading, []).append((name, command.get_short_help_str(formatter.width)))
        widest = max((len(name) for rows in sections.values() for name, _ in rows), default=0)
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(widest), summary) for name, summary in rows])
