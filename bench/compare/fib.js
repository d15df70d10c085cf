const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);
const start = performance.now();
console.log(fib(32));
console.log("ms", performance.now() - start);
