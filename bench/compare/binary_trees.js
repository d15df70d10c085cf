const build = depth => depth === 0 ? { left: null, right: null } : { left: build(depth - 1), right: build(depth - 1) };
const count = tree => tree === null ? 0 : 1 + count(tree.left) + count(tree.right);
const start = performance.now();
let total = 0;
for (let i = 0; i < 20; i++) total += count(build(14));
console.log(total);
console.log("ms", performance.now() - start);
