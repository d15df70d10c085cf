import time
def sieve(n):
    composite = [False] * n
    count = 0
    for i in range(2, n):
        if not composite[i]:
            count += 1
            for j in range(i * i, n, i): composite[j] = True
    return count
start = time.perf_counter()
print(sieve(2000000))
print("ms", (time.perf_counter() - start) * 1000)
