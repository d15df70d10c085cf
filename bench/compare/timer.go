package main

import (
	"fmt"
	"runtime"
	"sort"
	"time"
)

var sink int

func burn() {
	n := 0
	for {
		n = (n + 1) % 1000
		sink = n
	}
}

func main() {
	for i := 0; i < runtime.GOMAXPROCS(0); i++ {
		go burn()
	}
	time.Sleep(20 * time.Millisecond)
	late := make([]float64, 200)
	for i := range late {
		due := time.Now().Add(time.Millisecond)
		time.Sleep(time.Millisecond)
		late[i] = float64(time.Since(due).Nanoseconds()) / 1e3
	}
	sort.Float64s(late)
	fmt.Println("us", late[len(late)*99/100])
}
