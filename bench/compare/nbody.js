function advance(bodies, dt) {
  const n = bodies.length;
  for (let i = 0; i < n; i++) {
    const a = bodies[i];
    for (let j = i + 1; j < n; j++) {
      const b = bodies[j];
      const dx = a.x - b.x, dy = a.y - b.y, dz = a.z - b.z;
      const d2 = dx * dx + dy * dy + dz * dz;
      const mag = dt / (d2 * Math.sqrt(d2));
      const mi = a.mass * mag, mj = b.mass * mag;
      a.vx -= dx * mj; a.vy -= dy * mj; a.vz -= dz * mj;
      b.vx += dx * mi; b.vy += dy * mi; b.vz += dz * mi;
    }
  }
  for (const a of bodies) { a.x += dt * a.vx; a.y += dt * a.vy; a.z += dt * a.vz; }
}
function energy(bodies) {
  let e = 0;
  bodies.forEach((b, i) => {
    e += 0.5 * b.mass * (b.vx * b.vx + b.vy * b.vy + b.vz * b.vz);
    for (const c of bodies.slice(i + 1)) {
      const dx = b.x - c.x, dy = b.y - c.y, dz = b.z - c.z;
      e -= b.mass * c.mass / Math.sqrt(dx * dx + dy * dy + dz * dz);
    }
  });
  return e;
}
const solar = 4 * Math.PI * Math.PI, year = 365.24;
const body = (x, y, z, vx, vy, vz, mass) => ({ x, y, z, vx: vx * year, vy: vy * year, vz: vz * year, mass: mass * solar });
const start = performance.now();
const bodies = [
  body(0, 0, 0, 0, 0, 0, 1),
  body(4.84143144246472090, -1.16032004402742839, -0.103622044471123109, 0.00166007664274403694, 0.00769901118419740425, -0.0000690460016972063023, 0.000954791938424326609),
  body(8.34336671824457987, 4.12479856412430479, -0.403523417114321381, -0.00276742510726411, 0.00499852801234917238, 0.0000230417297573763929, 0.000285885980666130812),
  body(12.8943695621391310, -15.1111514016986312, -0.223307578892655734, 0.00296460137564761618, 0.00237847173959480950, -0.0000296589568540237556, 0.0000436624404335156298),
  body(15.3796971148509165, -25.9193146099879641, 0.179258772950371181, 0.00268067772490389322, 0.00162824170038242295, -0.0000951592254519715870, 0.0000515138902046611451),
];
let px = 0, py = 0, pz = 0;
for (const b of bodies) { px += b.vx * b.mass; py += b.vy * b.mass; pz += b.vz * b.mass; }
bodies[0].vx = -px / solar; bodies[0].vy = -py / solar; bodies[0].vz = -pz / solar;
console.log(energy(bodies).toFixed(9));
for (let i = 0; i < 50000; i++) advance(bodies, 0.01);
console.log(energy(bodies).toFixed(9));
console.log("ms", performance.now() - start);
