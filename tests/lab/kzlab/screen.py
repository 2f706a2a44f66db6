"""What a terminal's output looks like to the one who sits before it."""
import re

_TOKEN = re.compile(r"\x1b\[(?P<arguments>[0-9;?]*)(?P<final>[A-Za-z@])|\x1b[()][0-9A-Za-z]|\x1b[=>78]|(?P<other>.)", re.DOTALL)


def displayed(output):
    """The lines as they stand on the screen when line editors have moved the cursor about in them. Only movement
    within a line is understood; that is all that a dumb terminal is sent."""
    done, line, column = [], [], 0
    for token in _TOKEN.finditer(output):
        other, final = token["other"], token["final"]
        count = int(token["arguments"]) if final and token["arguments"].isdigit() else 0
        if final == "K":  # 0: to the end of the line, 2: all of it
            line = [] if count == 2 else line[:column]
        elif final == "C":
            column += count or 1
        elif final == "D":
            column = max(0, column - (count or 1))
        elif other == "\n":
            done.append("".join(line))
            line, column = [], 0
        elif other == "\r":
            column = 0
        elif other == "\b":
            column = max(0, column - 1)
        elif other is not None and other >= " ":
            line += " " * (column - len(line))
            line[column:column + 1] = other
            column += 1
    return "\n".join([*done, "".join(line)])
