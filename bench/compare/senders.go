package main

import (
	"fmt"
	"sync"
	"time"
)

func main() {
	start := time.Now()
	ch := make(chan int, 1024)
	done := make(chan int)
	go func() {
		total := 0
		for n := range ch {
			total += n
		}
		done <- total
	}()
	var wg sync.WaitGroup
	for i := 0; i < 100; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < 10000; i++ {
				ch <- i
			}
		}()
	}
	wg.Wait()
	close(ch)
	fmt.Println(<-done)
	fmt.Println("ms", float64(time.Since(start).Nanoseconds())/1e6)
}
