const a = (i, j) => 1 / (((i + j) * (i + j + 1) >> 1) + i + 1);
function times(v, transposed) {
  const n = v.length, out = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += v[j] * (transposed ? a(j, i) : a(i, j));
    out[i] = sum;
  }
  return out;
}
const start = performance.now();
let u = new Float64Array(300).fill(1), v = new Float64Array(300);
for (let i = 0; i < 10; i++) {
  v = times(times(u, false), true);
  u = times(times(v, false), true);
}
let uv = 0, vv = 0;
for (let i = 0; i < 300; i++) { uv += u[i] * v[i]; vv += v[i] * v[i]; }
console.log(Math.sqrt(uv / vv).toFixed(9));
console.log("ms", performance.now() - start);
