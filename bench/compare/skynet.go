package main

import (
	"fmt"
	"time"
)

func skynet(out chan int, number, size int) {
	if size == 1 {
		out <- number
		return
	}
	children := make(chan int)
	part := size / 10
	for i := 0; i < 10; i++ {
		go skynet(children, number+i*part, part)
	}
	sum := 0
	for i := 0; i < 10; i++ {
		sum += <-children
	}
	out <- sum
}

func main() {
	start := time.Now()
	out := make(chan int)
	go skynet(out, 0, 1000000)
	fmt.Println(<-out)
	fmt.Println("ms", float64(time.Since(start).Nanoseconds())/1e6)
}
