#!/usr/bin/python3
"""The dialogue of sysconfig create-profile on a terminal: dialogue_test.py lines|screens|interrupted

Run by dialogue.test, with sysconfig on the PATH, in a folder of its own.
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))
from kzlab.terminal import Terminal  # noqa: E402

F2, F3, F6, F9, DOWN = "\x1bOQ", "\x1bOR", "\x1b[17~", "\x1b[20~", "\x1bOB"


def start(name, terminal):
    environment = {**os.environ, "TERM": terminal, "LANG": "C.UTF-8", "ESCDELAY": "100"}
    return Terminal(["sysconfig", "create-profile", "-o", name, "-l", name + ".log"], environment, 30, 100)


def end(dialogue, name):
    dialogue.expect(r"SC profile successfully generated as:\s+" + name + "/sc_profile.yaml")
    dialogue.expect(r"Exiting System Configuration Tool\. Log is available at:\s+" + name + r"\.log")
    assert dialogue.wait() == 0
    assert "tops3cret" not in dialogue.text, "a password was shown"
    profile = pathlib.Path(name, "sc_profile.yaml").read_text()
    assert pathlib.Path(name, "sc_profile.yaml").stat().st_mode & 0o777 == 0o600
    log = pathlib.Path(name + ".log").read_text()
    assert "tops3cret" not in log and "$6$" not in log and "Computer name: db7" in log, log
    return profile


def expect_profile(profile):
    for line in ["hostname: db7", "timezone: UTC", "locale: C.UTF-8", "  layout: us", '        - "192.0.2.5/24"',
                 '          via: "192.0.2.1"', "  - name: root", "    lock_passwd: false", "  - name: jack"]:
        assert line in profile.splitlines(), (line, profile)
    assert profile.count('hashed_passwd: "$6$rounds=100000$') == 2, profile


def lines():
    with start("lines", "dumb") as dialogue:
        def answer(prompt, *texts):
            for text in texts:
                dialogue.expect(prompt)
                dialogue.send_line(text)
        answer(r"Continue .*: ", "")
        answer(r"Computer Name: ", "!h", "a_b")
        dialogue.expect("'a_b' is not a host name")
        answer(r"Computer Name \[a_b\]: ", "db7")
        answer(r"Configure the network \[.*\]: ", "9", "3")
        answer(r"IP Address: ", "!b")
        answer(r"Configure the network \[Manually\]: ", "")
        answer(r"IP Address: ", "192.0.2.5/24")
        answer(r"Router: ", "192.0.2.1")
        answer(r"DNS Servers: ", "")
        answer(r"Search Domains: ", "")
        answer(r"Regions \[.*\]: ", "UTC")
        answer(r"Locale \[C.UTF-8\]: ", "")
        answer(r"Keyboard \[us\]: ", "")
        answer(r"Root password: ", "tops3cret")
        answer(r"Confirm password: ", "other")
        dialogue.expect("the passwords are not the same")
        answer(r"Root password: ", "tops3cret")
        answer(r"Confirm password: ", "tops3cret")
        answer(r"Your real name: ", "")
        answer(r"Username: ", "jack")
        answer(r"User password: ", "tops3cret")
        answer(r"Confirm password: ", "tops3cret")
        answer(r"SSH public key: ", "")
        dialogue.expect("Computer name: db7")
        answer(r"Apply .*: ", "")
        expect_profile(end(dialogue, "lines"))


def screens():
    with start("screens", "xterm") as dialogue:
        def page(title, keys):
            dialogue.expect(title)
            dialogue.expect(r"F9_Quit")
            dialogue.send(keys)
        page("System Configuration Tool", F2)
        page("Computer Name", "a_b" + F2)
        dialogue.expect("'a_b' is not a host name")
        dialogue.send("\x15db7" + F6)
        dialogue.expect("Help: Computer Name")
        dialogue.send("\r")
        page("Computer Name", "\x1b2")
        page("Network", DOWN + DOWN + F2)
        page("Manual Network", F3)
        page("Network", F2)
        page("Manual Network", "192.0.2.5/24\t192.0.2.1" + F2)
        page("Time Zone: Regions", "UU" + F2)
        page("Locale", F2)
        page("Keyboard", F2)
        page("System Root Password", "tops3cret\r" + "other" + F2)
        dialogue.expect("passwords are not the same")
        dialogue.send("\x15tops3cret\t\x15tops3cret" + F2)
        page("User Account", "\tjack\ttops3cret\ttops3cret" + F9)
        page("Confirm Quit", F2)
        page("User Account", "\t\ttops3cret\ttops3cret" + F2)
        page("System Configuration Summary", F2)
        expect_profile(end(dialogue, "screens"))


def interrupted():
    with start("gone", "xterm") as dialogue:
        dialogue.expect("F9_Quit")
        dialogue.send(F9)
        dialogue.expect("Confirm Quit")
        dialogue.send("y" + F2)
        dialogue.expect("the user has quit; no profile was written")
        assert dialogue.wait() == 1
    with start("gone", "xterm") as dialogue:
        dialogue.expect("F9_Quit")
        dialogue._process.terminate()
        dialogue.expect("interrupted; no profile was written")
        assert dialogue.wait() == 1
    assert not os.path.exists("gone")


{"lines": lines, "screens": screens, "interrupted": interrupted}[sys.argv[1]]()
