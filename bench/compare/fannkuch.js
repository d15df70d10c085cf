function fannkuch(n) {
  const perm = new Int32Array(n), perm1 = Int32Array.from({ length: n }, (_, i) => i), count = new Int32Array(n);
  let most = 0, checksum = 0, nth = 0, r = n;
  for (;;) {
    for (; r !== 1; r--) count[r - 1] = r;
    perm.set(perm1);
    let flips = 0;
    for (let k = perm[0]; k !== 0; k = perm[0]) {
      for (let i = 0, j = k; i < j; i++, j--) {
        const t = perm[i];
        perm[i] = perm[j];
        perm[j] = t;
      }
      flips++;
    }
    if (flips > most) most = flips;
    checksum += nth % 2 === 0 ? flips : -flips;
    for (;;) {
      if (r === n) return [checksum, most];
      const first = perm1[0];
      for (let i = 0; i < r; i++) perm1[i] = perm1[i + 1];
      perm1[r] = first;
      if (--count[r] > 0) break;
      r++;
    }
    nth++;
  }
}
const start = performance.now();
console.log(fannkuch(9).join(" "));
console.log("ms", performance.now() - start);
