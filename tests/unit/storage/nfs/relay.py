#!/usr/bin/python3
"""A man between client and NFS server, on port 2051 of the server's host: passes RPC records on, and does once what
its arguments say to the answer of the first call of an NFS procedure.

    relay.py                       nothing
    relay.py lose PROCEDURE        the server carries it out; its answer, and all later ones of that connection, are lost
    relay.py patch PROCEDURE WHERE HEX
                                   these bytes at WHERE (negative: from the end) of the answer are others
"""
import socket
import sys
import threading

NFS_PROGRAM = (100003).to_bytes(4, "big")
todo = sys.argv[1:]
lock = threading.Lock()


def records(source):
    def exactly(count):
        data = b""
        while len(data) < count:
            part = source.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    while True:
        mark = exactly(4)
        yield mark + exactly(int.from_bytes(mark, "big") & 0x7FFFFFFF)


def is_wanted(call):
    procedure = int.from_bytes(call[24:28], "big")
    return bool(todo) and call[16:20] == NFS_PROGRAM and procedure == int(todo[1])


def pass_calls(near, far, marked):
    for call in records(near):
        with lock:
            if is_wanted(call):
                marked[call[4:8]] = list(todo)
                todo.clear()
        far.sendall(call)


def pass_answers(near, far, marked):
    for answer in records(far):
        with lock:
            action = marked.get(answer[4:8])
        if action and action[0] == "lose":
            return
        if action:
            where, patch = int(action[2]) % len(answer), bytes.fromhex(action[3])
            answer = answer[:where] + patch + answer[where + len(patch):]
        near.sendall(answer)


def run(function, *arguments):
    try:
        function(*arguments)
    except (EOFError, OSError):
        for each in arguments[:2]:
            each.close()


def main():
    server = socket.create_server(("", 2051))
    print("listening", flush=True)
    while True:
        near, _ = server.accept()
        far = socket.create_connection(("127.0.0.1", 2049))
        marked = {}
        for function in (pass_calls, pass_answers):
            threading.Thread(target=run, args=(function, near, far, marked), daemon=True).start()


if __name__ == "__main__":
    main()
