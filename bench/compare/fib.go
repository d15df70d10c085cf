package main

import ("fmt"; "time")

func fib(n int) int { if n < 2 { return n }; return fib(n-1) + fib(n-2) }

func main() {
	start := time.Now()
	fmt.Println(fib(32))
	fmt.Println("ms", float64(time.Since(start).Microseconds())/1000)
}
