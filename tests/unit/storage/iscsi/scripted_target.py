"""An iSCSI target in Python on loopback, for what tgtd does not do: COMPARE AND WRITE, and every kind of refusal on
demand. One target, disks in memory; each connection has a thread, one command at a time is carried out."""
import collections
import socket
import struct
import threading

NAME = "iqn.2026-11.org.kzones.test:scripted"
NAA = "600144f0000000000000000000000001"
SEGMENT = 262144
GOOD, CHECK, BUSY, CONFLICT = 0x00, 0x02, 0x08, 0x18

Answer = collections.namedtuple("Answer", "status data sense", defaults=(GOOD, b"", (0, 0)))


def sense(key, code):
    return Answer(CHECK, sense=(key, code))


INVALID_OPERATION = sense(5, 0x2000)
INVALID_FIELD = sense(5, 0x2400)
NO_SUCH_LUN = sense(5, 0x2500)


def page(number, payload):
    return struct.pack(">BBH", 0, number, len(payload)) + payload


class Disk:
    def __init__(self, size=1 << 20, block=512, naa=NAA, fua=True, write_cache=True, most_compared=8):
        self.data = bytearray(size)
        self.block = block
        self.fua = fua
        self.write_cache = write_cache
        naa = bytes.fromhex(naa)
        self.pages = {0x80: page(0x80, b"SERIAL"), 0x83: page(0x83, struct.pack(">BBBB", 1, 3, 0, len(naa)) + naa),
                      0xb0: page(0xb0, bytes((0, most_compared)) + bytes(58))}
        self.operations = {0x89: b"\0\3\0\x10"}
        self.script = collections.defaultdict(list)  # operation code -> answers to give first
        self.seen = []  # commands, as bytes

    def run(self, cdb, data):
        self.seen.append(cdb)
        if self.script[cdb[0]]:
            return self.script[cdb[0]].pop(0)
        action = {0x00: self._ready, 0x12: self._inquiry, 0x1a: self._mode, 0x9e: self._capacity, 0xa3: self._supported,
                  0x28: self._read, 0x88: self._read, 0x2a: self._write, 0x8a: self._write, 0x35: self._ready,
                  0x89: self._compare_and_write}.get(cdb[0])
        return action(cdb, data) if action else INVALID_OPERATION

    def blocks(self, cdb):
        if cdb[0] == 0x89:
            lba, count = struct.unpack(">Q", cdb[2:10])[0], cdb[13]
        elif cdb[0] & 0x80:
            lba, count = struct.unpack(">QI", cdb[2:14])
        else:
            lba, count = struct.unpack(">I", cdb[2:6])[0], struct.unpack(">H", cdb[7:9])[0]
        return slice(lba * self.block, (lba + count) * self.block)

    def _ready(self, _cdb, _data):
        return Answer()

    def _inquiry(self, cdb, _data):
        if not cdb[1] & 1:
            return Answer(data=bytes((0, 0, 6, 2, 31, 0, 0, 0)) + b"KZONES  SCRIPTED        1   ")
        if cdb[2] == 0:
            return Answer(data=page(0, bytes((0, *self.pages))))
        return Answer(data=self.pages[cdb[2]]) if cdb[2] in self.pages else INVALID_FIELD

    def _mode(self, _cdb, _data):
        return Answer(data=bytes((23, 0, 0x10 if self.fua else 0, 0, 8, 18, 4 if self.write_cache else 0)) + bytes(17))

    def _capacity(self, _cdb, _data):
        return Answer(data=struct.pack(">QI", len(self.data) // self.block - 1, self.block) + bytes(20))

    def _supported(self, cdb, _data):
        return Answer(data=self.operations[cdb[3]]) if cdb[3] in self.operations else INVALID_OPERATION

    def _read(self, cdb, _data):
        return Answer(data=bytes(self.data[self.blocks(cdb)]))

    def _write(self, cdb, data):
        self.data[self.blocks(cdb)] = data
        return Answer()

    def _compare_and_write(self, cdb, data):
        where = self.blocks(cdb)
        half = len(data) // 2
        if self.data[where] != data[:half]:
            return sense(0xe, 0x1d00)
        self.data[where] = data[half:]
        return Answer()


class ScriptedTarget:
    """A context manager. `disks`: number -> Disk. `targets`: what SendTargets lists, its names and addresses."""

    def __init__(self, disks):
        self.disks = disks
        self.luns = None  # the answer to REPORT LUNS, instead of the true one
        self.targets = None  # the names that SendTargets lists, instead of the true one
        self.text = None  # all of the answer to SendTargets
        self.sense_data = None  # what comes with CHECK CONDITION, instead of sense data
        self.refusal = None  # of logins to the target, not to its discovery: status class and detail
        self.logins = 0
        self._lock = threading.Lock()
        self._connections = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.portal = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self.disconnect_all()

    def disconnect_all(self):
        for connection in self._connections:
            connection.end()
        self._connections.clear()

    def _accept(self):
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(Connection(self, accepted))

    def report_luns(self):
        if self.luns is not None:
            return self.luns
        return struct.pack(">II", 8 * len(self.disks), 0) + b"".join(
            bytes((0x40 | number >> 8, number & 0xff)) + bytes(6) for number in sorted(self.disks))

    def run(self, lun, cdb, data):
        with self._lock:
            if cdb[0] == 0xa0:
                return Answer(data=self.report_luns())
            return self.disks[lun].run(cdb, data) if lun in self.disks else NO_SUCH_LUN


class Connection:
    def __init__(self, target, connection):
        self._target = target
        self._socket = connection
        self._sequence = 0
        self._expected = 0
        self._discovery = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def end(self):
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._thread.join()
        self._socket.close()

    def _serve(self):
        try:
            while True:
                header, data = self._receive()
                {0x00: self._ping, 0x01: self._command, 0x03: self._login, 0x04: self._text,
                 0x06: self._logout}[header[0] & 0x3f](header, data)
        except (OSError, EOFError):
            self._socket.close()

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def _receive(self):
        header = self._exactly(48)
        size = int.from_bytes(header[5:8], "big")
        data = self._exactly((size + 3) // 4 * 4)[:size]
        if header[0] & 0x3f in (0x01, 0x03):
            self._expected = struct.unpack(">I", header[24:28])[0] + (header[0] & 0x40 == 0)
        return header, data

    def _send(self, opcode, flags, request, data=b"", byte2=0, status=0, tail=bytes(12), tag=b"\xff" * 4, counts=True,
              ids=None):
        header = bytearray(48)
        header[0:4] = opcode, flags, byte2, status
        header[5:8] = len(data).to_bytes(3, "big")
        header[8:16] = ids or request[8:16]
        header[16:20] = request[16:20]
        header[20:24] = tag
        header[24:36] = struct.pack(">III", self._sequence, self._expected, self._expected + 32)
        header[36:48] = tail
        self._sequence += counts
        self._socket.sendall(bytes(header) + data + bytes(-len(data) % 4))

    def _login(self, request, data):
        flags = request[1]
        self._discovery |= b"SessionType=Discovery" in data
        if self._target.refusal and not self._discovery:
            self._send(0x23, flags, request, ids=request[8:14] + bytes(2), tag=bytes(4),
                       tail=bytes(self._target.refusal) + bytes(10))
            return
        keys = [b"TargetPortalGroupTag=1"]
        if flags & 0x0c == 0x04:  # operational
            self._target.logins += 1
            offered = dict(each.split(b"=", 1) for each in data.split(b"\0") if b"=" in each)
            assert offered[b"InitialR2T"] == b"Yes" and offered[b"ImmediateData"] == b"No", offered
            keys += [b"HeaderDigest=None", b"DataDigest=None", b"InitialR2T=Yes", b"ImmediateData=No",
                     b"MaxRecvDataSegmentLength=%d" % SEGMENT, b"MaxBurstLength=%d" % SEGMENT]
        else:
            keys.append(b"AuthMethod=None")
        self._send(0x23, flags, request, b"".join(key + b"\0" for key in keys), ids=request[8:14] + b"\0\1",
                   tag=bytes(4))

    def _text(self, request, _data):
        listed = self._target.targets or [NAME]
        text = b"".join(b"TargetName=%s\0TargetAddress=%s,1\0" % (name.encode(), self._target.portal.encode())
                        for name in listed)
        self._send(0x24, 0x80, request, self._target.text if self._target.text is not None else text)

    def _ping(self, request, data):
        self._send(0x20, 0x80, request, data)

    def _logout(self, request, _data):
        self._send(0x26, 0x80, request)

    def _command(self, request, data):
        assert not data, "data came unasked"
        cdb = request[32:48]
        size = struct.unpack(">I", request[20:24])[0]
        lun = (request[8] & 0x3f) << 8 | request[9]
        out = self._ask_for_data(request, size) if request[1] & 0x20 else b""
        answer = self._target.run(lun, cdb, out)
        if answer.status == GOOD and request[1] & 0x40:
            given = answer.data[:size]
            short = size - len(given)
            self._send(0x25, 0x81 | (0x02 if short else 0), request, given,
                       tail=struct.pack(">III", 0, 0, short))
            return
        key, code = answer.sense
        detail = self._target.sense_data if self._target.sense_data is not None else b"\0\x12" + bytes((0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, code >> 8, code & 0xff)) + bytes(4)
        self._send(0x21, 0x80, request, detail if answer.status == CHECK else b"", status=answer.status, tag=bytes(4))

    def _ask_for_data(self, request, size):
        out = b""
        while len(out) < size:
            burst = min(SEGMENT, size - len(out))
            self._send(0x31, 0x80, request, tag=b"\0\0\0\1", counts=False,
                       tail=struct.pack(">III", len(out) // SEGMENT, len(out), burst))
            end = len(out) + burst
            while len(out) < end:
                out += self._receive()[1]
        return out
