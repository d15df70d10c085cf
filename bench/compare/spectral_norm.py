import math, time
def a(i, j): return 1.0 / ((i + j) * (i + j + 1) // 2 + i + 1)
def times(v, transposed):
    n = len(v)
    out = []
    for i in range(n):
        total = 0.0
        for j in range(n):
            total += v[j] * (a(j, i) if transposed else a(i, j))
        out.append(total)
    return out
start = time.perf_counter()
u, v = [1.0] * 300, [0.0] * 300
for _ in range(10):
    v = times(times(u, False), True)
    u = times(times(v, False), True)
print(f"{math.sqrt(sum(x * y for x, y in zip(u, v)) / sum(x * x for x in v)):.9f}")
print("ms", (time.perf_counter() - start) * 1000)
