package main

import ("fmt"; "time")

func main() {
	start := time.Now()
	const size = 1000
	links := make([]chan int, size)
	for i := range links { links[i] = make(chan int, 1) }
	done := make(chan int, 1)
	for i := 0; i < size; i++ {
		go func(left, right chan int) {
			for n := range left {
				if n == 0 { done <- 0 } else { right <- n - 1 }
			}
		}(links[i], links[(i+1)%size])
	}
	links[0] <- 1000000
	<-done
	fmt.Println("ms", float64(time.Since(start).Microseconds())/1000)
}
