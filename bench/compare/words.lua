local start = os.clock()
local names = { "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta" }
local parts = {}
for i = 0, 199999 do parts[#parts + 1] = names[i * 7 % 8 + 1] .. (i % 97) end
local text = table.concat(parts, " ")
local counts, n = {}, 0
for word in text:gmatch("%S+") do
  if not counts[word] then n = n + 1 end
  counts[word] = (counts[word] or 0) + 1
end
print(n)
print("ms", (os.clock() - start) * 1000)
