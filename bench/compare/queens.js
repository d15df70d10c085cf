const start = performance.now();
function place(row, n, columns, up, down) {
  if (row === n) return 1;
  let ways = 0;
  for (let c = 0; c < n; c++) {
    if (columns[c] || up[row + c] || down[row - c + n]) continue;
    columns[c] = up[row + c] = down[row - c + n] = true;
    ways += place(row + 1, n, columns, up, down);
    columns[c] = up[row + c] = down[row - c + n] = false;
  }
  return ways;
}
let total = 0;
for (let i = 0; i < 10; i++) {
  total += place(0, 8, Array(8).fill(false), Array(16).fill(false), Array(17).fill(false));
}
console.log(total);
console.log("ms", performance.now() - start);
