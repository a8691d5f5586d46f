"""The gRPC service shop.Quotes, which does in each call what the call's metadata asks for. Run as a program of its own:
grpc_server.py HOST PORT OPTIONS, where OPTIONS is a JSON object of grpc's channel arguments.

Get (unary), Upload (client streaming), Watch (server streaming) and Chat (bidirectional) take bytes and give bytes. The
metadata key `x-behave` is a JSON object; all of it is optional and happens in this order:

    sleep     seconds, before anything is sent
    head      true: the response's headers are sent now, before any message
    reads     false: no message of the caller's is read (Upload, Chat)
    count     how many messages Watch sends (default 3; -1: without end), of `size` bytes, one each `interval` seconds
    size      how large the message of Get is (default: as large as what came)
    hang      true: nothing more happens until the caller leaves
    fail      a status code, with `details`, after `after` messages (default 0, which is trailers-only without `head`)
    until     with `fail` and `key`: only the first `until` calls of that key fail
    pushback  the value of grpc-retry-pushback-ms in the trailers of a call that fails

It also answers grpc.health.v1.Health/Check, by what `health` said last of a service ("" is the server as a whole).

What arrives as x-echo-* goes back in the headers, x-trail-* in the trailers.

On stdin come commands, a line of JSON each, and on stdout an answer for each: {"do": "calls"} lists every call with
what it brought and how it ended, {"do": "forget"} empties that list, {"do": "stop", "grace": s} stops the server with
GOAWAY, {"do": "health", "service": name, "status": n} sets what Check answers (a HealthCheckResponse's ServingStatus). The times are of the monotonic clock, which processes share.
"""

import asyncio
import base64
import collections
import contextlib
import json
import sys
import time

import grpc

ENDLESS = -1


def as_json(pairs):
    return [[key, value if isinstance(value, str) else {"base64": base64.b64encode(value).decode()}]
            for key, value in pairs]


class Call:
    """One call of the service: what it was asked to do, and a record of it."""

    def __init__(self, service, method, context):
        self.service, self.context = service, context
        metadata = context.invocation_metadata()
        self.behave = json.loads(dict(metadata).get("x-behave", "{}"))
        remaining = context.time_remaining()
        self.record = {"method": method, "at": time.monotonic(), "peer": context.peer(), "metadata": as_json(metadata),
                       "remaining": remaining if remaining is not None and remaining < 1e9 else None,
                       "received": 0, "received_bytes": 0, "sent": 0, "sent_bytes": 0, "ended": None, "ended_at": None}
        self.echoed = [pair for pair in metadata if pair[0].startswith("x-echo-")]
        self.trailers = [pair for pair in metadata if pair[0].startswith("x-trail-")]
        service.calls.append(self.record)

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, trace):
        how = "ok" if kind is None else "cancelled" if kind is asyncio.CancelledError else "failed"
        self.record.update(ended=how, ended_at=time.monotonic())

    async def begin(self, message=None):
        """What comes before the first message of ours."""
        if message is not None:
            self.took(message)
        if self.trailers:
            self.context.set_trailing_metadata(tuple(self.trailers))
        await asyncio.sleep(self.behave.get("sleep", 0))
        if self.behave.get("head") or self.echoed:
            await self.context.send_initial_metadata(tuple(self.echoed))
        await self.fail_if_due()

    async def fail_if_due(self):
        """Fails the call where `fail` says so and `after` messages have gone."""
        code, key = self.behave.get("fail"), self.behave.get("key")
        if code is None or self.record["sent"] < self.behave.get("after", 0):
            return
        if "until" in self.behave:
            self.service.tries[key] += 1
            if self.service.tries[key] > self.behave["until"]:
                self.behave.pop("fail")
                return
        trailers = list(self.trailers)
        if "pushback" in self.behave:
            trailers.append(("grpc-retry-pushback-ms", str(self.behave["pushback"])))
        status = next(status for status in grpc.StatusCode if status.value[0] == code)
        await self.context.abort(status, self.behave.get("details", "as asked"), tuple(trailers))

    def took(self, message):
        self.record["received"] += 1
        self.record["received_bytes"] += len(message)

    def gave(self, message):
        self.record["sent"] += 1
        self.record["sent_bytes"] += len(message)

    async def give(self, message):
        try:
            await self.context.write(message)
        except grpc.aio.InternalError:  # the caller left while the message was on its way
            raise asyncio.CancelledError from None
        self.gave(message)
        await self.fail_if_due()

    async def messages(self):
        """What the caller sends, as it comes."""
        while self.behave.get("reads", True):
            message = await self.context.read()
            if message is grpc.aio.EOF:
                await asyncio.sleep(0.01)  # this is how a cancel shows first, too; it is told right after
                return
            self.took(message)
            yield message
        await asyncio.Event().wait()

    async def hang_if_asked(self):
        if self.behave.get("hang"):
            await asyncio.Event().wait()


class Service:
    def __init__(self):
        self.calls = []
        self.tries = collections.Counter()
        self.health = {}

    def health_handlers(self):
        return grpc.method_handlers_generic_handler("grpc.health.v1.Health", {
            "Check": grpc.unary_unary_rpc_method_handler(self.check)})

    async def check(self, request, context):
        name = request[2:].decode()  # a HealthCheckRequest: nothing, or the key and the length of `service` before it
        if name not in self.health:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return b"\x08" + bytes([self.health[name]])

    def handlers(self):
        return grpc.method_handlers_generic_handler("shop.Quotes", {
            "Get": grpc.unary_unary_rpc_method_handler(self.get),
            "Upload": grpc.stream_unary_rpc_method_handler(self.upload),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
        })

    async def get(self, request, context):
        async with Call(self, "Get", context) as call:
            await call.begin(request)
            await call.hang_if_asked()
            size = call.behave.get("size")
            message = request if size is None else bytes(size)
            call.gave(message)
            return message

    async def upload(self, requests, context):
        async with Call(self, "Upload", context) as call:
            await call.begin()
            async for _ in call.messages():
                pass
            await call.hang_if_asked()
            message = json.dumps([call.record["received"], call.record["received_bytes"]]).encode()
            call.gave(message)
            return message

    async def watch(self, request, context):
        async with Call(self, "Watch", context) as call:
            await call.begin(request)
            message, left = bytes(call.behave.get("size", 10)), call.behave.get("count", 3)
            while left:
                await call.give(message)
                left -= left != ENDLESS
                if call.behave.get("interval"):
                    await asyncio.sleep(call.behave["interval"])
            await call.hang_if_asked()

    async def chat(self, requests, context):
        async with Call(self, "Chat", context) as call:
            await call.begin()
            async for message in call.messages():
                await call.give(message)
            await call.hang_if_asked()


async def commands(service, server):
    """Answers on stdout until stdin ends."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    stopping = []
    while line := await reader.readline():
        command, answer = json.loads(line), None
        if command["do"] == "calls":
            answer = service.calls
        elif command["do"] == "forget":
            service.calls = []
            service.tries.clear()
        elif command["do"] == "health":
            service.health[command["service"]] = command["status"]
        elif command["do"] == "stop":
            stopping.append(asyncio.ensure_future(server.stop(command["grace"])))
        print(json.dumps(answer), flush=True)


async def main(host, port, options):
    service, server = Service(), grpc.aio.server(options=list(options.items()))
    server.add_generic_rpc_handlers((service.handlers(), service.health_handlers()))
    assert server.add_insecure_port(f"{host}:{port}") == port
    await server.start()
    print("ready", flush=True)
    with contextlib.suppress(ConnectionError):
        await commands(service, server)
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])))
