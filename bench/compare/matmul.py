import time
def matrix(n, seed): return [[seed * (i - j) * (i + j) for j in range(n)] for i in range(n)]
start = time.perf_counter()
n = 120
a, b, c = matrix(n, 0.5), matrix(n, 0.25), matrix(n, 0.0)
for i in range(n):
    row = a[i]
    for j in range(n):
        total = 0.0
        for k in range(n): total += row[k] * b[k][j]
        c[i][j] = total
print(f"{c[60][60]:.3f}")
print("ms", (time.perf_counter() - start) * 1000)
