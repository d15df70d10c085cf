package main

import ("fmt"; "time")

func sieve(n int) int {
	composite := make([]bool, n)
	count := 0
	for i := 2; i < n; i++ {
		if !composite[i] {
			count++
			for j := i * i; j < n; j += i { composite[j] = true }
		}
	}
	return count
}

func main() {
	start := time.Now()
	fmt.Println(sieve(2000000))
	fmt.Println("ms", float64(time.Since(start).Microseconds())/1000)
}
