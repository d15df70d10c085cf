const start = performance.now();
const names = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"];
const parts = [];
for (let i = 0; i < 200000; i++) parts.push(names[i * 7 % 8] + (i % 97));
const counts = new Map();
for (const word of parts.join(" ").split(" ")) counts.set(word, (counts.get(word) ?? 0) + 1);
console.log(counts.size);
console.log("ms", performance.now() - start);
