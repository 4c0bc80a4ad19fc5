"""What soak.c asks, at a free port."""

import asyncio

import copal


async def main() -> None:
    async with copal.Endpoint(guard_loopback=1, max_observers=10000) as coap:
        obs = coap.value("/obs", "tick 0")

        @coap.serve("/test")
        def test(req: copal.Message) -> str:
            return "a small answer"

        @coap.serve("/large")
        def large(req: copal.Message) -> bytes:
            return b"x" * 1300

        @coap.serve("/large-update", method="PUT")
        def update(req: copal.Message) -> copal.Code:
            return copal.CHANGED

        @coap.serve("/large-update", method="POST")
        def fail(req: copal.Message) -> copal.Code:
            raise RuntimeError("on purpose: strangers make this raise")

        @coap.serve("/separate")
        async def separate(req: copal.Message) -> str:
            await asyncio.sleep(1)
            return "a second later"

        coap.listen("coap://127.0.0.1:0")
        print(f"metrics at http://127.0.0.1:{coap.metrics(0)}/metrics")
        print("listening on", coap.addresses[0], flush=True)
        ticks = 0
        while True:
            await asyncio.sleep(1)
            ticks += 1
            obs.value = f"tick {ticks}"


asyncio.run(main())
