import time
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
start = time.perf_counter()
print(fib(32))
print("ms", (time.perf_counter() - start) * 1000)
