"""A server that behaves as a scenario declares: so many at a time, first come first served, a fixed time each, and no
notice of callers that have gone. Run as a program of its own: fifo_server.py PORT CONCURRENCY SERVICE_SECONDS; a line of
JSON on stdin starts its time line, [{"kind": "stall" | "errors", "at": s, "lasts": s, "percent": p}, ...], and the time
(of the monotonic clock, which processes share) from which it counts."""

import asyncio
import collections
import heapq
import json
import random
import sys

HEAD = b"HTTP/1.1 %d %s\r\nContent-Length: 2\r\n\r\nok"


class Server:
    def __init__(self, concurrency, service):
        self.service = service
        self.free_at = [0.0] * concurrency  # of each worker that is free: a heap
        self.queue = collections.deque()
        self.held = []  # finished while it stood still
        self.is_stalled = False
        self.error_share = 0.0
        self.chance = random.Random(1)

    def arrive(self, transport):
        self.queue.append(transport)
        self.start_work(asyncio.get_running_loop().time())

    def start_work(self, now):
        """A worker goes on where it stopped, so that the delays of this program's own timers do not add up."""
        while self.queue and self.free_at and not self.is_stalled:
            begins = max(heapq.heappop(self.free_at), now - self.service)
            begins = begins if self.is_busy else now
            self.is_busy = True
            ends = begins + self.service
            asyncio.get_running_loop().call_at(ends, self.finish, self.queue.popleft(), ends)

    is_busy = False

    def finish(self, transport, ends):
        if self.is_stalled:
            self.held.append(transport)
            return
        is_error = self.chance.random() < self.error_share
        if not transport.is_closing():
            transport.write(HEAD % ((503, b"Service Unavailable") if is_error else (200, b"OK")))
        heapq.heappush(self.free_at, ends)
        self.is_busy = bool(self.queue)
        self.start_work(asyncio.get_running_loop().time())

    def begin(self, fault):
        if fault["kind"] == "stall":
            self.is_stalled = True
        else:
            self.error_share = fault["percent"] / 100

    def end(self, fault):
        self.error_share = 0.0
        if fault["kind"] != "stall":
            return
        self.is_stalled = False
        now = asyncio.get_running_loop().time()
        held, self.held = self.held, []
        for transport in held:
            self.finish(transport, now)
        self.start_work(now)


class Connection(asyncio.Protocol):
    def __init__(self, server):
        self.server, self.seen = server, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.seen += data
        while b"\r\n\r\n" in self.seen:
            _, self.seen = self.seen.split(b"\r\n\r\n", 1)
            self.server.arrive(self.transport)


async def main(port, concurrency, service):
    loop = asyncio.get_running_loop()
    server = Server(concurrency, service)
    await loop.create_server(lambda: Connection(server), "127.0.0.1", port, backlog=4096)
    print("ready", flush=True)
    order = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    for fault in order["faults"]:
        loop.call_at(order["begins"] + fault["at"], server.begin, fault)
        loop.call_at(order["begins"] + fault["at"] + fault["lasts"], server.end, fault)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
