local start = os.clock()
local function matrix(n, seed)
  local m = {}
  for i = 0, n - 1 do
    m[i] = {}
    for j = 0, n - 1 do m[i][j] = seed * (i - j) * (i + j) end
  end
  return m
end
local n = 120
local a, b, c = matrix(n, 0.5), matrix(n, 0.25), matrix(n, 0)
for i = 0, n - 1 do
  for j = 0, n - 1 do
    local sum = 0.0
    for k = 0, n - 1 do sum = sum + a[i][k] * b[k][j] end
    c[i][j] = sum
  end
end
print(string.format("%.3f", c[60][60]))
print("ms", (os.clock() - start) * 1000)
