"""Replays a session: types what a transcript says is typed, and compares what comes with what it shows.

A transcript is a text of sessions at one or more terminals:

    % a comment
    @root node1                     from here on at terminal "root", a shell on node1; opened when first named, with the
                                    prompt that stands first
    # zoneadm list -cv              a prompt and what is typed at it: "# ", "node1# ", "zonecfg:ant1> ", "ant1:~# ";
                                    nothing after the prompt: it is waited for, and nothing typed
      ID NAME   ...                 what it prints, up to the next prompt
    @root                           back at that terminal

What is printed must be what stands there, line by line, but for blanks at the ends of lines. In such a line
{{EXPRESSION}} stands for text that the regular expression matches; ${NAME} is replaced by what the caller of replay()
gives. A line that begins with "+ " stands for one or more lines of that form, "..." for any number of any lines.
"< TEXT" types TEXT as it is (\\r, \\x03 are understood) without waiting for a prompt. Output that a terminal has not
shown when the transcript turns to another is waited for when it turns back.
"""
import pathlib
import re
import time
from dataclasses import dataclass, field

from kzlab.screen import displayed
from kzlab.terminal import TerminalTimeout

PROMPT = re.compile(r"((?:[\w.@-]+:[~/][^ ]*)?[#$] |[\w.-]+# |zonecfg:[\w.:-]+> )(.*)")
TERMINAL = re.compile(r"@([\w-]+)(?: ([\w-]+))?")
SHELL = ["bash", "--norc", "--noprofile", "--noediting", "-i"]


class TranscriptError(AssertionError):
    """What came is not what the transcript shows."""


@dataclass
class Step:
    """Output that is expected, then, unless it is the last at its terminal for now, something typed."""
    terminal: str
    line: int
    output: list = field(default_factory=list)
    prompt: str = ""
    typed: str | None = None  # None: nothing, the transcript turns to another terminal
    raw: bool = False


def parse(text, replacements=None):
    """(name of terminal -> name of node, [Step])"""
    nodes, steps, current = {}, [], None
    for number, line in enumerate(text.splitlines(), 1):
        for name, value in (replacements or {}).items():
            line = line.replace(f"${{{name}}}", value)
        if line.startswith("%"):
            continue
        if match := TERMINAL.fullmatch(line):
            if match[2]:
                nodes[match[1]] = match[2]
            current = Step(match[1], number)
            steps.append(current)
        elif current is None:
            if line.strip():
                raise ValueError(f"line {number}: no terminal has been named")
        elif match := PROMPT.fullmatch(line):
            current.prompt, current.typed = match[1], match[2]
            steps.append(current := Step(current.terminal, number))
        elif match := PROMPT.fullmatch(line.rstrip() + " "):
            current.prompt = match[1]
            steps.append(current := Step(current.terminal, number))
        elif line.startswith("< "):
            current.typed, current.raw = line[2:].encode().decode("unicode_escape"), True
            steps.append(current := Step(current.terminal, number))
        else:
            current.output.append(line)
    for step in steps:
        _trim(step.output)
    return nodes, [step for step in steps if step.output or step.prompt or step.typed is not None]


def _trim(lines):
    """Empty lines at the end separate parts of the transcript; they are not output."""
    while lines and not lines[-1].strip():
        lines.pop()


def expression_of(lines):
    """The regular expression that the displayed output is held against, and ends with its last line's end."""
    pattern = ""
    for line in lines:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
            continue
        repeated = line.startswith("+ ")
        parts = re.split(r"\{\{(.*?)\}\}(?!\})", line[2:] if repeated else line.rstrip())
        body = "".join(f"(?:{part})" if index % 2 else re.escape(part) for index, part in enumerate(parts))
        pattern += f"(?:{body} *\\n)+" if repeated else f"{body} *\\n"
    return pattern


class Session:
    """One terminal of a transcript."""

    def __init__(self, node, prompt, environment, columns=160):
        self.terminal = node.terminal(SHELL, env={"PS1": prompt} | environment, columns=columns)
        self._position = 0

    def await_step(self, step, timeout):
        """Waits for the step's output and prompt. What is typed at a prompt ends the output before it."""
        pattern = expression_of(step.output)
        if step.prompt:
            prompt = re.escape(step.prompt) + r"\Z"
            pattern += prompt if step.typed is not None else f"(?={prompt})"
        expression = re.compile(pattern)
        deadline = time.monotonic() + timeout
        while True:
            text = displayed(self.terminal.text)[self._position:]
            if match := expression.match(text):
                self._position += match.end()
                return
            if time.monotonic() > deadline:
                wanted = "\n".join([*step.output, step.prompt])
                raise TranscriptError(f"line {step.line}, terminal {step.terminal}: expected\n{wanted}\nbut there is\n{text}")
            time.sleep(0.01)

    def type_step(self, step, timeout):
        if step.raw:
            self.terminal.send(step.typed)
            return
        self.terminal.send_line(step.typed)
        echo = step.typed + "\n"
        deadline = time.monotonic() + timeout
        while not displayed(self.terminal.text)[self._position:].startswith(echo):
            if time.monotonic() > deadline:
                raise TranscriptError(f"line {step.line}: '{step.typed}' was typed but not shown; there is\n"
                                      f"{displayed(self.terminal.text)[self._position:]}")
            time.sleep(0.01)
        self._position += len(echo)


def first_prompt(steps, terminal):
    return next((step.prompt for step in steps if step.terminal == terminal and step.prompt), "# ")


def replay(file, lab, replacements=None, timeout=60, hosts=None, environment=None, before=None):
    """Replays the transcript in `file`. Returns what was shown, by terminal. TranscriptError says what differs.
    `hosts`: name of host in the transcript -> of the node that plays it, where they differ. `environment`: name of host
    in the transcript -> variables of its shells. `before`: what is typed -> what is called just before."""
    nodes, steps = parse(pathlib.Path(file).read_text(), replacements)
    sessions = {}
    try:
        for step in steps:
            if step.terminal not in sessions:
                host = nodes[step.terminal]
                sessions[step.terminal] = Session(lab.node((hosts or {}).get(host, host)),
                                                  first_prompt(steps, step.terminal), (environment or {}).get(host, {}))
            session = sessions[step.terminal]
            session.await_step(step, timeout)
            if step.typed is not None:
                (before or {}).get(step.typed, lambda: None)()
                session.type_step(step, timeout)
        return {name: displayed(session.terminal.text) for name, session in sessions.items()}
    except TerminalTimeout as error:
        raise TranscriptError(str(error)) from None
    finally:
        for session in sessions.values():
            session.terminal.close()
