local function build(depth)
  if depth == 0 then return { false, false } end
  return { build(depth - 1), build(depth - 1) }
end
local function count(tree)
  if not tree then return 0 end
  return 1 + count(tree[1]) + count(tree[2])
end
local start = os.clock()
local total = 0
for _ = 1, 20 do total = total + count(build(14)) end
print(total)
print("ms " .. (os.clock() - start) * 1000)
