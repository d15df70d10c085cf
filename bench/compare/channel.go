package main

import ("fmt"; "time")

func main() {
	start := time.Now()
	ch := make(chan int, 128)
	go func() {
		for i := 0; i < 2000000; i++ { ch <- i }
		close(ch)
	}()
	total := 0
	for n := range ch { total += n }
	fmt.Println(total)
	fmt.Println("ms", float64(time.Since(start).Microseconds())/1000)
}
