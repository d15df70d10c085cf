import asyncio, time
async def work(n): return n + 1
async def main():
    start = time.perf_counter()
    tasks = [asyncio.create_task(work(i)) for i in range(1000000)]
    print(sum([await t for t in tasks]))
    print("ms", (time.perf_counter() - start) * 1000)
asyncio.run(main())
