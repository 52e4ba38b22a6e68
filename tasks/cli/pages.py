"""Pages that are made from the options themselves."""

import textwrap

from tasks.runtime.options import OPTIONS, SECTION
from tasks.runtime.settings import LUIGI_SETTINGS


def options_page() -> str:
    """The text of docs/options.md."""
    lines = [
        "# Options",
        "",
        "Made by `lis options`. Each is a key of `[lis]` in `luigi.cfg` and a flag of commands and tasks that use it;",
        "the command line wins over `luigi.cfg`, which wins over the default.",
        "",
        "| key in luigi.cfg | flag | default | what it does |",
        "|---|---|---|---|",
    ]
    for name, option in OPTIONS.items():
        flag, default = f"--{name.replace('_', '-')}", f"`{option.default}`" if option.default else ""
        lines.append(f"| `{name}` | `{flag}` | {default} | {option.description} |")
    return "\n".join(lines) + "\n"


def luigi_cfg() -> str:
    """The text of a luigi.cfg that says every default."""
    lines = [
        "# Every option has a line of explanation; docs/options.md lists them as a table.",
        "# Options of the project are in [lis]; each can be given on the command line, too: --click-spacing-px 30.",
        "# Made by `lis options --luigi-cfg`: what is left out has the same values.",
        "",
        f"[{SECTION}]",
    ]
    group = ""
    for name, option in OPTIONS.items():
        if option.group != group:
            lines += ["", f"# --- {option.group}"] if group else [f"# --- {option.group}"]
            group = option.group
        lines += textwrap.wrap(option.description, 118, initial_indent="# ", subsequent_indent="# ")
        lines.append(f"{name} = {option.default}".rstrip())
    own = LUIGI_SETTINGS.read_text(encoding="utf-8").partition("\n\n")[2]
    return "\n".join(lines) + "\n\n" + own
