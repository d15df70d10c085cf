package main

import ("fmt"; "time")

func mandelbrot(n int) int {
	inside := 0
	for y := 0; y < n; y++ {
		ci := 2.0*float64(y)/float64(n) - 1.0
		for x := 0; x < n; x++ {
			cr := 2.0*float64(x)/float64(n) - 1.5
			zr, zi, i := 0.0, 0.0, 0
			for i < 50 && zr*zr+zi*zi <= 4.0 {
				zr, zi = zr*zr-zi*zi+cr, 2.0*zr*zi+ci
				i++
			}
			if i == 50 { inside++ }
		}
	}
	return inside
}

func main() {
	start := time.Now()
	fmt.Println(mandelbrot(300))
	fmt.Println("ms", float64(time.Since(start).Microseconds())/1000)
}
