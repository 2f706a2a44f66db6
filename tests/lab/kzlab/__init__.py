"""Hosts on one machine, for the demo, the end-to-end tests and the benches.

    with Lab(nodes=("node1", "node2")) as lab:
        lab.node("node1").run(["zoneadm", "list", "-cv"])

A host is a set of namespaces (network, hostname, mounts) with a KZONES_ROOT of its own; see lab.py.
"""
from .lab import Lab
from .namespaces import LabError
from .node import Node
from .probes import Pinger, TcpEcho
from .terminal import Terminal, TerminalClosed, TerminalTimeout

__all__ = ["Lab", "LabError", "Node", "Pinger", "TcpEcho", "Terminal", "TerminalClosed", "TerminalTimeout"]
