import asyncio, time
async def node(left, right, done):
    while True:
        n = await left.get()
        if n == 0: done.set()
        else: await right.put(n - 1)
async def main():
    start = time.perf_counter()
    links = [asyncio.Queue(1) for _ in range(1000)]
    done = asyncio.Event()
    tasks = [asyncio.create_task(node(links[i], links[(i + 1) % 1000], done)) for i in range(1000)]
    await links[0].put(1000000)
    await done.wait()
    print("ms", (time.perf_counter() - start) * 1000)
    for t in tasks: t.cancel()
asyncio.run(main())
