"""One man page: NAME, what the program's help says, and the prose of docs/man/PROGRAM.md.

The prose: the first line is "PROGRAM(8): what it is in half a line"; "## SECTION" begins a section; blank lines part
paragraphs; four blanks begin a line that is shown as it is; "- " an item; `x` and **x** are set bold. DESCRIPTION comes
first, then the sub-commands or options, then the other sections in their order."""
import re

ITEM = "- "


def render(help_text, prose, date, version):
    title, _, body = prose.partition("\n")
    match = re.fullmatch(r"([\w-]+)\((\d)\): (.+)", title.strip())
    if not match:
        raise SystemExit(f"docs/man/{help_text.program}.md: its first line is not 'PROGRAM(8): what it is'")
    name, section, summary = match.groups()
    sections = _sections(body)
    out = [f'.TH {name.upper()} {section} "{date}" "kzones {version}" "Kernel Zones for Linux"',
           ".SH NAME", f"{name} \\- {escape(summary)}",
           ".SH SYNOPSIS", ".nf", *(escape(line) for line in help_text.synopsis), ".fi"]
    out += _section("DESCRIPTION", sections.pop("DESCRIPTION"))
    if help_text.entries:
        out += _entries(help_text.entries)
    elif help_text.text.strip():
        out += [".SH OPTIONS", ".nf", *(escape(line.strip("\n")) for line in help_text.text.strip("\n").splitlines()),
                ".fi"]
    for heading, text in sections.items():
        out += _section(heading, text)
    return "\n".join(out) + "\n"


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def _inline(text):
    parts = re.split(r"(`[^`]+`|\*\*[^*]+\*\*)", text)
    return "".join(f"\\fB{escape(part.strip('`*'))}\\fR" if part[:1] == "`" or part[:2] == "**" else escape(part)
                   for part in parts)


def _sections(body):
    found = {}
    heading = None
    for line in body.splitlines():
        if line.startswith("## "):
            heading = line[3:].strip()
            found[heading] = []
        elif heading is not None:
            found[heading].append(line)
    return found


def _section(heading, lines):
    out = [f".SH {heading}"]
    literal = False
    for line in lines:
        shown = line.startswith("    ")
        if shown != literal and (shown or line.strip()):
            out += [".PP", ".RS 4", ".nf"] if shown else [".fi", ".RE", ".PP"]
            literal = shown
        if shown:
            out.append(escape(line[4:]))
        elif line.startswith(ITEM):
            out += [".IP \\(bu 3", _inline(line[len(ITEM):])]
        elif line.strip():
            out.append(_inline(line.strip()))
        elif literal:
            out.append("")
        elif out[-1] not in (".PP", f".SH {heading}"):
            out.append(".PP")
    if literal:
        out += [".fi", ".RE"]
    while out[-1] in (".PP", ""):
        out.pop()
    return out


def _entries(entries):
    out = [".SH SUBCOMMANDS"]
    for entry in entries:
        for line in entry.usage[:-1]:
            out += [".TP 8", f"\\fB{escape(line)}\\fR", ".PD 0"] if line is entry.usage[0] else \
                   [".TQ", f"\\fB{escape(line)}\\fR"]
        out += [".TP 8" if len(entry.usage) == 1 else ".TQ", f"\\fB{escape(entry.usage[-1])}\\fR"]
        if len(entry.usage) > 1:
            out.append(".PD")
        out.append(escape(entry.description))
    return out
