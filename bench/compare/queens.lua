local start = os.clock()
local function place(row, n, columns, up, down)
  if row == n then return 1 end
  local ways = 0
  for c = 0, n - 1 do
    if not columns[c] and not up[row + c] and not down[row - c + n] then
      columns[c], up[row + c], down[row - c + n] = true, true, true
      ways = ways + place(row + 1, n, columns, up, down)
      columns[c], up[row + c], down[row - c + n] = false, false, false
    end
  end
  return ways
end
local total = 0
for _ = 1, 10 do
  local columns, up, down = {}, {}, {}
  for i = 0, 17 do columns[i], up[i], down[i] = false, false, false end
  total = total + place(0, 8, columns, up, down)
end
print(total)
print("ms", (os.clock() - start) * 1000)
