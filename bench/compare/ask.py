import asyncio, time

async def adder(box):
    total = 0
    while True:
        n, reply = await box.get()
        total += n
        reply.set_result(total)

async def main():
    start = time.perf_counter()
    box = asyncio.Queue()
    task = asyncio.create_task(adder(box))
    loop = asyncio.get_running_loop()
    last = 0
    for i in range(500000):
        reply = loop.create_future()
        box.put_nowait((i, reply))
        last = await reply
    print(last)
    print("ms", (time.perf_counter() - start) * 1000)
    task.cancel()

asyncio.run(main())
