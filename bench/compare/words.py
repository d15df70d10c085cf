import time
start = time.perf_counter()
names = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
text = " ".join([f"{names[i * 7 % 8]}{i % 97}" for i in range(200000)])
counts = {}
for word in text.split(" "): counts[word] = counts.get(word, 0) + 1
print(len(counts))
print("ms", (time.perf_counter() - start) * 1000)
