import time
def fannkuch(n):
    perm1, count = list(range(n)), [0] * n
    most = checksum = nth = 0
    r = n
    while True:
        while r != 1:
            count[r - 1] = r
            r -= 1
        perm = perm1[:]
        flips = 0
        k = perm[0]
        while k:
            perm[:k + 1] = perm[k::-1]
            flips += 1
            k = perm[0]
        if flips > most: most = flips
        checksum += -flips if nth % 2 else flips
        while True:
            if r == n: return checksum, most
            perm1.insert(r, perm1.pop(0))
            count[r] -= 1
            if count[r] > 0: break
            r += 1
        nth += 1
start = time.perf_counter()
print(fannkuch(9))
print("ms", (time.perf_counter() - start) * 1000)
