import time
start = time.perf_counter()
def place(row, n, columns, up, down):
    if row == n: return 1
    ways = 0
    for c in range(n):
        if not (columns[c] or up[row + c] or down[row - c + n]):
            columns[c] = up[row + c] = down[row - c + n] = True
            ways += place(row + 1, n, columns, up, down)
            columns[c] = up[row + c] = down[row - c + n] = False
    return ways
total = 0
for _ in range(10):
    total += place(0, 8, [False] * 8, [False] * 16, [False] * 17)
print(total)
print("ms", (time.perf_counter() - start) * 1000)
