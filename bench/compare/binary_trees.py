import time
def build(depth):
    if depth == 0: return (None, None)
    return (build(depth - 1), build(depth - 1))
def count(tree):
    if tree is None: return 0
    return 1 + count(tree[0]) + count(tree[1])
start = time.perf_counter()
print(sum(count(build(14)) for _ in range(20)))
print("ms", (time.perf_counter() - start) * 1000)
