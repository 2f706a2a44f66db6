#!/usr/bin/python3
"""A portmapper, and a mount service that answers everything with a list of as many exports as its argument says."""
import socket
import sys
import threading

PORT = 2052


def answer(server, result):
    while True:
        client, _ = server.accept()
        call = client.recv(65536)
        body = call[4:8] + b"\0\0\0\1" + bytes(16) + result
        client.sendall((0x80000000 | len(body)).to_bytes(4, "big") + body)


def main():
    export = b"\0\0\0\1" + b"\0\0\0\0" + b"\0\0\0\0"  # one more, its name is empty, no groups
    mounts = socket.create_server(("", PORT))
    portmapper = socket.create_server(("", 111))
    threading.Thread(target=answer, args=(mounts, export * int(sys.argv[1]) + bytes(4)), daemon=True).start()
    print("listening", flush=True)
    answer(portmapper, PORT.to_bytes(4, "big"))


if __name__ == "__main__":
    main()
