package main

import ("fmt"; "time")

func main() {
	start := time.Now()
	const n = 1000000
	chans := make([]chan int, n)
	for i := range chans {
		c := make(chan int, 1)
		chans[i] = c
		go func(i int) { c <- i + 1 }(i)
	}
	total := 0
	for _, c := range chans { total += <-c }
	fmt.Println(total)
	fmt.Println("ms", float64(time.Since(start).Microseconds())/1000)
}
