const matrix = (n, seed) => Array.from({ length: n }, (_, i) => Float64Array.from({ length: n }, (_, j) => seed * (i - j) * (i + j)));
const start = performance.now();
const n = 120;
const a = matrix(n, 0.5), b = matrix(n, 0.25), c = matrix(n, 0);
for (let i = 0; i < n; i++) {
  for (let j = 0; j < n; j++) {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += a[i][k] * b[k][j];
    c[i][j] = sum;
  }
}
console.log(c[60][60].toFixed(3));
console.log("ms", performance.now() - start);
