"""Calls at a rate, whether they are answered or not (open loop), as Poisson arrivals. Run as a program of its own:
open_load.py PORT RATE SECONDS SEED BEGINS; it prints a JSON list of [second of the call, status] when all have ended.
BEGINS is a time of the monotonic clock, which processes share."""

import asyncio
import json
import random
import resource
import sys

REQUEST = b"GET / HTTP/1.1\r\nHost: server.test\r\n\r\n"
GRACE = 20  # seconds for the last calls to end


class Connection(asyncio.Protocol):
    def __init__(self, load):
        self.load, self.seen, self.call = load, b"", None

    def connection_made(self, transport):
        self.transport = transport

    def send(self, call):
        self.call, self.seen = call, b""
        self.transport.write(REQUEST)

    def data_received(self, data):
        self.seen += data
        head, found, body = self.seen.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.lower().split(b"\r\n")
        length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
        if len(body) < length or self.call is None:
            return
        self.load.ended(self.call, int(lines[0].split()[1]))
        self.call = None
        if b"connection: close" not in lines:
            self.load.idle.append(self)

    def connection_lost(self, error):
        if self in self.load.idle:
            self.load.idle.remove(self)
        if self.call is not None:
            self.load.ended(self.call, 0)


class Load:
    def __init__(self, port, begins):
        self.port, self.begins = port, begins
        self.idle, self.calls, self.open = [], [], 0

    def ended(self, call, status):
        call[1] = status
        self.open -= 1

    async def make(self, at):
        call = [at, 0]
        self.calls.append(call)
        self.open += 1
        if not self.idle:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self.port)
        else:
            connection = self.idle.pop()
        connection.send(call)


async def main(port, rate, seconds, seed, begins):
    loop, chance, tasks = asyncio.get_running_loop(), random.Random(seed), set()
    load, at = Load(port, begins), 0.0
    while (at := at + chance.expovariate(rate)) < seconds:
        await asyncio.sleep(max(0, begins + at - loop.time()))
        task = asyncio.ensure_future(load.make(at))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    end = loop.time() + GRACE
    while load.open and loop.time() < end:
        await asyncio.sleep(0.05)
    print(json.dumps(load.calls))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])))
