local start = os.clock()
local function a(i, j) return 1.0 / (math.floor((i + j) * (i + j + 1) / 2) + i + 1) end
local function times(v, transposed)
  local n, out = #v, {}
  for i = 1, n do
    local sum = 0.0
    for j = 1, n do
      if transposed then sum = sum + v[j] * a(j - 1, i - 1) else sum = sum + v[j] * a(i - 1, j - 1) end
    end
    out[i] = sum
  end
  return out
end
local u, v = {}, {}
for i = 1, 300 do u[i] = 1.0; v[i] = 0.0 end
for _ = 1, 10 do
  v = times(times(u, false), true)
  u = times(times(v, false), true)
end
local uv, vv = 0.0, 0.0
for i = 1, 300 do uv = uv + u[i] * v[i]; vv = vv + v[i] * v[i] end
print(string.format("%.9f", math.sqrt(uv / vv)))
print("ms", (os.clock() - start) * 1000)
