package main

import ("fmt"; "time")

type ask struct { n int; reply chan int }

func main() {
	start := time.Now()
	box := make(chan ask, 16384)
	go func() {
		total := 0
		for m := range box { total += m.n; m.reply <- total }
	}()
	last := 0
	for i := 0; i < 500000; i++ {
		reply := make(chan int, 1)
		box <- ask{i, reply}
		last = <-reply
	}
	fmt.Println(last)
	fmt.Println("ms", float64(time.Since(start).Microseconds())/1000)
}
