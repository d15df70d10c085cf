import math, time
class Body:
    __slots__ = ("x", "y", "z", "vx", "vy", "vz", "mass")
    def __init__(self, x, y, z, vx, vy, vz, mass):
        self.x, self.y, self.z = x, y, z
        self.vx, self.vy, self.vz = vx * year, vy * year, vz * year
        self.mass = mass * solar
def advance(bodies, pairs, dt):
    for a, b in pairs:
        dx, dy, dz = a.x - b.x, a.y - b.y, a.z - b.z
        d2 = dx * dx + dy * dy + dz * dz
        mag = dt / (d2 * math.sqrt(d2))
        mi, mj = a.mass * mag, b.mass * mag
        a.vx -= dx * mj
        a.vy -= dy * mj
        a.vz -= dz * mj
        b.vx += dx * mi
        b.vy += dy * mi
        b.vz += dz * mi
    for a in bodies:
        a.x += dt * a.vx
        a.y += dt * a.vy
        a.z += dt * a.vz
def energy(bodies, pairs):
    e = sum(0.5 * b.mass * (b.vx * b.vx + b.vy * b.vy + b.vz * b.vz) for b in bodies)
    for b, c in pairs:
        dx, dy, dz = b.x - c.x, b.y - c.y, b.z - c.z
        e -= b.mass * c.mass / math.sqrt(dx * dx + dy * dy + dz * dz)
    return e
solar, year = 4.0 * math.pi * math.pi, 365.24
start = time.perf_counter()
bodies = [
    Body(0, 0, 0, 0, 0, 0, 1),
    Body(4.84143144246472090, -1.16032004402742839, -0.103622044471123109, 0.00166007664274403694, 0.00769901118419740425, -0.0000690460016972063023, 0.000954791938424326609),
    Body(8.34336671824457987, 4.12479856412430479, -0.403523417114321381, -0.00276742510726411, 0.00499852801234917238, 0.0000230417297573763929, 0.000285885980666130812),
    Body(12.8943695621391310, -15.1111514016986312, -0.223307578892655734, 0.00296460137564761618, 0.00237847173959480950, -0.0000296589568540237556, 0.0000436624404335156298),
    Body(15.3796971148509165, -25.9193146099879641, 0.179258772950371181, 0.00268067772490389322, 0.00162824170038242295, -0.0000951592254519715870, 0.0000515138902046611451),
]
pairs = [(a, b) for i, a in enumerate(bodies) for b in bodies[i + 1:]]
bodies[0].vx = -sum(b.vx * b.mass for b in bodies) / solar
bodies[0].vy = -sum(b.vy * b.mass for b in bodies) / solar
bodies[0].vz = -sum(b.vz * b.mass for b in bodies) / solar
print(f"{energy(bodies, pairs):.9f}")
for _ in range(50000): advance(bodies, pairs, 0.01)
print(f"{energy(bodies, pairs):.9f}")
print("ms", (time.perf_counter() - start) * 1000)
