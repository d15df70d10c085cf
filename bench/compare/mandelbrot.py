import time
def mandelbrot(n):
    inside = 0
    for y in range(n):
        ci = 2.0 * y / n - 1.0
        for x in range(n):
            cr = 2.0 * x / n - 1.5
            zr = zi = 0.0
            i = 0
            while i < 50 and zr * zr + zi * zi <= 4.0:
                zr, zi = zr * zr - zi * zi + cr, 2.0 * zr * zi + ci
                i += 1
            if i == 50: inside += 1
    return inside
start = time.perf_counter()
print(mandelbrot(300))
print("ms", (time.perf_counter() - start) * 1000)
