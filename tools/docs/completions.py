"""Completions for bash, zsh and fish, from what the programs' help says. Zones and their names are asked for when the
user presses the key."""

# Names that stand for themselves in no usage.
VALUES = {"cipher": ["aes-128-ccm", "aes-128-gcm", "aes-256-gcm", "chacha20-poly1305"]}
ZONE_OPTION = "-z"
ZONES = "zoneadm list -cp 2>/dev/null | cut -d: -f2 | grep -vx global"


def _words(entry, option):
    """What may follow the option; None when it takes nothing."""
    words = entry.options()[option]
    if words is None:
        return None
    return words + (VALUES["cipher"] if option == "-c" and "list" in words else [])


def bash(helps):
    out = ["# bash completion of kzones; made by tools/make-docs from the programs' help.", "_kzones_words() {",
           "    case \"$1 $2 $3\" in"]
    for each in helps:
        for entry in each.entries:
            for option in entry.options():
                words = _words(entry, option)
                if words is not None:
                    out.append(f"        '{each.program} {entry.name} {option}') echo '{' '.join(words)}' ;;")
            flat = list(entry.options()) + entry.operands()
            out.append(f"        '{each.program} {entry.name} ') echo '{' '.join(flat)}' ;;")
        names = [entry.name for entry in each.entries]
        out.append(f"        '{each.program}  ') echo '{' '.join(names + [ZONE_OPTION, '-R'])}' ;;")
    out += ["        *) return 1 ;;", "    esac", "}", "", "_kzones() {",
            "    local program=${COMP_WORDS[0]##*/} current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}",
            "    local sub= word i words",
            "    for ((i = 1; i < COMP_CWORD; i++)); do",
            "        word=${COMP_WORDS[i]}",
            "        case $word in", "            -z | -R | -u) ((i++)) ;;", "            -*) ;;",
            "            *) sub=$word; break ;;", "        esac", "    done",
            "    if [ \"$program\" = zlogin ] || { [ -z \"$sub\" ] && [ \"$before\" = -z ]; }; then",
            f"        words=$({ZONES})",
            "    elif ! words=$(_kzones_words \"$program\" \"$sub\" \"$before\" 2>/dev/null); then",
            "        words=$(_kzones_words \"$program\" \"$sub\" '') || return 0",
            "    fi",
            "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))",
            "    # What is no word of ours may be a file.",
            "    [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$current\"))",
            "}", f"complete -F _kzones {' '.join(_programs(helps))}"]
    return "\n".join(out) + "\n"


def zsh(helps):
    out = [f"#compdef {' '.join(_programs(helps))}",
           "# zsh completion of kzones; made by tools/make-docs from the programs' help.",
           "local program=${words[1]:t} before=${words[CURRENT-1]} sub= i",
           "for ((i = 2; i < CURRENT; i++)); do", "    case ${words[i]} in", "        -z|-R|-u) ((i++)) ;;",
           "        -*) ;;", "        *) sub=${words[i]}; break ;;", "    esac", "done",
           "if [[ $program == zlogin || ( -z $sub && $before == -z ) ]]; then",
           f"    compadd -- ${{(f)\"$({ZONES})\"}}", "    return", "fi", "case \"$program $sub $before\" in"]
    for each in helps:
        for entry in each.entries:
            for option in entry.options():
                words = _words(entry, option)
                if words is None:
                    continue
                action = f"compadd -- {' '.join(words)}" if words else "_files"
                out.append(f"    '{each.program} {entry.name} {option}') {action}; return ;;")
    out += ["esac", "case \"$program $sub\" in"]
    for each in helps:
        for entry in each.entries:
            flat = list(entry.options()) + entry.operands()
            out.append(f"    '{each.program} {entry.name}') compadd -- {' '.join(flat)}; _files ;;")
        rows = " ".join("'" + f"{entry.name}:{_first_sentence(entry)}".replace("'", "'\\''") + "'" for entry in each.entries)
        if each.entries:
            out.append(f"    '{each.program} ') local -a subcommands=({rows}); _describe sub-command subcommands ;;")
    out += ["    *) _files ;;", "esac"]
    return "\n".join(out) + "\n"


def fish(helps, program):
    each = next(item for item in helps if item.program == program)
    out = [f"# fish completion of {program}; made by tools/make-docs from its help.",
           f"complete -c {program} -s z -x -a '({ZONES})'"]
    names = " ".join(entry.name for entry in each.entries)
    for entry in each.entries:
        out.append(f"complete -c {program} -n 'not __fish_seen_subcommand_from {names}' -x -a {entry.name} "
                   f"-d {_quoted(_first_sentence(entry))}")
        seen = f"-n '__fish_seen_subcommand_from {entry.name}'"
        for option in entry.options():
            words = _words(entry, option)
            kind = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            value = "" if words is None else f" -x -a {_quoted(' '.join(words))}" if words else " -r"
            out.append(f"complete -c {program} {seen} {kind}{value}")
        if entry.operands():
            out.append(f"complete -c {program} {seen} -x -a {_quoted(' '.join(entry.operands()))}")
    if not each.entries:
        out.append(f"complete -c {program} -x -a '({ZONES})'")
    return "\n".join(out) + "\n"


def _first_sentence(entry):
    return entry.description.split(". ")[0].rstrip(".").replace(":", ",")


def _quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _programs(helps):
    return [each.program for each in helps]
